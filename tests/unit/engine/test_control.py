"""Inspecting and controlling a running replay, in virtual time."""

from __future__ import annotations

import pytest

from cometreel.engine import Backend, Call, Control, Response
from cometreel.errors import FileInvalid, OptionInvalid
from cometreel.jsonvalue import JSON
from cometreel.scenario import ExchangeBlock, FaultBlock, loads
from cometreel.scenario.model import FAULT_ACTIONS
from cometreel.wire import Request
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import ENDPOINT, Client, Conversation, whole

CHANNEL = "/v2/me/workbins"
SCENARIO = """
roles: {agent-1: {user: kate}, agent-2: {user: tom}}
exchanges:
  - name: stats
    request:
      method: POST
      path: /api/v2/workbins
      body: {operationName: RequestAgentStats, workbinType: Place, workbinOwner: Place1}
    reply: {after: 100ms, body: {statusCode: 0}}
    events:
      - {after: 200ms, channel: /v2/me/workbins, data: {n: 1}}
  - name: me
    request: {method: GET, path: /api/v2/me}
    reply: {status: 201, body: {}}
  - name: chat
    request: {publish: /service/chat, data: {operationName: Say}}
    reply: {successful: true}
"""
PATH = "/api/v2/workbins"
ASK: JSON = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place1"}


def control_of(talk: Conversation) -> Control:
    return Control(talk.backend)


def request_stats(client: Client) -> None:
    client.sends("POST", PATH, ASK)


# ---------------------------------------------------------------------- sessions
def test_sessions_list_their_clients_without_secrets(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client("a", user="kate").connects("/v2/me/*")
    talk.at(2.0)
    talk.client("b").sends("GET", "/api/v2/me")
    talk.clients[1].receives((2.0, 201, {}))
    seen = control_of(talk).sessions
    assert [(one.number, one.role, one.user, one.authenticated) for one in seen] == [
        (1, "agent-1", "kate", True),
        (2, None, None, False),
    ]
    assert [(one.started, one.last_request, one.waiting) for one in seen] == [(1000.0, 1000.0, 0), (1002.0, 1002.0, 0)]
    ((client,), ()) = (one.clients for one in seen)
    assert (client.transport, client.polls, client.subscriptions, client.waiting) == (
        "long-polling",
        True,
        ("/v2/me/*",),
        0,
    )
    assert len(client.label) == 8
    assert not [secret for secret in (*a.cookies.values(), a.client_id) if secret in repr(seen)]


def test_waiting_notifications_are_counted_per_session_and_per_client(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, b = talk.client("a").connects(), talk.client("b")
    b.sends("GET", "/api/v2/me")
    a.disconnects()
    b.receives((0.0, 201, {}))
    control = control_of(talk)
    for _ in range(2):
        talk.do(control.push(CHANNEL, "later", now=talk.now))
    one, two = control.sessions
    assert ([client.waiting for client in one.clients], one.waiting) == ([2], 0)
    assert (two.clients, two.waiting) == ((), 2)
    assert control.held_polls == 0


# ---------------------------------------------------------------------- calls
def test_a_call_has_its_request_and_its_reply(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client(user="kate")
    request_stats(a)
    talk.at(1.0)
    a.receives((0.1, 200, {"statusCode": 0}))
    (call,) = control_of(talk).calls
    assert (call.number, call.at, call.session, call.role, call.user) == (1, 1000.0, 1, "agent-1", "kate")
    assert (call.method, call.target, call.data) == ("POST", PATH, ASK)
    assert (call.operation, call.owner_type, call.owner) == ("RequestAgentStats", "Place", "Place1")
    assert (call.exchange, call.status, call.outcome, call.miss) == ("stats", 200, "played", None)
    assert str(call) == "POST /api/v2/workbins (RequestAgentStats Place Place1) by session 1, kate: 'stats'"


def fill(talk: Conversation) -> Control:
    """Make six calls, one of each kind."""
    a, b = talk.client("a", user="kate").connects(), talk.client("b")
    request_stats(a)
    b.sends("GET", "/api/v2/me/", query="x=1")
    b.sends("GET", "/api/v2/me")
    a.sends_messages({"channel": "/service/chat", "data": {"operationName": "Say"}})
    a.sends_messages({"channel": "/news", "data": 1})
    b.sends("PUT", "/elsewhere", text=b"\xff")
    talk.at(1.0)
    for client in (a, b):
        client.received.clear()
    talk.logs.clear()
    return control_of(talk)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"operation": "RequestAgentStats"}, [1]),
        ({"operation": "RequestAgentStats", "owner_type": "Agent"}, []),
        ({"owner_type": "Place", "owner": "Place1"}, [1]),
        ({"operation": None}, [2, 3, 5, 6]),
        ({"method": "get"}, [2, 3]),
        ({"path": "/api/v2/me"}, [2, 3]),
        ({"path": "/service/chat"}, [4]),
        ({"exchange": "stats"}, [1]),
        ({"exchange": None}, [2, 5, 6]),
        ({"session": 2}, [2, 3, 6]),
        ({"user": "kate", "role": "agent-1"}, [1, 4, 5]),
        ({"user": None}, [2, 3, 6]),
        ({"outcome": "missed"}, [2, 6]),
        ({"outcome": "broadcast"}, [5]),
    ],
)
def test_calls_are_filtered_by_their_attributes(
    conversation: Talk, wanted: dict[str, object], numbers: list[int]
) -> None:
    calls = fill(conversation(SCENARIO)).calls
    assert [call.number for call in calls(**wanted)] == numbers  # type: ignore[arg-type]  # the table's rows differ in type


