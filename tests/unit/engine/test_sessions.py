"""Sessions of requests, authentication, and cookies."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSONObject
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import ENDPOINT, Client

TWICE = """
exchanges:
  - {name: one, request: {method: POST, path: /n}, reply: {body: 1}}
  - {name: two, request: {method: POST, path: /n}, reply: {body: 2}}
  - {name: three, request: {method: POST, path: /n}, reply: {body: 3}}
"""
DENIED: JSONObject = {"statusCode": 20, "statusMessage": "Access denied"}
NO_TOKEN: JSONObject = {"statusCode": 3, "statusMessage": "Missing or invalid Csrf token"}


def send_again(client: Client) -> str:
    """Send the request again; equal requests are answered in order within one session."""
    client.sends("POST", "/n")
    (_, status, body) = client.received.pop()
    assert status == 200
    return str(body)


def test_the_first_reply_of_a_session_sets_the_cookie_and_no_later_one(conversation: Talk) -> None:
    a = conversation(TWICE).client()
    send_again(a)
    assert a.last is not None
    assert a.last.headers.get("set-cookie") == f"JSESSIONID={a.cookies['JSESSIONID']}; Path=/; HttpOnly"
    send_again(a)
    assert a.last.headers.get("set-cookie") is None


def test_a_refused_request_sets_the_cookie_too(conversation: Talk) -> None:
    a = conversation(TWICE, auth="session").client()
    a.sends("POST", "/n")
    a.receives((0.0, 403, DENIED))
    assert "JSESSIONID" in a.cookies


def test_a_node_appends_its_name_to_the_cookie_and_ignores_the_suffix_of_a_request(conversation: Talk) -> None:
    a = conversation(TWICE, node="n1").client()
    assert send_again(a) == "1"
    plain, _, node = a.cookies["JSESSIONID"].partition(".")
    assert node == "n1"
    a.cookies["JSESSIONID"] = plain
    assert send_again(a) == "2"
    a.cookies["JSESSIONID"] = f"{plain}.n2"
    assert send_again(a) == "3"


def test_a_session_is_found_by_its_bayeux_cookie_then_by_a_client_id(conversation: Talk) -> None:
    a = conversation(TWICE).client().handshakes()
    assert send_again(a) == "1"
    del a.cookies["JSESSIONID"]
    assert send_again(a) == "2"


def test_a_client_that_sends_credentials_each_time_keeps_its_session_without_cookies(conversation: Talk) -> None:
    talk = conversation(TWICE)
    a, b = talk.client("a", user="ann"), talk.client("b", user="ben")
    for expected in ("1", "2", "3"):
        a.cookies.clear()
        assert send_again(a) == expected
    assert send_again(b) == "1"


def test_a_client_that_logs_in_again_without_its_cookie_gets_it_again(conversation: Talk) -> None:
    """A restarted application sends its credentials once, and only the cookie afterwards."""
    talk = conversation(TWICE, auth="session")
    assert send_again(talk.client("a", user="ann")) == "1"
    again = talk.client("again", user="ann")
    assert send_again(again) == "2"
    again.user = None
    assert send_again(again) == "3"


def test_a_bayeux_client_keeps_its_session_without_session_cookies(conversation: Talk) -> None:
    talk = conversation(TWICE + "session: {cookie: none}\n")
    a = talk.client().handshakes()
    assert set(a.cookies) == {"BAYEUX_BROWSER"}
    assert [send_again(a), send_again(a)] == ["1", "2"]
    assert [send_again(talk.client("b")), send_again(talk.client("c"))] == ["1", "2"], "all others share one session"
    assert len(talk.backend.sessions) == 2


@pytest.mark.parametrize(
    "cookie", ["JSESSIONID", "x=1; ;;=; JSESSIONID=", 'JSESSIONID="\x00é"', "JSESSIONID=" + "a" * 5000]
)
def test_an_unknown_cookie_starts_a_new_session(conversation: Talk, cookie: str) -> None:
    a = conversation(TWICE).client()
    a.headers["Cookie"] = cookie
    assert send_again(a) == "1"
    assert "JSESSIONID" in a.cookies


def test_auth_session_requires_a_login_over_bayeux_too(conversation: Talk) -> None:
    talk = conversation(TWICE, auth="session")
    a = talk.client()
    a.sends_messages({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]})
    a.receives((0.0, 403, DENIED))
    a.user = "ann"
    assert send_again(a) == "1"
    a.user = None
    assert send_again(a) == "2", "the cookie is enough from now on"
    a.handshakes()
    assert a.client_id


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic YQ==", "Basic \udc80", ""])
def test_malformed_credentials_are_not_a_login(conversation: Talk, header: str) -> None:
    a = conversation(TWICE, auth="session").client()
    a.headers["Authorization"] = header
    a.sends("POST", "/n")
    a.receives((0.0, 403, DENIED))


def test_auth_csrf_announces_the_token_on_get_and_requires_it_on_modifying_requests(conversation: Talk) -> None:
    talk = conversation(TWICE, auth="csrf")
    a = talk.client(user="ann")
    a.sends("POST", "/n")
    a.receives((0.0, 403, NO_TOKEN))
    a.sends("GET", "/nothing")
    assert a.received.pop()[1] == 404
    talk.logs.clear()
    assert a.last is not None
    announced = a.last.headers.get("x-csrf-header")
    assert announced == "X-CSRF-TOKEN"
    a.headers[announced] = a.last.headers.get(announced) or ""
    assert send_again(a) == "1"
    a.headers[announced] = "wrong"
    a.sends("POST", "/n")
    a.receives((0.0, 403, NO_TOKEN))
    a.handshakes()
    assert a.client_id, "Bayeux messages are exempt"


LOGIN = """
roles: {agent-1: {user: ann, id: "11"}}
exchanges:
  - name: me refused
    request: {method: GET, path: /api/v2/me, authenticated: false}
    reply: {status: 403, body: {statusCode: 20}}
  - name: me
    request: {method: GET, path: /api/v2/me, authenticated: true}
    reply: {body: {id: {$t: "{{ user.id }}"}}}
