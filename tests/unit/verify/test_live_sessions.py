"""The sessions of a run: when CometD is opened, who receives a notification, and values that a reply hands out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

START = Callable[..., Any]

SIGN_IN = """
exchanges:
  - name: sign in
    request: {method: POST, path: /sign-in, body: {user: kate}}
  - name: settings
    request: {method: GET, path: /settings}
  - name: state
    request: {method: POST, path: /state, body: {ready: true}}
    events: [{channel: /state, data: {ready: true}}]
"""


def test_the_sign_in_is_sent_before_the_handshake(start_run: START) -> None:
    run = start_run(SIGN_IN)
    assert run.actions() == ['0 POST /sign-in {"user":"kate"}']
    assert run.replies(0, {}).actions() == ["1 GET /settings"]
    assert run.replies(1, {}).actions() == ["connect everybody"]
    assert run.connects().actions() == ['2 POST /state {"ready":true}']
    run.replies(2, {}).notifies({"ready": True}, "/state")
    assert run.lines() == []


def test_a_session_is_open_before_the_exchange_that_its_timeline_follows(start_run: START) -> None:
    run = start_run(
        "exchanges: [{name: ready, request: {method: POST, path: /ready}}]\n"
        "timeline: [{since: ready, channel: /news, data: {n: 1}}]\n"
    )
    assert run.actions() == ["connect everybody"]


def test_a_session_that_only_listens_is_opened_at_the_end(start_run: START) -> None:
    run = start_run(
        "exchanges: [{name: ready, request: {method: POST, path: /ready}}]\n"
        "timeline: [{since: subscribe, channel: /news, data: {n: 1}}]\n"
    )
    assert run.actions() == ["0 POST /ready"]
    assert run.replies(0, {}).actions() == ["connect everybody"]
    run.connects().notifies({"n": 1}, "/news")
    assert run.notes() == ["s.yaml:3: timeline: received"]


TRANSFER = """
correlation: gws-v2
roles: {agent-1: {}, agent-2: {}}
exchanges:
  - name: transfer
    as: agent-1
    request: {method: POST, path: /transfer}
    events: [{channel: /offers, data: {offered: true}, deliver: agent-2}]
"""


def test_a_notification_for_another_role_is_expected_in_its_session(start_run: START) -> None:
    run = start_run(TRANSFER)
    assert run.actions() == ["connect agent-2"]
    assert run.connects("agent-2").actions() == ["0 POST /transfer"]
    run.replies(0, {"referenceId": 5}).notifies({"offered": True, "referenceId": 5}, "/offers", "agent-2")
    assert [line for line in run.lines() if "missing" in line] == []


def test_a_missing_notification_of_another_role_is_a_difference(start_run: START) -> None:
    run = start_run(TRANSFER)
    run.connects("agent-2").replies(0, {"referenceId": 5})
    assert any("notification missing" in line for line in run.lines())


def test_a_copy_for_another_subscriber_is_no_difference(start_run: START) -> None:
    run = start_run(
        """
correlation: gws-v2
roles: {agent-1: {}, agent-2: {}}
exchanges:
  - name: say
    as: agent-1
    request: {method: POST, path: /say}
    reply: {body: {referenceId: 5}}
    events: [{channel: /chat, data: {line: hi, referenceId: 5}, deliver: subscribers}]
  - name: listen
    as: agent-2
    request: {method: POST, path: /listen}
    reply: {body: {referenceId: 6}}
    events: [{channel: /chat, data: {line: yes, referenceId: 6}}]