def test_filtered_calls_and_slices_can_be_filtered_again(conversation: Talk) -> None:
    calls = fill(conversation(SCENARIO)).calls
    assert calls(session=2)(method="GET") == [calls[1], calls[2]]
    assert calls[4:].since(5) == calls[-1:]
    assert calls != "calls"


def test_a_call_is_created_once(conversation: Talk) -> None:
    control = fill(conversation(SCENARIO))
    assert [id(call) for call in control.calls] == [id(call) for call in control.calls]


def test_an_unknown_filter_lists_the_valid_names(conversation: Talk) -> None:
    calls = control_of(conversation(SCENARIO)).calls
    with pytest.raises(OptionInvalid) as caught:
        calls(operatoin="x")  # type: ignore[call-arg]  # the unknown filter is the subject of the test
    assert str(caught.value) == (
        "operatoin: calls can't be filtered by it; expected one of operation, owner_type, owner, method, path, body, "
        "exchange, session, user, role, outcome (did you mean 'operation'?)"
    )


def test_refused_calls_can_be_filtered_by_reason(conversation: Talk) -> None:
    talk = conversation(SCENARIO, auth="csrf")
    a = talk.client()
    a.sends("POST", PATH, ASK)
    a.receives((0.0, 403, {"statusCode": 3, "statusMessage": "Missing or invalid Csrf token"}))
    calls = control_of(talk).calls
    (call,) = calls(outcome="refused")
    assert calls(outcome="refused: no CSRF token") == [call]
    assert calls(outcome="refused: something else") == []
    assert (call.outcome, call.status) == ("refused: no CSRF token", 403)


def test_a_profile_defines_where_the_operation_is_in_a_body(conversation: Talk) -> None:
    talk = conversation("correlation: {operation: /op, owner: [/data/who], owner_type: [/data/kind]}\n" + SCENARIO)
    a = talk.client()
    a.sends("POST", "/x", {"op": "Ask", "operationName": "Other", "data": {"who": "Kate", "kind": 1}})
    talk.logs.clear()
    a.received.clear()
    (call,) = control_of(talk).calls
    assert (call.operation, call.owner, call.owner_type) == ("Ask", "Kate", None)


