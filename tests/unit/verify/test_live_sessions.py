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