"""


@pytest.mark.parametrize("auth", ["open", "session"])
def test_authenticated_selects_one_of_two_exchanges_with_equal_requests(conversation: Talk, auth: str) -> None:
    a = conversation(LOGIN, auth=auth).client()
    a.sends("GET", "/api/v2/me")
    a.receives((0.0, 403, {"statusCode": 20}))
    a.user = "ann"
    a.sends("GET", "/api/v2/me")
    a.receives((0.0, 200, {"id": "11"}))


def test_a_user_without_a_role_always_has_the_same_id(conversation: Talk) -> None:
    bodies = []
    for _ in range(2):
        a = conversation(LOGIN).client(user="zoe")
        a.sends("GET", "/api/v2/me")
        bodies.append(a.received.pop()[2])
    assert bodies[0] == bodies[1]
    assert bodies[0] != {"id": "11"}


def test_an_idle_session_expires(conversation: Talk) -> None:
    talk = conversation(TWICE + "session: {max_idle: 10s}\n")
    a = talk.client()
    assert send_again(a) == "1"
    talk.at(9.0)
    assert send_again(a) == "2"
    talk.at(20.0)
    assert send_again(a) == "1"


def test_a_session_ends_exactly_after_its_idle_time(conversation: Talk) -> None:
    talk = conversation(TWICE + "session: {max_idle: 10s}\n")
    a = talk.client()
    assert send_again(a) == "1"
    talk.at(10.0)
    assert send_again(a) == "1"


def test_an_active_session_does_not_keep_an_idle_one(conversation: Talk) -> None:
    talk = conversation(TWICE + "session: {max_idle: 10s}\n")
    active, idle = talk.client("active"), talk.client("idle")
    for second, client in ((0.0, active), (1.0, idle), (5.0, active), (12.0, active)):
        talk.at(second)
        send_again(client)
    assert [session.number for session in talk.backend.sessions] == [1]


def test_the_credentials_of_a_session_that_has_ended_start_a_new_one(conversation: Talk) -> None:
    talk = conversation(TWICE + "session: {max_idle: 10s}\n")
    a = talk.client(user="ann")
    a.keeps_cookies = False
    answers = []
    for second in (0.0, 5.0, 20.0, 21.0):
        talk.at(second)
        answers.append(send_again(a))
    assert answers == ["1", "2", "1", "2"]


def test_a_session_can_log_in_as_another_user(conversation: Talk) -> None:
    """The former user does not find it any more."""
    talk = conversation(TWICE)
    a, other = talk.client("a", user="ann"), talk.client("other", user="ann")
    send_again(a)
    a.user = "ben"
    send_again(a)
    send_again(other)
    assert [(call.session, call.user) for call in talk.backend.calls] == [(1, "ann"), (1, "ben"), (2, "ann")]


def test_credentials_without_a_cookie_find_the_session_that_logged_in_last(conversation: Talk) -> None:
    talk = conversation(TWICE)
    a, b = talk.client("a"), talk.client("b")
    for client in (a, b):
        send_again(client)
        client.user = "ann"
        send_again(client)
    send_again(talk.client("c", user="ann"))
    assert [call.session for call in talk.backend.calls] == [1, 1, 2, 2, 2]


def test_a_cookie_that_is_no_longer_valid_is_replaced_if_the_session_is_known_otherwise(conversation: Talk) -> None:
    a = conversation(TWICE).client().handshakes()
    valid = a.cookies["JSESSIONID"]
    a.cookies["JSESSIONID"] = "old"
    send_again(a)
    assert a.cookies["JSESSIONID"] == valid


def test_a_refused_bayeux_request_is_in_the_journal(conversation: Talk) -> None:
    talk = conversation(TWICE, auth="session")
    a = talk.client()
    a.sends_messages({"channel": "/meta/handshake", "supportedConnectionTypes": ["long-polling"]})
    a.receives((0.0, 403, DENIED))
    assert [(call.target, call.outcome, call.status) for call in talk.backend.calls] == [
        (ENDPOINT, "refused: not logged in", 403)
    ]


def test_a_user_does_not_have_the_id_of_a_role_that_was_assigned_in_turn(conversation: Talk) -> None:
    talk = conversation("""
roles: {agent-1: {user: ann, id: "11"}}
exchanges:
  - {name: who, as: agent-1, request: {method: GET, path: /who}, reply: {body: {$t: "{{ user.id }}"}}}
""")
    heard = []
    for user in ("ann", "zoe", None):
        client = talk.client(str(user), user=user)
        client.sends("GET", "/who")
        heard.append(client.received.pop()[2])
    ann, zoe, unnamed = heard
    assert (ann, unnamed) == ('"11"', '"11"')
    assert zoe != ann