def test_session_ids_in_paths_are_removed_from_calls(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client()
    a.sends("GET", "/api/v2/me;jsessionid=0123456789")
    a.receives((0.0, 201, {}))
    assert control_of(talk).calls[0].target == "/api/v2/me"


# ---------------------------------------------------------------------- what went wrong
def test_an_unmatched_call_has_near_misses_and_is_kept_longer_than_other_calls(conversation: Talk) -> None:
    talk = conversation(SCENARIO, max_calls=3)
    a = talk.client()
    a.sends("POST", PATH, {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place2"})
    talk.logged("warning: no exchange answers POST /api/v2/workbins; nearest: 'stats'")
    for _ in range(3):
        a.sends("GET", "/api/v2/me")
    a.received.clear()
    control = control_of(talk)
    assert [call.number for call in control.calls] == [2, 3, 4]
    (call,) = control.unmatched
    assert call.miss is not None
    assert (call.number, call.status, [near.exchange.name for near in call.miss.nearest]) == (1, 404, ["stats"])


def test_a_near_miss_masks_passwords(conversation: Talk) -> None:
    talk = conversation("""
exchanges:
  - {name: login, request: {method: POST, path: /login, body: {user: kate, password: right}}}
  - {name: logout, request: {method: POST, path: /logout}}
""")
    a = talk.client()
    a.sends("POST", "/login", {"user": "tom", "password": "s3cret"})
    a.sends("POST", "/logout", {"user": "tom", "password": "s3cret"})
    assert "password is [hidden], expected right" in talk.logs[0]
    assert [text for text in (*talk.logs, *map(repr, a.received)) if "s3cret" in text] == []
    talk.logs.clear()
    a.received.clear()


FAILING = """
exchanges:
  - {name: broken, request: {method: GET, path: /broken}, reply: {body: {$t: "{{ request.body.id }}"}}}
  - {name: page, request: {method: GET, path: /page}}
  - name: broken too
    request: {publish: /service/broken}
    reply: {data: {$t: "{{ request.body.id }}"}}
"""


def test_a_failed_call_has_its_error_and_is_kept_until_a_reset(conversation: Talk) -> None:
    talk = conversation(FAILING, max_calls=2)
    a = talk.client().connects()
    a.sends("GET", "/broken")
    a.sends_messages({"channel": "/service/broken", "data": None})
    for _ in range(3):
        a.sends("GET", "/page")
    control = control_of(talk)
    assert [call.number for call in control.calls] == [4, 5]
    assert [(call.number, call.outcome, call.status) for call in control.failed] == [
        (1, "failed", 500),
        (2, "failed", None),
    ]
    assert [call.failure for call in control.failed] == [line.removeprefix("error: ") for line in talk.logs]
    assert control.unmatched == []
    control.reset(now=talk.now)
    assert control.failed == []
    a.received.clear()
    talk.logs.clear()


def test_an_unanswered_publish_is_unmatched_only_on_a_service_channel(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client().connects()
    a.sends_messages({"channel": "/news", "data": 1})
    a.sends_messages({"channel": "/service/news", "data": 1})
    talk.logged("warning: no exchange answers the publish on /service/news")
    assert [call.target for call in control_of(talk).unmatched] == ["/service/news"]


def test_unplayed_exchanges_of_all_sessions_are_listed_in_file_order(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    control = control_of(talk)
    assert control.unplayed == ("stats", "me", "chat")
    a, b = talk.client("a"), talk.client("b").connects()
    a.sends("GET", "/api/v2/me")
    b.sends_messages({"channel": "/service/chat", "data": {"operationName": "Say"}})
    a.receives((0.0, 201, {}))
    assert [*control.unplayed] == ["stats"]


def test_the_journal_limits_the_total_size_of_bodies(monkeypatch: pytest.MonkeyPatch, conversation: Talk) -> None:
    monkeypatch.setattr("cometreel.engine.request_journal._MAX_BYTES", 250)
    monkeypatch.setattr("cometreel.engine.request_journal._MAX_UNMATCHED_BYTES", 150)
    talk = conversation(SCENARIO)
    a = talk.client()
    for _ in range(4):
        a.sends("GET", "/api/v2/me", text=b"x" * 100)
    a.received.clear()
    talk.logs.clear()
    control = control_of(talk)
    assert [call.number for call in control.calls] == [3, 4]
    assert [call.number for call in control.unmatched] == [4]


def test_a_listener_is_called_with_each_call_until_it_is_removed(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, heard = talk.client(), list[int]()
    stop = control_of(talk).listen(lambda call: heard.append(call.number))
    a.sends("GET", "/api/v2/me")
    stop()
    a.sends("GET", "/api/v2/me")
    a.received.clear()
    assert heard == [1]


# ---------------------------------------------------------------------- push
def test_a_push_goes_to_one_session_to_a_user_or_to_all(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, b = talk.client("a", user="kate").connects(), talk.client("b", user="tom").connects()
    control = control_of(talk)
    talk.at(1.0)
    talk.do(control.push(CHANNEL, {"to": "all"}, now=talk.now))
    talk.at(2.0)
    talk.do(control.push(CHANNEL, {"to": "two"}, now=talk.now, session=2))
    talk.do(control.push(CHANNEL, {"to": "kate"}, now=talk.now, user="kate", ext={"x": 1}))
    a.receives((1.0, CHANNEL, {"to": "all"}), (2.0, CHANNEL, {"to": "kate"}))
    b.receives((1.0, CHANNEL, {"to": "all"}), (2.0, CHANNEL, {"to": "two"}))
    assert (control.receivers(), control.receivers(user="tom")) == ((1, 2), (2,))


def test_a_push_waits_for_a_session_that_has_no_client_yet(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client()
    a.sends("GET", "/api/v2/me")
    talk.do(control_of(talk).push(CHANNEL, "early", now=talk.now))
    a.receives((0.0, 201, {}))
    talk.at(1.0)
    a.connects()
    a.receives((1.0, CHANNEL, "early"))


def test_a_push_is_delivered_after_notifications_that_were_due_earlier(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client().connects()
    request_stats(a)
    talk.now += 0.3  # the backend was not called yet
    talk.do(control_of(talk).push(CHANNEL, "last", now=talk.now))
    a.receives((0.3, 200, {"statusCode": 0}), (0.3, CHANNEL, {"n": 1}), (0.3, CHANNEL, "last"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"session": 9}, "session: no live session has the number 9; expected 1, 2"),
        ({"user": "ann"}, "user: 'ann' has no live session; expected kate"),
        ({"session": 2, "user": "kate"}, "user: session 2 isn't 'kate''s; expected one of session and user"),
        ({"channel": "news"}, "channel: the text 'news'; expected a channel such as /v2/me/workbins"),
        ({"channel": "/meta/connect"}, "channel: the text '/meta/connect'; expected a channel of the application"),
        ({"data": float("nan")}, "data: it can't be encoded: Out of range float values are not JSON compliant"),
        ({"data": object}, "data: it can't be encoded: Object of type type is not JSON serializable"),
    ],
)
def test_an_invalid_push_is_refused_with_its_reason(
    conversation: Talk, arguments: dict[str, object], text: str
) -> None:
    talk = conversation(SCENARIO)
    a, b = talk.client("a", user="kate").connects(), talk.client("b").connects()
    with pytest.raises(OptionInvalid) as caught:
        control_of(talk).push(**({"channel": CHANNEL, "data": 1, "now": talk.now} | arguments))  # type: ignore[arg-type]  # wrong on purpose
    assert str(caught.value).startswith(text)
    a.receives()
    b.receives()


def test_a_push_to_a_user_without_a_session_is_refused(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    with pytest.raises(OptionInvalid, match="expected none: there is no live session"):
        control_of(talk).push(CHANNEL, 1, now=talk.now, user="kate")
    assert control_of(talk).push(CHANNEL, 1, now=talk.now) == []


# ---------------------------------------------------------------------- faults
def test_an_added_fault_is_triggered_until_it_is_removed(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, control = talk.client(), control_of(talk)
    armed = control.add_fault({"exchange": "me", "status": 503, "body": {"down": True}})
    a.sends("GET", "/api/v2/me")
    control.remove_fault(armed.number)
    a.sends("GET", "/api/v2/me")
    a.receives((0.0, 503, {"down": True}), (0.0, 201, {}))
    assert [(call.outcome, call.status) for call in control.calls] == [("fault: status 503", 503), ("played", 201)]


def test_an_added_fault_counts_requests_from_its_addition(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, control = talk.client(), control_of(talk)
    a.sends("GET", "/api/v2/me")
    for _ in range(2):
        control.add_fault({"exchange": "me", "nth": 2, "status": 503})
        a.sends("GET", "/api/v2/me")
        a.sends("GET", "/api/v2/me")
    a.receives((0.0, 201, {}), (0.0, 201, {}), (0.0, 503, ""), (0.0, 201, {}), (0.0, 503, ""))


def test_a_fault_on_a_meta_channel_can_be_added_for_one_session(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, b = talk.client("a").connects(), talk.client("b").connects()
    control_of(talk).add_fault({"meta": "/meta/subscribe", "error": "403::no"}, session=2)
    for client in (a, b):
        client.sends_messages({"channel": "/meta/subscribe", "subscription": "/c"})
    assert [client.meta[-1]["successful"] for client in (a, b)] == [True, False]


def test_faults_are_listed_in_the_syntax_of_the_scenario(conversation: Talk) -> None:
    scenario = SCENARIO + "faults:\n  - {exchange: [stats, me], as: agent-1, every: 2, delay: 1500ms}\n"
    talk = conversation(scenario)
    talk.client().sends("GET", "/api/v2/me")
    talk.clients[0].received.clear()
    control = control_of(talk)
    written: list[dict[str, JSON]] = [
        {"exchange": "me", "status": 500, "headers": {"X": "1"}, "text": "no"},
        {"exchange": "me", "nth": 1, "status": 500, "body": None},
        {"exchange": "me", "drop-event": 1},
        {"exchange": "me", "rate": 0.5, "duplicate-event": True},
        {"exchange": "me", "broken": True},
        {"exchange": "me", "disconnect": True},
        {"meta": "/meta/subscribe", "channel": "/c", "error": "403::no", "advice": {"reconnect": "none"}},
    ]
    for fault in written:
        control.add_fault(fault, session=1)
    first, *rest = control.faults
    assert (first.number, first.written, first.session) == (
        1,
        {"exchange": ["me", "stats"], "as": "agent-1", "every": 2, "delay": "1.5s"},
        None,
    )
    assert first.position is not None
    assert first.position.startswith("test.yaml:")
    assert [(seen.number, seen.written, seen.session, seen.position) for seen in rest] == [
        (number, fault, 1, None) for number, fault in enumerate(written, start=2)
    ]


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        (
            {"exchange": "mee", "as": "agent-3", "status": 503},
            [
                "fault: as: unknown role 'agent-3'; expected agent-1, agent-2 (did you mean 'agent-2'?)",
                "fault: exchange: unknown exchange 'mee'; expected the name of an exchange (did you mean 'me'?)",
            ],
        ),
        ({"exchange": "me", "status": 99}, ["fault: status: the number 99; expected an HTTP status from 200 to 599"]),
        (
            {},
            [
                f"fault: the fault has no action; expected one of {', '.join(sorted(FAULT_ACTIONS))}",
                "fault: the fault has no target; expected exchange: NAME or meta: /meta/…",
            ],
        ),
    ],
)
def test_an_invalid_fault_is_refused_with_all_problems(
    conversation: Talk, fault: dict[str, JSON], lines: list[str]
) -> None:
    control = control_of(conversation(SCENARIO))
    with pytest.raises(FileInvalid) as caught:
        control.add_fault(fault)
    assert str(caught.value).splitlines() == lines
    assert control.faults == ()


def test_an_unknown_session_or_fault_number_is_an_error(conversation: Talk) -> None:
    control = control_of(conversation(SCENARIO))
    with pytest.raises(OptionInvalid, match="session: no live session has the number 4; expected none"):
        control.add_fault({"exchange": "me", "status": 503}, session=4)
    with pytest.raises(OptionInvalid, match="fault: no active fault has the number 1; expected none"):
        control.remove_fault(1)


# ---------------------------------------------------------------------- the whole
def test_a_new_speed_applies_to_later_actions_only(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, control = talk.client().connects(), control_of(talk)
    request_stats(a)
    talk.do(control.set_speed(10, now=talk.now))
    talk.at(1.0)
    a.receives((0.1, 200, {"statusCode": 0}), (0.2, CHANNEL, {"n": 1}))
    request_stats(a)
    talk.at(2.0)
    a.receives((1.01, 200, {"statusCode": 0}), (1.02, CHANNEL, {"n": 1}))
    assert control.settings.speed == 10
    with pytest.raises(OptionInvalid, match="speed: -1 can't be used"):
        control.set_speed(-1, now=talk.now)


def test_replacing_the_scenario_keeps_the_speed(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, control = talk.client(), control_of(talk)
    talk.do(control.set_speed(0, now=talk.now))
    talk.do(control.replace(loads(whole(SCENARIO.replace("statusCode: 0", "statusCode: 7"))), now=talk.now))
    request_stats(a)
    a.receives((0.0, 200, {"statusCode": 7}))


def test_replacing_the_scenario_removes_added_faults_and_does_not_reuse_their_numbers(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    control = control_of(talk)
    control.add_fault({"exchange": "me", "status": 503})
    again = loads(whole(SCENARIO + "faults: [{exchange: me, status: 500}]\n"))
    talk.do(control.replace(again, now=talk.now))
    assert [(seen.number, seen.written) for seen in control.faults] == [(2, {"exchange": "me", "status": 500})]


def test_a_reset_clears_sessions_calls_plays_and_added_faults(conversation: Talk) -> None:
    talk = conversation(SCENARIO + "faults: [{exchange: me, nth: 2, status: 500}]\n")
    a, control = talk.client(user="kate").connects(), control_of(talk)
    held = a.held
    request_stats(a)
    a.sends("GET", "/api/v2/me")
    control.add_fault({"exchange": "me", "status": 503})
    a.polls = False
    talk.do(control.reset(now=talk.now))
    a.receives((0.0, 201, {}), (0.0, 200, {"statusCode": 0}))
    assert a.last is not None
    assert a.last.request_id == held, "the held poll is answered"
    assert ([*control.sessions], [*control.calls], [*control.unmatched]) == ([], [], [])
    assert control.unplayed == ("stats", "me", "chat")
    assert [seen.written for seen in control.faults] == [{"exchange": "me", "nth": 2, "status": 500}]
    talk.at(1.0)
    a.receives()
    a.sends("GET", "/api/v2/me")
    a.receives((1.0, 201, {}))
    assert [call.number for call in control.calls] == [3], "numbers go on"
    assert [one.number for one in control.sessions] == [1]


def test_a_cookie_from_before_a_reset_is_not_valid_for_a_new_session(conversation: Talk) -> None:
    talk = conversation(SCENARIO, seed="fixed")
    a, b = talk.client("a"), talk.client("b")
    a.sends("GET", "/api/v2/me")
    old = dict(a.cookies)
    talk.do(control_of(talk).reset(now=talk.now))
    b.sends("GET", "/api/v2/me")
    a.sends("GET", "/api/v2/me")
    a.received.clear()
    b.received.clear()
    assert old != b.cookies
    assert [call.session for call in control_of(talk).calls] == [1, 2]


def test_a_client_is_advised_to_handshake_after_a_reset(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client().connects()
    talk.do(control_of(talk).reset(now=talk.now))
    assert a.meta[-1]["error"] == "402::Unknown client"
    assert a.meta[-1]["advice"] == {"interval": 0, "reconnect": "handshake"}


def test_a_reset_closes_websockets_and_ignores_their_end(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, socket = talk.client(), talk.number()
    talk.send(a, Request(socket, "GET", ENDPOINT, websocket=True))
    talk.do(control_of(talk).reset(now=talk.now))
    a.receives((0.0, "Accept", None), (0.0, "Drop", None))
    a.sends_messages(
        {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["websocket"]}, websocket=socket
    )
    assert a.meta == []


# ---------------------------------------------------------------------- counters
def test_requests_events_and_lateness_are_counted(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    control = control_of(talk)
    a = talk.client().connects()
    request_stats(a)
    talk.now += 0.1
    talk.do(talk.backend.advance(talk.now))
    talk.now += 0.13
    talk.do(talk.backend.advance(talk.now))  # 30 ms too late
    talk.do(control.push(CHANNEL, 2, now=talk.now))
    a.received.clear()
    counters = control.counters
    assert dict(counters.requests) == {"bayeux": 5, "http": 1}
    assert dict(control.outcomes) == {"played": 1}
    assert (counters.events, sum(counters.lateness.counts), counters.lateness.counts[5]) == (2, 1, 1)
    assert round(counters.lateness.total, 6) == 0.03
    assert (control.session_count, control.held_polls) == (1, 1)


def test_a_reset_keeps_the_counters(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client()
    a.sends("GET", "/api/v2/me")
    a.received.clear()
    control = control_of(talk)
    talk.do(control.reset(now=talk.now))
    assert (dict(control.counters.requests), dict(control.outcomes)) == ({"http": 1}, {"played": 1})


def test_a_control_needs_only_a_backend() -> None:
    control = Control(Backend(loads(whole(SCENARIO))))
    assert (control.scenario.title, [*control.sessions], [*control.calls]) == ("a test", [], [])


# ---------------------------------------------------------------------- what is added and removed
def exchange(name: str, text: str, **more: JSON) -> ExchangeBlock:
    return ExchangeBlock.model_validate(
        {"name": name, "request": {"method": "GET", "path": "/added"}, "reply": {"text": text}, **more}
    )


def test_an_added_exchange_is_played_until_it_is_removed(conversation: Talk) -> None:
    """Another exchange of its name is one that was never played."""
    talk = conversation(SCENARIO + "  - {name: n1, request: {method: GET, path: /n}, reply: {text: '1'}}\n" + CYCLE)
    a, control = talk.client(), control_of(talk)

    def answers(path: str, times: int = 1) -> list[JSON]:
        for _ in range(times):
            a.sends("GET", path)
        heard, a.received = [body if what == 200 else what for _, what, body in a.received], []
        return heard

    assert answers("/n", 3) == ["1", "2", "1"]
    for text in ("first", "second"):
        talk.do(control.add([exchange("new", text, repeat="fail")], now=talk.now))
        assert answers("/added", 2) == [text, 404]
        assert control.unplayed == ("stats", "me", "chat")
        talk.do(control.remove(["new"], now=talk.now))
        assert answers("/added") == [404]
    assert answers("/n") == ["2"]
    talk.logs.clear()


CYCLE = "  - {name: n2, request: {method: GET, path: /n}, reply: {text: '2'}, repeat: cycle}\n"


def test_an_addition_leaves_the_faults_as_they_are(conversation: Talk) -> None:
    """An exchange can be removed together with the fault that names it."""
    talk = conversation(SCENARIO + "faults: [{exchange: me, nth: 9, status: 500}]\n")
    control = control_of(talk)
    talk.do(control.add([exchange("new", "x")], now=talk.now))
    fault = FaultBlock.model_validate({"exchange": "new", "status": 503})
    talk.do(control.add([fault], now=talk.now))
    assert [seen.written.get("exchange") for seen in control.faults] == ["me", "new"]
    with pytest.raises(OptionInvalid, match="new"):
        control.remove(["new"], now=talk.now)
    talk.do(control.remove(["new", control.faults[1]], now=talk.now))
    assert [seen.written.get("exchange") for seen in control.faults] == ["me"]
    assert control.unplayed == ("stats", "me", "chat")


def test_a_responder_that_was_added_is_removed_by_a_reset(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, control = talk.client(), control_of(talk)
    control.register(lambda _: Response("from the responder"))
    a.sends("GET", "/api/v2/me")
    talk.do(control.reset(now=talk.now))
    a.sends("GET", "/api/v2/me")
    a.receives((0.0, 200, '"from the responder"'), (0.0, 201, {}))


def test_a_reset_counts_unmatched_calls_from_0(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, control = talk.client(), control_of(talk)
    a.sends("GET", "/nothing")
    assert control.unmatched_count == 1
    talk.do(control.reset(now=talk.now))
    assert control.unmatched_count == 0
    talk.logs.clear()
    a.received.clear()


def test_the_latest_sessions_are_those_with_the_latest_requests(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    clients = [talk.client(name) for name in "abc"]
    for second, client in enumerate([*clients, clients[0]]):
        talk.at(second)
        client.sends("GET", "/api/v2/me")
        client.received.clear()
    control = control_of(talk)
    assert [one.number for one in control.latest_sessions(2)] == [1, 3]
    assert [one.number for one in control.sessions_after(1, 5)] == [2, 3]


def test_a_push_has_its_ext(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a = talk.client().connects()
    a.polls = False
    talk.do(control_of(talk).push(CHANNEL, 1, now=talk.now, ext={"x": 1}))
    a.receives((0.0, CHANNEL, 1))
    assert a.last is not None
    assert b'"ext":{"x":1}' in a.last.body


@pytest.mark.parametrize(
    ("body", "numbers"), [({"operationName": "Say"}, [4]), (1, [5]), (None, []), ({"$any": "object"}, [1, 4])]
)
def test_calls_are_filtered_by_a_pattern_of_their_body(conversation: Talk, body: JSON, numbers: list[int]) -> None:
    assert [call.number for call in fill(conversation(SCENARIO)).calls(body=body)] == numbers


def test_a_listener_can_stop_during_a_call_without_effect_on_others(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    a, control, heard = talk.client(), control_of(talk), list[str]()

    def first(call: Call) -> None:
        heard.append(f"first {call.number}")
        stop()

    stop = control.listen(first)
    control.listen(lambda call: heard.append(f"second {call.number}"))
    for _ in range(2):
        a.sends("GET", "/api/v2/me")
    a.received.clear()
    assert heard == ["first 1", "second 1", "second 2"]
