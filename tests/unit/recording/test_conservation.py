"""No notification is lost silently between recording and replay, whatever joins requests with CometD clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.conservation import IDENTITIES, conservation

MINUTES_15 = 900.0


@pytest.mark.parametrize("identity", IDENTITIES)
def test_each_recorded_notification_is_replayed(identity: str, tmp_path: Path):
    found = conservation(identity, tmp_path, MINUTES_15)
    assert found.notifications > 25
    assert (found.replayed, found.given_up) == (found.notifications, {})


@pytest.mark.parametrize("identity", IDENTITIES)
def test_notifications_for_clients_that_are_away_are_reported(identity: str, tmp_path: Path):
    found = conservation(identity, tmp_path, MINUTES_15, away=200.0)
    assert [*found.given_up] == ["client gone"]
    assert (found.given_up["client gone"] > 0, found.difference) == (True, 0)
