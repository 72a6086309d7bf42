"""Simulated traffic: order, times, and an end for every scenario."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import cast

from cometreel.jsonvalue import JSON, JSONObject, decode
from cometreel.traffic.simulation import simulate


def scenario(folder: Path, text: str) -> Path:
    path = folder / "play.yaml"
    path.write_text("cometreel: 1\nbayeux: {endpoint: /cometd}\n" + text)
    return path


def test_a_call_is_sent_when_all_effects_of_the_previous_one_are_over(tmp_path: Path):
    path = scenario(
        tmp_path,
        "exchanges:\n"
        "  - name: a\n    request: {method: GET, path: /a}\n    reply: {after: 1s}\n"
        "    events: [{after: 2s, channel: /x, data: 1}, {after: 3s, channel: /x, data: 2, count: 3, gap: 1s}]\n"
        "  - name: b\n    request: {method: GET, path: /b}\n",
    )
    calls = [one for one in simulate(path).transactions if one.request.method == "GET"]
    assert [(one.request.path, one.at, one.ended) for one in calls] == [("/a", 0.0, 1.0), ("/b", 5.05, 5.05)]


def test_events_arrive_on_held_polls_at_their_own_times(tmp_path: Path):
    path = scenario(
        tmp_path,
        "exchanges:\n  - name: a\n    request: {method: GET, path: /a}\n"
        "    events: [{after: 1s, channel: /x, data: 1}, {after: 1s, channel: /x, data: 2},\n"
        "      {after: 2s, channel: /x, data: 3}]\n",
    )
    received = [
        (one.ended, message["data"])
        for one in simulate(path).transactions
        if one.reply and one.request.path == "/cometd"
        for message in decode(one.reply.body)  # type: ignore[union-attr]  # Bayeux replies are lists of messages
        if isinstance(message, dict) and message.get("channel") == "/x"
    ]
    assert received == [(1.0, 1), (1.0, 2), (2.0, 3)]


def test_a_server_that_never_holds_a_poll_is_polled_once_a_second(tmp_path: Path):
    path = tmp_path / "busy.yaml"
    path.write_text(
        "cometreel: 1\nbayeux: {endpoint: /cometd, advice: {timeout: 0, interval: 0}}\n"
        "exchanges:\n  - name: a\n    request: {method: GET, path: /a}\n    reply: {after: 10s}\n"
    )
    assert len(simulate(path).transactions) < 30


def test_the_simulation_waits_for_a_reply_with_a_computed_delay(tmp_path: Path):
    path = scenario(
        tmp_path,
        "exchanges:\n  - name: a\n    request: {method: GET, path: /a}\n    reply: {after: {$t: '{{ 5 }}s'}}\n"
        "  - name: b\n    request: {method: GET, path: /b}\n",
    )
    calls = [one for one in simulate(path).transactions if one.request.method == "GET"]
    assert [one.reply is not None for one in calls] == [True, True]
    assert calls[0].ended == 5.0


def test_every_request_is_answered_and_the_client_disconnects(tmp_path: Path):
    path = scenario(tmp_path, "exchanges:\n  - name: a\n    request: {method: GET, path: /a}\n")
    assert [one for one in simulate(path).transactions if one.reply is None] == []
    assert b"/meta/disconnect" in simulate(path).transactions[-1].request.body


def test_times_begin_when_the_scenario_was_recorded(tmp_path: Path):
    path = scenario(
        tmp_path,
        "source: {recorded: 2026-11-23T10:00:00Z}\nexchanges:\n  - name: a\n    request: {method: GET, path: /a}\n",
    )
    assert min(one.at for one in simulate(path).transactions) == 1795428000.0


def received_by_user(path: Path) -> dict[str, list[JSON]]:
    """Return the data of the notifications that each user received, from the user's login."""
    users: dict[str, str] = {}
    received: dict[str, list[JSON]] = {}
    for one in simulate(path).transactions:
        login, cookie = one.request.headers.get("authorization"), one.request.headers.cookies().get("JSESSIONID")
        for field in one.reply.headers.get_all("set-cookie") if one.reply else ():
            cookie = field.removeprefix("JSESSIONID=").partition(";")[0] if field.startswith("JSESSIONID=") else cookie
        if login and cookie:
            users[cookie] = base64.b64decode(login.removeprefix("Basic ")).decode().partition(":")[0]
        if one.request.path == "/cometd" and one.reply:
            for message in cast("list[JSONObject]", decode(one.reply.body)):
                if "data" in message:
                    received.setdefault(str(cookie), []).append(message["data"])
    return {users[cookie]: data for cookie, data in received.items()}


SHARED = """\
roles: {ann: {}, ben: {user: benjamin}, eve: {}}
exchanges:
  - name: offer
    as: ann
    request: {method: POST, path: /offers}
    events:
      - {after: 1s, channel: /offers, data: for ben, deliver: ben}
      - {after: 2s, channel: /news, data: for all, deliver: subscribers}
timeline:
  - {since: {subscribe: /offers}, as: eve, after: 1s, channel: /offers, data: for eve}
"""


def test_each_receiver_of_a_notification_is_a_client(tmp_path: Path):
    path = scenario(tmp_path, SHARED)
    assert received_by_user(path) == {
        "ann": ["for all"],
        "benjamin": ["for ben", "for all"],
        "eve": ["for eve", "for all"],
    }
    assert simulate(path).notes == ()


def test_notifications_that_no_client_gets_are_noted(tmp_path: Path):
    path = scenario(
        tmp_path,
        "exchanges:\n  - name: a\n    request: {method: GET, path: /a}\n"
        "    events: [{channel: {$t: '{{ \"/x\" }}'}, data: 1, deliver: subscribers, count: 2}]\n",
    )
    assert simulate(path).notes == ("2 of the notifications of 'a' are left out: no subscriber",)
