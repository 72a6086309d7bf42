"""The sample in `recordings/` has no private data, distils to the scenario next to it, and can be replayed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.scenario import load
from demo import peers
from demo.client_output import ClientOutput, differences
from demo.sample import JOURNAL, SCENARIO


def _private() -> list[str]:
    center = json.loads((peers.NODE / "contact_center.json").read_text())
    users = [user[key] for user in center["users"] for key in ("userName", "password", "firstName", "emailAddress")]
    customers = [value for item in center["interactions"] for value in [item["subject"], *item["userData"].values()]]
    return [*users, *customers, "127.0.0.1"]


@pytest.mark.parametrize("path", [JOURNAL, SCENARIO], ids=lambda path: path.suffix)
@pytest.mark.parametrize("word", _private())
def test_sample_has_no_private_data(path: Path, word: str):
    assert word not in path.read_text()


def test_journal_distils_to_the_scenario(tmp_path: Path):
    journal = Path(shutil.copy(JOURNAL, tmp_path))
    assert run(["distill", str(journal)]) == ExitCode.SUCCESS
    assert journal.with_suffix(".yaml").read_text() == SCENARIO.read_text()


def test_sample_can_be_replayed(
    direct: dict[str, ClientOutput], mitmdump: Callable[..., peers.PeerServer], client: Callable[..., ClientOutput]
):
    """The client receives the same from the sample as from the server."""
    player = mitmdump("reverse:http://unused.invalid", "replay", reel_scenario=SCENARIO)
    assert differences(direct["cometd-3"], client("cometd-3", player.url)) == ""


def test_notifications_of_each_request():
    """Correlated by reference, by the map, or by type and workbin; the unsolicited one is in the timeline."""
    scenario = load([SCENARIO])
    owned = {exchange.name: len(exchange.events) for exchange in scenario.exchanges if exchange.events}
    assert owned == {
        "stats of my workbins": 1,
        "stats of place Place1": 1,
        "stats of agent group ServiceAgentGroup": 1,
        "stats of place group ServicePlaceGroup": 1,
        "stats of user 1": 1,
        "stats of workbin 3": 1,
        "subscribe my workbins 1, 2, 4": 3,
        "subscribe my workbin 2 of group ServiceAgentGroup": 1,
        "pull workitem workbin 1": 2,
        "add workitem workbin 1": 2,
        "subscribe workbin 1": 1,
        "subscribe workbin 2": 1,
        "subscribe workbin 4": 1,
        "unsubscribe my workbin 1": 1,
    }
    assert len(scenario.timeline) == 1
