"""The Bayeux application: publishes with faults, delayed replies, timelines and roles."""

from __future__ import annotations

import pytest

from cometreel.bayeux import BayeuxSettings
from cometreel.engine import Notification, ResponderRequest, Response
from cometreel.engine.bayeux_application import bayeux_settings, why_closed
from cometreel.jsonvalue import JSON
from cometreel.scenario import BayeuxSection
from cometreel.wire import Reply
from tests.unit.engine.conftest import Talk

CHAT = """
exchanges:
  - name: say
    request: {publish: /service/chat, data: {text: {$capture: text}}}
    reply: {after: 50ms, successful: true, data: {heard: {$t: "{{ text }}"}}}
    events:
      - {channel: /service/chat, data: at once}
      - {after: 1s, channel: /service/chat, data: later}
  - name: refused
    request: {publish: /service/chat, data: {bad: true}}
    reply: {successful: false, error: "403::no"}
"""
SAY: dict[str, JSON] = {"channel": "/service/chat", "data": {"text": "hi"}}


def test_the_reply_to_a_publish_is_sent_after_its_recorded_delay_with_its_events(conversation: Talk) -> None:
    talk = conversation(CHAT)
    a = talk.client().connects()
    a.sends_messages(SAY)
    talk.at(2.0)
    a.receives((0.05, "/service/chat", "at once"), (1.0, "/service/chat", "later"))
    assert {"channel": "/service/chat", "successful": True, "data": {"heard": "hi"}} in a.meta


def test_a_publish_is_refused_with_the_error_of_the_scenario(conversation: Talk) -> None:
    a = conversation(CHAT).client().connects()
    a.sends_messages({"channel": "/service/chat", "data": {"bad": True}})
    assert a.meta[-1] == {"channel": "/service/chat", "successful": False, "error": "403::no"}


@pytest.mark.parametrize(
    ("fault", "reply", "heard"),
    [
        ("status: 503", {"successful": False, "error": "503::fault"}, []),
        ("drop-event: 1", {"successful": True, "data": {"heard": "hi"}}, [(1.0, "/service/chat", "later")]),
        (
            "delay: 2s",
            {"successful": True, "data": {"heard": "hi"}},
            [(2.05, "/service/chat", "at once"), (2.05, "/service/chat", "later")],
        ),
    ],
)
def test_a_fault_on_a_publish_performs_its_action(
    conversation: Talk, fault: str, reply: dict[str, JSON], heard: list[tuple[float, str, JSON]]
) -> None:
    talk = conversation(f"{CHAT}faults: [{{exchange: say, {fault}}}]\n")
    a = talk.client().connects()
    a.sends_messages(SAY)
    talk.at(5.0)
    a.receives(*heard)
    assert {"channel": "/service/chat", **reply} in a.meta


def test_a_broken_publish_closes_the_connection_and_loses_no_message(conversation: Talk) -> None:
    talk = conversation(f"{CHAT}faults: [{{exchange: say, nth: 1, broken: true}}]\n")
    a = talk.client().connects()
    a.sends_messages(SAY)
    talk.at(2.0)
    a.receives((0.0, "Drop", None), (0.0, "/service/chat", "at once"), (1.0, "/service/chat", "later"))


def test_a_responder_can_answer_a_publish(conversation: Talk) -> None:
    talk = conversation(CHAT)

    def respond(request: ResponderRequest) -> Response | None:
        return Response({"echo": request.body}, events=[Notification("/c", 1), Notification("/c", 2, 1.0)])

    talk.backend.register(respond)
    a = talk.client().connects()
    a.sends_messages(SAY)
    talk.at(2.0)
    a.receives((0.0, "/c", 1), (1.0, "/c", 2))
    assert {"channel": "/service/chat", "successful": True, "data": {"echo": {"text": "hi"}}} in a.meta


ROLES = """
roles: {one: {user: ann}, two: {user: ben}}
exchanges:
  - {name: a, as: one, request: {method: POST, path: /x}, reply: {body: 1}}
  - {name: b, as: two, request: {method: POST, path: /x}, reply: {body: 2}}
timeline:
  - {as: one, since: connect, after: 1s, channel: /c, data: for one}
  - {as: two, since: connect, after: 1s, channel: /c, data: for two}
  - {as: two, since: connect, until: disconnect, after: 20s, channel: /c, data: too late}
"""


