"""The unchanged stand-in has no differences; each change of it is reported as exactly one difference."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.verify.conftest import CHANGES, RECORDED, Ended

pytestmark = pytest.mark.timeout(300)  # the first test waits for all runs, which takes long on a slow machine

BIN = "861640a2-5e11-4c0b-b0a7-93d2c1f4e50"
TIMELINE = f"{RECORDED}:599: timeline: received"

DIFFERENCES = {
    "field-renamed": (
        f"224: stats of place Place1: field renamed at /events/0/data/workbinStats/{BIN}1/Count: "
        "recorded Count, live Total"
    ),
    "type-changed": (
        f"250: stats of agent group ServiceAgentGroup: type changed at /events/0/data/workbinStats/{BIN}2/Count: "
        'recorded 2, live "2"'
    ),
    "field-removed": (
        f"277: stats of place group ServicePlaceGroup: field removed at /events/0/data/workbinStats/{BIN}3/Owner: "
        "recorded ServicePlaceGroup, live nothing"
    ),
    "field-added": "62: diagnostics version: field added at /reply/body/build: recorded nothing, live 7",
    "event-dropped": (
        "295: stats of user 1: notification missing at /events/0: recorded {channel: /v2/me/workbins, data: "
        "{workbinStats: {d5b0a1e2-7c3f-4a86-9e21-0f4b6c8d1a01: {Count: 1, Owner: 28383e5523c7479cae4afa8df88d66df, "
        "Type: Agent}}, messageType: WorkbinStatsMessage, referenceId:…, live nothing"
    ),
    "event-doubled": ("467: add workitem workbin 1: notification doubled at /events/0: recorded once, live twice"),
    "subscription-doubled": "546: subscribe workbin 4: notification doubled at /events/0: recorded once, live twice",
    "event-moved": (
        "320: stats of workbin 3: notification moved at /events/0/channel: "
        "recorded /v2/me/workbins, live /v2/me/statistics"
    ),
    "event-added": (
        "407: pull workitem workbin 1: notification extra at /events/2: recorded nothing, "
        "live {channel: /v2/me/workbins, data: {messageType: WorkbinAuditMessage, referenceId: 105}}"
    ),
    "events-swapped": (
        "350: subscribe my workbins 1, 2, 4: order changed on /v2/me/workbins at /events: "
        "recorded [0, 1, 2], live [2, 1, 0]"
    ),
    "status-changed": "561: stats of workbin 5, failed: status changed at /reply/status: recorded 404, live 410",
    "code-changed": ("563: stats of workbin 5, failed: value changed at /reply/body/statusCode: recorded 6, live 4"),
    "value-changed": (
        "63: diagnostics version: value changed at /reply/body/version: recorded 8.5.202.96, live 9.0.000.01"
    ),
    "item-removed": (
        "107: workbins: item removed at /reply/body/workbins/3: "
        f"recorded {{id: {BIN}3, workbinName: Service Places, displayName: Tafinineme mugizupidi tedizepose zekepubive "
        'nulotininu, uri: "http://host-fabomeke.example.invalid/api/v2/workbins/…, live nothing'
    ),
    "reference-retyped": (
        '577: unsubscribe my workbin 1: type changed at /reply/body/referenceId: recorded 117, live "116"'
    ),
}


EQUAL_NOTIFICATIONS = {
    "field-renamed": 17,
    "type-changed": 17,
    "field-removed": 17,
    "event-dropped": 17,
    "event-doubled": 17,
    "subscription-doubled": 17,
    "event-moved": 17,
    "events-swapped": 16,  # of three, the second keeps its place
}
"""The equal notifications of 18, for the changes of notifications; an additional one changes no recorded one."""


def test_unchanged_server_has_no_differences(drifted: Mapping[str, Ended]) -> None:
    parity = "24 of 24 exchanges and 18 of 18 notifications are equal"
    summary = f"{RECORDED} against URL: 24 same, 0 drifted, 0 not played: 0 differences"
    assert drifted[""] == Ended(0, [TIMELINE, parity, summary], "")


def test_every_change_is_listed() -> None:
    assert set(DIFFERENCES) == set(CHANGES)
    assert len(CHANGES) >= 10


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_one_difference(change: str, drifted: Mapping[str, Ended]) -> None:
    parity = f"23 of 24 exchanges and {EQUAL_NOTIFICATIONS.get(change, 18)} of 18 notifications are equal"
    summary = f"{RECORDED} against URL: 23 same, 1 drifted, 0 not played: 1 difference"
    assert drifted[change] == Ended(1, [f"{RECORDED}:{DIFFERENCES[change]}", TIMELINE, parity, summary], "")