"""
    )
    run.connects("agent-1").replies(0, {"referenceId": 5})
    for session in ("agent-1", "agent-2"):
        run.notifies({"line": "hi", "referenceId": 5}, "/chat", session)
    run.connects("agent-2").replies(1, {"referenceId": 6}).notifies(
        {"line": "yes", "referenceId": 6}, "/chat", "agent-2"
    )
    assert (run.lines(), run.notes()) == ([], [])


BOUND = """
session:
  cookie: none
  bind:
    - {from: $response.header.Location?code, in: [$request.query.code]}
    - {from: $response.body#/sessionId, in: [$request.path.sessionId, $request.header.X-Session]}
    - {from: $response.body#/access_token, in: [$request.header.Authorization]}
exchanges:
  - name: sign in
    request: {method: POST, path: /sign-in}
    reply: {status: 302, headers: {Location: '/callback?state=a&code=hidden'}}
  - name: callback
    request: {method: GET, path: /callback, query: {state: a, code: {$any: string}}}
    reply: {body: {sessionId: recorded, access_token: hidden, name: app}}
  - name: orders
    request: {method: GET, path: [sessions, {$capture: sessionId}, orders]}
    reply: {body: {self: {$t: '/sessions/{{ session.sessionId }}/orders'}}}
"""


def test_values_that_replies_hand_out_are_sent_back(start_run: START) -> None:
    run = start_run(BOUND)
    run.replies(0, status=302, Location="/callback?state=a&code=live-code-1")
    assert run.actions() == ["0 POST /sign-in", "1 GET /callback?state=a&code=live-code-1"]
    run.replies(1, {"sessionId": "live-session-1", "access_token": "live-token-1", "name": "app"})
    assert run.actions() == ["2 GET /sessions/live-session-1/orders"]
    headers = dict(run.sent_headers(2))
    assert (headers["X-Session"], headers["Authorization"]) == ("live-session-1", "Bearer live-token-1")
    run.replies(2, {"self": "/sessions/live-session-1/orders"})
    assert run.lines() == []


def test_a_value_in_the_fragment_of_a_location_is_sent_back(start_run: START) -> None:
    run = start_run(BOUND.replace("/callback?state=a&code=hidden", "/callback#state=a&code=hidden"))
    run.replies(0, status=302, Location="/callback#state=a&code=live%20code")
    assert run.actions() == ["0 POST /sign-in", "1 GET /callback?state=a&code=live%20code"]


def test_only_the_value_itself_may_differ(start_run: START) -> None:
    run = start_run(BOUND)
    run.replies(0, status=302, Location="/callback?state=b&code=live-code-1")
    run.replies(1, {"sessionId": 5, "access_token": "live-token-1", "name": "other"})
    run.replies(2, {"self": "/sessions/5/orders"})
    lines = "\n".join(run.lines())
    assert "header changed" in lines
    assert "name" in lines
    assert "live-code-1" not in lines


TWO_SESSIONS = """
correlation: gws-v2
roles: {agent-1: {}, agent-2: {}}
exchanges:
  - name: other
    as: agent-2
    request: {method: POST, path: /other}
    reply: {body: {referenceId: 1}}
    events: [{channel: /v2/me/workbins, data: {referenceId: 1, x: 1, z: 2}}]
  - name: ask
    as: agent-1
    request: {method: POST, path: /ask}
    reply: {body: {referenceId: 2}}
    events: [{channel: /v2/me/workbins, data: {referenceId: 2, x: 3, z: 4, w: 5}}]
"""


def asked(start_run: START, text: str = TWO_SESSIONS) -> Any:
    """Play the exchange of agent-2, and send the request of agent-1, which gets the reference 9."""
    run = start_run(text, patience_seconds=1).connects("agent-2").replies(0, {"referenceId": 8})
    run.notifies({"referenceId": 8, "x": 1, "z": 2}, session="agent-2").connects("agent-1")
    return run.replies(1, {"referenceId": 9})


ASKED = {"referenceId": 9, "x": 3, "z": 4, "w": 5}
IN_ANOTHER = "s.yaml:15: ask: notification moved at /events/0/deliver: recorded agent-1, live agent-2"
"""The line of a notification that only the other session received."""


def test_a_notification_that_arrives_only_in_another_session_is_a_difference(start_run: START) -> None:
    run = asked(start_run).notifies(ASKED, session="agent-2")
    assert run.lines() == [IN_ANOTHER]
    assert run.verdict().parity() == "1 of 2 exchanges and 1 of 2 notifications are equal"


def test_a_notification_that_arrives_changed_in_another_session_has_both_differences(start_run: START) -> None:
    run = asked(start_run).notifies({**ASKED, "w": 6}, session="agent-2")
    assert run.lines() == [IN_ANOTHER, "s.yaml:15: ask: value changed at /events/0/data/w: recorded 5, live 6"]


def test_a_different_notification_in_another_session_is_no_answer(start_run: START) -> None:
    run = asked(start_run).notifies({"referenceId": 9, "a": 7, "b": 8, "c": 9}, session="agent-2")
    assert run.lines() == [
        (
            "s.yaml:15: ask: notification missing at /events/0: recorded {channel: /v2/me/workbins, "
            "data: {referenceId: 2, x: 3, z: 4, w: 5}}, live nothing"
        ),
        (
            "s.yaml:15: ask: notification extra at /events/1: recorded nothing, live {channel: /v2/me/workbins, "
            "data: {referenceId: 9, a: 7, b: 8, c: 9}, deliver: agent-2}"
        ),
    ]


def test_a_copy_for_another_session_is_a_difference_if_only_the_asker_should_receive_it(start_run: START) -> None:
    run = asked(start_run).notifies(ASKED, session="agent-1").notifies(ASKED, session="agent-2")
    assert run.lines() == [
        (
            "s.yaml:15: ask: notification extra at /events/1: recorded nothing, live {channel: /v2/me/workbins, "
            "data: {referenceId: 9, x: 3, z: 4, w: 5}, deliver: agent-2}"
        )
    ]


FOR_ALL = TWO_SESSIONS.replace("w: 5}}]", "w: 5}, deliver: all}]")


def test_copies_of_a_notification_for_all_sessions_are_not_compared(start_run: START) -> None:
    changed = {**ASKED, "w": 6}
    run = asked(start_run, FOR_ALL).notifies(changed, session="agent-1")
    run.notifies(changed, session="agent-2").notifies({**ASKED, "w": 7}, session="agent-2")
    assert run.lines() == ["s.yaml:15: ask: value changed at /events/0/data/w: recorded 5, live 6"]


def test_an_additional_notification_for_the_asker_is_no_copy(start_run: START) -> None:
    run = asked(start_run, FOR_ALL).notifies(ASKED, session="agent-1").notifies({**ASKED, "w": 6}, session="agent-1")
    assert [line.partition(" at ")[0] for line in run.lines()] == ["s.yaml:15: ask: notification extra"]


def test_a_notification_for_all_sessions_that_the_asker_does_not_receive_is_a_difference(start_run: START) -> None:
    assert asked(start_run, FOR_ALL).notifies(ASKED, session="agent-2").lines() == [IN_ANOTHER]


FOR_BOTH = """
correlation: gws-v2
roles: {agent-1: {}, agent-2: {}}
exchanges:
  - name: transfer
    as: agent-1
    request: {method: POST, path: /transfer}
    reply: {body: {referenceId: 2}}
    events:
      - {channel: /offers, data: {referenceId: 2, x: 3, z: 4, w: 5}}
      - {channel: /offers, data: {referenceId: 2, x: 3, z: 4, w: 5}, deliver: agent-2}
"""


def transferred(start_run: START, text: str = FOR_BOTH) -> Any:
    """Send the request of agent-1, which gets the reference 9."""
    return start_run(text, patience_seconds=1).connects("agent-1").connects("agent-2").replies(0, {"referenceId": 9})


def test_equal_notifications_for_two_sessions_are_expected_once_in_each(start_run: START) -> None:
    run = transferred(start_run).notifies(ASKED, "/offers", "agent-2").notifies(ASKED, "/offers", "agent-1")
    assert (run.lines(), run.actions()[-2:]) == ([], ["disconnect agent-1", "disconnect agent-2"])
    assert run.verdict().parity() == "1 of 1 exchanges and 2 of 2 notifications are equal"


def test_two_notifications_in_one_session_instead_of_one_in_each(start_run: START) -> None:
    run = transferred(start_run).notifies(ASKED, "/offers", "agent-1").notifies(ASKED, "/offers", "agent-1")
    assert run.lines() == [
        "s.yaml:12: transfer: notification moved at /events/1/deliver: recorded agent-2, live agent-1"
    ]


def test_the_order_of_notifications_in_two_sessions_is_not_compared(start_run: START) -> None:
    run = transferred(start_run, FOR_BOTH.replace("w: 5}, deliver", "w: 6}, deliver"))
    run.notifies({**ASKED, "w": 6}, "/offers", "agent-2").at(0.1).notifies(ASKED, "/offers", "agent-1")
    assert run.lines() == []


def test_a_notification_for_another_role_is_found_without_its_reference(start_run: START) -> None:
    run = transferred(start_run).notifies(ASKED, "/offers", "agent-1").at(0.1)
    run.notifies({"x": 3, "z": 4, "w": 5}, "/offers", "agent-2")
    assert run.lines() == ["s.yaml:12: transfer: field removed at /events/1/data/referenceId: recorded 2, live nothing"]