def test_timeline_entries_start_when_the_role_is_assigned_after_their_anchor(conversation: Talk) -> None:
    talk = conversation(ROLES)
    ann, other = talk.client("ann", user="ann").connects(), talk.client("other").connects()
    talk.at(3.0)
    ann.receives((1.0, "/c", "for one"))
    other.receives()
    ann.sends("POST", "/x")
    other.sends("POST", "/x")
    ann.receives((3.0, 200, "1"))
    other.receives((3.0, "/c", "for two"), (3.0, 200, "2"))
    other.sends_messages({"channel": "/meta/disconnect"})
    talk.at(30.0)
    other.receives()


def test_an_identifier_is_bound_to_the_first_value_that_a_session_sends(conversation: Talk) -> None:
    talk = conversation(
        """
exchanges:
  - name: ask
    request: {method: POST, path: /x, body: {place: {$id: place-1}}}
    reply: {body: {place: {$id: place-1}}}
    events: [{channel: /c, data: {place: {$id: place-1}}}]
"""
    )
    for name in ("north", "south"):
        a = talk.client(name).connects()
        a.sends("POST", "/x", {"place": name})
        a.receives((0.0, 200, {"place": name}), (0.0, "/c", {"place": name}))
        a.sends("POST", "/x", {"place": "elsewhere"})
        assert a.received.pop()[1] == 404
        talk.logged("warning: no exchange answers POST /x; nearest: 'ask'")


def test_waiting_notifications_are_bounded_and_the_oldest_are_dropped(conversation: Talk) -> None:
    talk = conversation(
        "exchanges:\n  - {name: x, request: {method: POST, path: /x},"
        " events: [{channel: /c, data: {$t: '{{ seq }}'}, count: 9}]}\n",
        max_waiting=3,
    )
    a = talk.client()
    a.sends("POST", "/x")
    a.connects()
    a.receives((0.0, 200, ""), (0.0, "/c", 6), (0.0, "/c", 7), (0.0, "/c", 8))
    talk.logged("warning: test.yaml:6:5: event 1 of 'x' on /c for session 1 is given up: queue full; ")
    assert [event.reason for event in talk.backend.journal.given_up.latest] == ["queue full"] * 6


def test_a_bayeux_block_overrides_only_the_settings_that_it_contains() -> None:
    assert bayeux_settings(BayeuxSection()) == BayeuxSettings()
    section = BayeuxSection(
        endpoint="/x", timeout_ms=2500, max_interval_seconds=7.5, ack=False, transports=("websocket",)
    )
    assert bayeux_settings(section) == BayeuxSettings(
        endpoint="/x", timeout=2.5, max_interval=7.5, ack=False, transports=("websocket",)
    )


FAULTS = """
exchanges: []
faults:
  - {meta: /meta/connect, nth: 1, status: 503, headers: {Retry-After: "7"}, body: {why: maintenance}}
  - {meta: /meta/subscribe, status: 502, headers: {Content-Type: text/html}, text: <h1>Bad Gateway</h1>}
  - {meta: /meta/unsubscribe, status: 500}
"""


