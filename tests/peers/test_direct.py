"""Each third-party client directly against the stand-in: checks the peers themselves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import httpx
import pytest

from cometreel.jsonvalue import JSON
from demo import peers
from demo.client_output import ClientOutput, differences

WORKBINS, WORKITEMS = "/v2/me/workbins", "/v2/me/workitems"
ANN = (peers.ANN.user, peers.ANN.password)


@pytest.mark.parametrize("run", [*peers.CLIENTS, "csrf"])
def test_workload_completes(run: str, direct: dict[str, ClientOutput]):
    result = direct[run]
    assert [reply["status"] for reply in result.replies] == [403] + 21 * [200] + [404, 200, 200]
    assert {channel: len(data) for channel, data in result.messages.items()} == {WORKBINS: 18, WORKITEMS: 2}
    assert [event["channel"] for event in result.met] == [
        "/meta/handshake",
        "/meta/subscribe",
        "/meta/subscribe",
        "/meta/disconnect",
    ]
    assert all(event["successful"] for event in result.met)


@pytest.mark.parametrize("run", ["cometd-9", "aiocometd-ng", "csrf", "again"])
def test_all_clients_and_runs_receive_the_same(run: str, direct: dict[str, ClientOutput]):
    assert differences(direct["cometd-3"], direct[run]) == ""


def test_comparison_finds_differences(direct: dict[str, ClientOutput]):
    """Ben's statistics differ from Ann's."""
    assert "d5b0a1e2-7c3f-4a86-9e21-0f4b6c8d1a02" in differences(direct["cometd-9"], direct["ben"])


def test_notification_and_reply_race_in_both_directions(direct: dict[str, ClientOutput]):
    order = [line for line in direct["cometd-9"].order if line.startswith("reply stats") or line.endswith(WORKBINS)][
        :12
    ]
    firsts = {first.startswith("message") for first in order[::2]}
    assert firsts == {True, False}, order


def test_reference_ids_increase_and_skip(direct: dict[str, ClientOutput]):
    bodies = [reply["body"] for reply in direct["cometd-3"].replies]
    found = [body["referenceId"] for body in bodies if isinstance(body, dict) and "referenceId" in body]
    steps = {int(str(after)) - int(str(before)) for before, after in pairwise(found)}
    assert min(steps) > 0
    assert max(steps) > 1


REFUSALS = [
    ("GET", "/api/v2/me", None, None, 403, {"statusCode": 20, "statusMessage": "Access denied"}),
    ("GET", "/api/v2/me", (ANN[0], "wrong"), None, 403, {"statusCode": 20, "statusMessage": "Access denied"}),
    ("POST", "/api/v2/notifications/handshake", None, [{"channel": "/meta/handshake"}], 403, None),
    ("POST", "/api/v2/workbins", ANN, {"operationName": "RequestAgentStats"}, 500, None),
    ("GET", "/api/v2/nothing", ANN, None, 404, {"statusCode": 6, "statusMessage": "Resource is not found."}),
    ("POST", "/api/v2/me", ANN, {"operationName": "Dance"}, 400, None),
]


def test_refusals_of_the_stand_in(stand_in: Callable[..., str]):
    base = stand_in()
    for method, path, auth, body, status, expected in REFUSALS:
        reply = httpx.request(method, base + path, auth=auth, json=body)
        assert reply.status_code == status, (method, path)
        found: JSON = reply.json()
        assert expected is None or found == expected


def test_csrf_protection(stand_in: Callable[..., str]):
    """A GET returns the header and the token; a POST without it is refused, except for notifications."""
    with httpx.Client(base_url=stand_in("--csrf"), auth=ANN) as session:
        announced = session.get("/api/v2/me").headers
        start = {"operationName": "StartContactCenterSession", "channels": ["workitem"]}
        refused = session.post("/api/v2/me", json=start)
        assert (refused.status_code, refused.text) == (403, "Missing or invalid Csrf token")
        token = {announced["X-CSRF-HEADER"]: announced["X-CSRF-TOKEN"]}
        assert session.post("/api/v2/me", json=start, headers=token).json() == {"statusCode": 0}
        handshake = [{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}]
        assert session.post("/api/v2/notifications/handshake", json=handshake).json()[0]["successful"]
