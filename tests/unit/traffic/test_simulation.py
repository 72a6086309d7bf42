"""Simulated traffic: order, times, and an end for every scenario."""

from __future__ import annotations

from pathlib import Path

from cometreel.jsonvalue import decode
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