@pytest.mark.parametrize(
    ("channel", "status", "fields", "body"),
    [
        (
            "/meta/connect",
            503,
            {"Retry-After": "7", "Content-Type": "application/json;charset=UTF-8"},
            b'{"why":"maintenance"}',
        ),
        ("/meta/subscribe", 502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>"),
        ("/meta/unsubscribe", 500, {}, b""),
    ],
)
def test_a_fault_with_a_status_on_a_meta_channel_has_its_headers_and_its_body(
    conversation: Talk, channel: str, status: int, fields: dict[str, str], body: bytes
) -> None:
    a = conversation(FAULTS).client().handshakes()
    a.sends_messages({"channel": channel, "subscription": "/a", "connectionType": "long-polling"})
    assert isinstance(a.last, Reply)
    assert (a.last.status, dict(a.last.headers), a.last.body) == (status, fields, body)
    a.received.clear()


def test_events_of_a_websocket_publish_with_a_delay_fault_are_not_delayed(conversation: Talk) -> None:
    """The next frame is not delayed either."""
    talk = conversation(f"{CHAT}faults: [{{exchange: say, nth: 1, delay: 2s}}]\n")
    a = talk.client()
    socket = a.opens_socket()
    a.handshakes(websocket=socket)
    for _ in range(2):
        a.sends_messages(SAY, websocket=socket)
        assert a.meta[-1]["channel"] == "/service/chat"
        a.receives((0.0, "/service/chat", "at once"))


def test_two_messages_of_one_request_are_delayed_by_the_longest_of_their_delays(conversation: Talk) -> None:
    faults = "[{meta: /meta/subscribe, delay: 2s}, {meta: /meta/unsubscribe, delay: 1s}]"
    talk = conversation(f"{CHAT}faults: {faults}\n")
    a = talk.client().handshakes()
    a.sends_messages(
        {"channel": "/meta/subscribe", "subscription": "/a"}, {"channel": "/meta/unsubscribe", "subscription": "/a"}
    )
    talk.at(1.9)
    assert [message["channel"] for message in a.meta] == ["/meta/handshake"]
    talk.at(2.0)
    assert [message["channel"] for message in a.meta[1:]] == ["/meta/subscribe", "/meta/unsubscribe"]


def test_a_delayed_reply_to_a_meta_message_is_sent_by_a_graceful_stop(conversation: Talk) -> None:
    talk = conversation(f"{CHAT}faults: [{{meta: /meta/subscribe, delay: 9s}}]\n")
    a = talk.client().handshakes()
    a.sends_messages({"channel": "/meta/subscribe", "subscription": "/a"})
    talk.do(talk.backend.release_all(talk.now))
    assert [message["channel"] for message in a.meta[1:]] == ["/meta/subscribe"]


def test_a_delay_fault_holds_a_poll_which_a_notification_answers(conversation: Talk) -> None:
    talk = conversation(f"{CHAT}faults: [{{meta: /meta/connect, nth: 2, delay: 9s}}]\n")
    a = talk.client().connects()
    a.sends_messages(SAY)
    talk.at(2.0)
    a.receives((0.05, "/service/chat", "at once"), (1.0, "/service/chat", "later"))
    b = talk.client("b").connects()
    held = b.held
    talk.at(10.9)
    assert b.held == held
    talk.at(11.0)
    assert b.held != held, "without a notification the poll times out after the delay"


def test_a_disconnect_fault_on_a_publish_ends_its_client_only(conversation: Talk) -> None:
    talk = conversation(
        f"{CHAT}faults: [{{exchange: say, disconnect: true}}]\n"
        "bayeux: {endpoint: /api/v2/notifications, max_sessions_per_browser: 5}\n"
    )
    a, b = talk.client("a").connects(), talk.client("b")
    b.cookies.update(a.cookies)
    b.connects()
    a.sends_messages(SAY)
    talk.at(0.5)
    assert [*talk.backend.server.client_ids()] == [b.client_id]
    a.received.clear()
    talk.at(2.0)
    b.receives((1.0, "/service/chat", "later"))
    talk.logs.clear()


def test_the_advice_of_a_402_is_that_of_the_scenario(conversation: Talk) -> None:
    fault = "{meta: /meta/connect, error: '402::gone', advice: {reconnect: none}}"
    a = conversation(f"{CHAT}faults: [{fault}]\n").client().handshakes()
    a.poll()
    assert (a.meta[-1]["error"], a.meta[-1]["advice"]) == ("402::gone", {"reconnect": "none"})


def test_a_handshake_that_a_fault_refuses_with_a_status_sets_cookies(conversation: Talk) -> None:
    talk = conversation("exchanges: []\nfaults: [{meta: /meta/handshake, status: 503, headers: {Retry-After: '7'}}]\n")
    a = talk.client()
    a.sends_messages({"channel": "/meta/handshake", "supportedConnectionTypes": ["long-polling"]})
    a.receives((0.0, 503, ""))
    assert "JSESSIONID" in a.cookies


@pytest.mark.parametrize(("length", "reason"), [(100, "JSON"), (101, "found 101 bytes; expected at most 100")])
def test_the_reason_for_a_closed_websocket_is_its_size_only_above_the_limit(length: int, reason: str) -> None:
    why = why_closed("x" * length, BayeuxSettings(max_message_bytes=100))
    assert why is not None
    assert reason in why
