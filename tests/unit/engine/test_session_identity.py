"""The session of each request and message: by cookie, browser cookie, clientId, bound value, credentials; or shared."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from cometreel.engine import Control
from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON
from cometreel.scenario import loads
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import Client, Conversation, Received

CHANNEL = "/v2/me/workbins"

PUSH = """
bayeux: {endpoint: /api/v2/notifications}
exchanges:
  - name: order
    request: {method: POST, path: /order}
    reply: {body: {statusCode: 0}}
    events: [{after: 1s, channel: /v2/me/workbins, data: {ready: true}}]
  - name: say
    request: {publish: /service/chat, data: hi}
    events: [{after: 1s, channel: /service/chat, data: heard}]
  - {name: running, request: {method: GET, path: /job}, reply: {text: running}}
  - {name: done, request: {method: GET, path: /job}, reply: {text: done}}
"""
NO_COOKIE = PUSH + "session: {cookie: none}\n"
ORDERED: Received = (0.0, 200, {"statusCode": 0})
READY: Received = (1.0, CHANNEL, {"ready": True})


def jobs(client: Client, times: int = 1) -> list[JSON]:
    """Return the answers to several equal requests."""
    for _ in range(times):
        client.sends("GET", "/job")
    answers = [body for _, _, body in client.received[-times:]]
    del client.received[-times:]
    return answers


def forgets(client: Client) -> Client:
    """Forget all cookies, as a client without a cookie jar."""
    client.cookies.clear()
    return client


# ------------------------------------------------------------------------------------------------ WebSocket
@pytest.mark.parametrize("scenario", [PUSH, NO_COOKIE])
def test_a_websocket_without_cookies_starts_a_session(conversation: Talk, scenario: str) -> None:
    talk = conversation(scenario)
    a = talk.client()
    socket = a.opens_socket()
    a.handshakes(websocket=socket)
    assert a.meta[-1]["successful"] is True
    a.sends_messages({"channel": "/meta/connect", "connectionType": "websocket"}, websocket=socket)
    a.sends_messages({"channel": "/service/chat", "data": "hi"}, websocket=socket)
    talk.at(2.0)
    a.receives((1.0, "/service/chat", "heard"))


@pytest.mark.parametrize("scenario", [PUSH, NO_COOKIE])
def test_each_websocket_without_cookies_has_a_session_of_its_own(conversation: Talk, scenario: str) -> None:
    talk = conversation(scenario)
    clients = [talk.client(name) for name in "ab"]
    for client in clients:
        socket = client.opens_socket()
        client.handshakes(websocket=socket)
        client.sends_messages({"channel": "/meta/connect", "connectionType": "websocket"}, websocket=socket)
    clients[0].sends_messages({"channel": "/service/chat", "data": "hi"}, websocket=1)
    talk.at(2.0)
    clients[0].receives((1.0, "/service/chat", "heard"))


def test_a_websocket_that_is_idle_for_long_keeps_its_session(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {max_idle: 10s}\n")
    a = talk.client()
    socket = a.opens_socket()
    for second in range(1, 100, 5):
        talk.at(second)
        jobs(talk.client("other"))
    a.handshakes(websocket=socket)
    assert a.meta[-1]["successful"] is True


def test_a_websocket_of_an_old_provisional_session_keeps_it(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {max_provisional: 2}\n")
    a = talk.client()
    socket = a.opens_socket()
    for _ in range(20):
        jobs(talk.client("other"))
    a.handshakes(websocket=socket)
    assert a.meta[-1]["successful"] is True
    assert len(talk.backend.sessions) == 2


def test_a_publish_on_a_websocket_belongs_to_its_client_id(conversation: Talk) -> None:
    """A client may open its WebSocket before the handshake, or on a host for which it keeps no cookies."""
    talk = conversation(PUSH)
    a = talk.client()
    socket = a.opens_socket()
    forgets(a).handshakes()
    forgets(a)
    a.sends_messages({"channel": "/meta/connect", "connectionType": "websocket"}, websocket=socket)
    a.sends_messages({"channel": "/service/chat", "data": "hi"}, websocket=socket)
    talk.at(2.0)
    a.receives((1.0, "/service/chat", "heard"))


def test_messages_of_several_clients_on_one_websocket_belong_to_their_own_client_ids(conversation: Talk) -> None:
    talk = conversation(PUSH.replace("path: /job}", "path: /job}, when: {after: [say]}", 1))
    a, b = talk.client("a").connects(), talk.client("b").connects()
    socket = a.opens_socket()
    a.sends_messages({"channel": "/service/chat", "data": "hi", "clientId": b.client_id}, websocket=socket)
    assert [call.session for call in talk.backend.calls] == [2]
    a.sends_messages(
        {"channel": "/service/chat", "data": "hi"},
        {"channel": "/service/chat", "data": "hi", "clientId": b.client_id},
        websocket=socket,
    )
    assert [call.session for call in talk.backend.calls] == [2, 1, 2]
    talk.at(2.0)
    a.receives((1.0, "/service/chat", "heard"))
    b.receives((1.0, "/service/chat", "heard"), (1.0, "/service/chat", "heard"))


def test_a_message_over_http_belongs_to_its_client_id_if_the_browser_cookie_is_not_required(conversation: Talk) -> None:
    bayeux = "bayeux: {endpoint: /api/v2/notifications, require_cookie: false}"
    talk = conversation(PUSH.replace("bayeux: {endpoint: /api/v2/notifications}", bayeux))
    a, b = talk.client("a").connects(), talk.client("b").connects()
    a.sends_messages({"channel": "/service/chat", "data": "hi", "clientId": b.client_id})
    talk.at(2.0)
    b.receives((1.0, "/service/chat", "heard"))


def test_a_callback_poll_without_cookies_belongs_to_its_client_id(conversation: Talk) -> None:
    bayeux = "bayeux: {endpoint: /api/v2/notifications, require_cookie: false}"
    talk = conversation(PUSH.replace("bayeux: {endpoint: /api/v2/notifications}", bayeux))
    a = forgets(talk.client())
    a.keeps_cookies = False
    handshake = '{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["callback-polling"]}'
    a.sends("GET", talk.endpoint, query=urlencode({"jsonp": "cb", "message": f"[{handshake}]"}))
    text = str(a.received.pop()[2])
    client_id = text.partition('"clientId":"')[2].partition('"')[0]
    publish = f'{{"channel":"/service/chat","data":"hi","clientId":"{client_id}"}}'
    a.sends("GET", talk.endpoint, query=urlencode({"jsonp": "cb", "message": f"[{publish}]"}))
    assert '"successful":true' in str(a.received.pop()[2])
    assert len(talk.backend.sessions) == 1


# ------------------------------------------------------------------------------------------------ provisional sessions
def test_a_request_without_cookie_pushes_to_the_only_push_connection(conversation: Talk) -> None:
    talk = conversation(PUSH)
    listener, sender = talk.client("listener").connects(), talk.client("sender")
    sender.sends("POST", "/order")
    sender.receives(ORDERED)
    talk.at(2.0)
    listener.receives(READY)


@pytest.mark.parametrize("other", ["another listener", "the listener sends requests", "the sender returns"])
def test_a_push_is_never_given_to_one_of_several_or_to_a_client_with_requests(conversation: Talk, other: str) -> None:
    talk = conversation(PUSH)
    listener, sender = talk.client("listener").connects(), talk.client("sender")
    if other == "another listener":
        talk.client("another").connects()
    if other == "the listener sends requests":
        assert jobs(listener) == ["running"]
    sender.sends("POST", "/order")
    sender.receives(ORDERED)
    if other == "the sender returns":
        assert jobs(sender) == ["running"]
    talk.at(2.0)
    listener.receives()


def test_a_handshake_and_a_request_at_the_same_time_end_in_one_session(conversation: Talk) -> None:
    """Neither has a cookie yet, so each reply sets one, and the client keeps the last."""
    talk = conversation(PUSH + "timeline: [{since: handshake, after: 500ms, channel: /t, data: hello}]\n")
    a, b = talk.client("a").handshakes(), talk.client("b").connects()
    del a.cookies["JSESSIONID"]
    a.sends("POST", "/order")
    a.polls = True
    a.poll()
    a.sends("POST", "/order")
    a.receives(ORDERED, ORDERED)
    talk.at(2.0)
    hello: Received = (0.5, "/t", "hello")
    a.receives(hello, READY, READY)
    b.receives(hello)


def test_the_client_of_a_session_whose_cookie_came_back_stays_there(conversation: Talk) -> None:
    talk = conversation(PUSH)
    a, b = talk.client("a").connects(), talk.client("b")
    assert jobs(a) == ["running"]
    assert jobs(b) == ["running"]
    a.cookies["JSESSIONID"] = b.cookies["JSESSIONID"]
    a.sends("POST", "/order")
    a.receives(ORDERED)
    talk.at(2.0)
    a.receives()


def test_the_number_of_provisional_sessions_is_limited_and_the_oldest_ends(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {max_provisional: 3}\n")
    first, second = talk.client("first"), talk.client("second")
    assert jobs(first) == ["running"]
    assert jobs(second) == ["running"]
    assert jobs(second) == ["done"], "it returned, so its session is kept"
    for _ in range(100):
        assert jobs(talk.client("without cookies")) == ["running"]
    assert len(talk.backend.sessions) == 4
    assert jobs(first) == ["running"], "its session has ended"
    assert jobs(second) == ["done"]


def test_a_handshake_whose_client_never_polls_counts_as_provisional_when_its_client_has_expired(
    conversation: Talk,
) -> None:
    talk = conversation(PUSH + "session: {max_provisional: 3}\n")
    for number in range(100):
        talk.at(number * 60.0)
        talk.client().handshakes()
    assert len(talk.backend.sessions) <= 4


def test_the_role_of_a_session_that_ended_early_is_free_again(conversation: Talk) -> None:
    roles = "roles: {one: {}, two: {}}\nsession: {max_provisional: 1}\nexchanges:\n" + "".join(
        f"  - {{name: {name}, as: {name}, request: {{method: GET, path: /who}}, reply: {{text: {name}}}}}\n"
        for name in ("one", "two")
    )
    talk = conversation(roles)
    seen = []
    for _ in range(4):
        client = talk.client()
        client.sends("GET", "/who")
        seen.append(client.received.pop()[2])
    assert seen == ["one", "two", "one", "two"]
    assert [session.role for session in talk.backend.sessions] == ["two"]


def test_the_session_cookie_is_found_beside_one_of_another_server(conversation: Talk) -> None:
    """Cookies are shared by all ports of a host, and that with the longer path comes first."""
    talk = conversation(PUSH)
    a = talk.client()
    assert jobs(a) == ["running"]
    a.headers["Cookie"] = f"JSESSIONID=other; JSESSIONID={a.cookies['JSESSIONID']}"
    forgets(a)
    assert jobs(a) == ["done"]
    assert len(talk.backend.sessions) == 1


# ------------------------------------------------------------------------------------------------ the anonymous session
LOGIN = """
exchanges:
  - {name: wrong, request: {method: POST, path: /login}, reply: {status: 401, text: wrong}}
  - {name: right, request: {method: POST, path: /login}, reply: {text: right}}
session: {cookie: none}
"""


def test_equal_requests_without_identity_are_answered_in_order(conversation: Talk) -> None:
    talk = conversation(NO_COOKIE)
    assert [*jobs(talk.client("a")), *jobs(talk.client("b")), *jobs(talk.client("c"))] == ["running", "done", "done"]
    assert len(talk.backend.sessions) == 1


def test_a_failed_login_is_followed_by_a_good_one(conversation: Talk) -> None:
    a = conversation(LOGIN).client()
    a.sends("POST", "/login")
    a.sends("POST", "/login")
    a.receives((0.0, 401, "wrong"), (0.0, 200, "right"))


def test_the_anonymous_session_has_one_count_of_faults_and_one_set_of_captures(conversation: Talk) -> None:
    talk = conversation("""
exchanges:
  - {name: keep, request: {method: POST, path: /keep, body: {$capture: session.kept}}, reply: {text: kept}}
  - {name: read, request: {method: GET, path: /read}, reply: {body: {$t: "{{ session.kept }}"}}}
faults: [{exchange: read, nth: 2, status: 503}]
session: {cookie: none}
""")
    a, b = talk.client("a"), talk.client("b")
    a.sends("POST", "/keep", "x")
    b.sends("GET", "/read")
    a.sends("GET", "/read")
    b.sends("GET", "/read")
    a.receives((0.0, 200, "kept"), (0.0, 503, ""))
    b.receives((0.0, 200, '"x"'), (0.0, 200, '"x"'))


def test_requests_share_a_session_per_address(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {cookie: none, anonymous: address}\n")
    a, b = talk.client("a"), talk.client("b")
    a.address, b.address = "10.0.0.1", "10.0.0.2"
    assert [*jobs(a), *jobs(b), *jobs(a), *jobs(b)] == ["running", "running", "done", "done"]


def test_a_million_addresses_keep_a_limited_number_of_sessions(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {cookie: none, anonymous: address, max_provisional: 10}\n")
    for number in range(200):
        a = talk.client()
        a.address = f"10.0.0.{number}"
        assert jobs(a) == ["running"]
    assert len(talk.backend.sessions) == 10


def test_each_request_without_identity_has_a_session_of_its_own(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {cookie: none, anonymous: each}\n")
    listener = talk.client("listener").connects()
    assert jobs(talk.client(), 2) == ["running", "running"]
    sender = talk.client("sender")
    sender.sends("POST", "/order")
    sender.receives(ORDERED)
    assert len(talk.backend.sessions) == 1, "that of the listener"
    talk.at(2.0)
    listener.receives(READY)


def test_pushes_of_the_anonymous_session_go_to_the_only_push_connection(conversation: Talk) -> None:
    talk = conversation(NO_COOKIE)
    listener, sender = talk.client("listener").connects(), talk.client("sender")
    sender.sends("POST", "/order")
    sender.receives(ORDERED)
    talk.at(2.0)
    listener.receives(READY)


def test_credentials_that_name_nobody_log_in_no_request_without_credentials(conversation: Talk) -> None:
    talk = conversation(LOGIN, auth="session")
    a, b = talk.client("a"), talk.client("b")
    a.headers["x-api-key"] = "k"
    a.sends("POST", "/login")
    b.sends("POST", "/login")
    a.receives((0.0, 401, "wrong"))
    b.receives((0.0, 403, {"statusCode": 20, "statusMessage": "Access denied"}))


# ------------------------------------------------------------------------------------------------ credentials
@pytest.mark.parametrize("scenario", [PUSH, NO_COOKIE])
@pytest.mark.parametrize("schemes", [("Bearer", "Bearer"), ("OAuth", "Bearer")])
def test_requests_with_the_same_token_belong_to_one_session(
    conversation: Talk, scenario: str, schemes: tuple[str, str]
) -> None:
    talk = conversation(scenario)
    listener, sender = talk.client("listener"), talk.client("sender")
    sender.headers["Authorization"], listener.headers["Authorization"] = f"{schemes[0]} T", f"{schemes[1]} T"
    other = talk.client("other")
    other.headers["Authorization"] = "Bearer U"
    assert jobs(sender) == ["running"]
    listener.connects()
    other.connects()
    assert jobs(forgets(sender)) == ["done"]
    forgets(sender).sends("POST", "/order")
    sender.receives(ORDERED)
    talk.at(2.0)
    listener.receives(READY)
    assert len(talk.backend.sessions) == 2


def test_a_token_in_a_handshake_joins_the_session_of_requests_with_it(conversation: Talk) -> None:
    talk = conversation(NO_COOKIE)
    a, b = talk.client("a"), talk.client("b").connects()
    a.headers["Authorization"] = "Bearer T"
    assert jobs(a) == ["running"]
    del a.headers["Authorization"]
    socket = a.opens_socket()
    a.handshakes(websocket=socket, ext={"token": "T"})
    a.sends_messages({"channel": "/meta/connect", "connectionType": "websocket"}, websocket=socket)
    a.headers["Authorization"] = "Bearer T"
    a.sends("POST", "/order")
    a.receives(ORDERED)
    talk.at(2.0)
    a.receives(READY)
    b.receives()


def test_a_token_first_sent_in_a_handshake_is_known_afterwards(conversation: Talk) -> None:
    talk = conversation(NO_COOKIE)
    a, b = talk.client("a"), talk.client("b").connects()
    a.connects(ext={"auth": {"token": "T"}})
    forgets(a).headers["Authorization"] = "Bearer T"
    a.sends("POST", "/order")
    a.receives(ORDERED)
    talk.at(2.0)
    a.receives(READY)
    b.receives()


@pytest.mark.parametrize("text", ["Bearer ", "Bearer", " ", ""])
def test_a_message_without_a_token_identifies_nobody(conversation: Talk, text: str) -> None:
    talk = conversation(NO_COOKIE)
    for name in "ab":
        talk.client(name).handshakes(ext={"authorization": text})
    assert len(talk.backend.sessions) == 2


def test_a_hundred_clients_with_one_token_have_one_session(conversation: Talk) -> None:
    talk = conversation(NO_COOKIE)
    for number in range(100):
        client = talk.client(f"{number}")
        client.headers["Authorization"] = "Bearer T"
        client.handshakes()
    assert len(talk.backend.sessions) == 1


def test_a_hundred_clients_with_one_token_have_a_hundred_sessions_if_credentials_are_ignored(
    conversation: Talk,
) -> None:
    talk = conversation(PUSH + "session: {cookie: none, credentials: ignore}\n")
    for number in range(100):
        client = talk.client(f"{number}")
        client.headers["Authorization"] = "Bearer T"
        client.handshakes()
    assert len(talk.backend.sessions) == 100


def test_a_token_is_nowhere_in_the_state_of_the_engine(conversation: Talk) -> None:
    talk = conversation(PUSH)
    a = talk.client()
    a.headers["Authorization"] = "Bearer TOP-SECRET"
    a.connects(ext={"token": "TOP-SECRET-2"})
    assert jobs(a) == ["running"]
    held: list[object] = [talk.backend.sessions.__dict__, talk.backend.calls]
    assert "TOP-SECRET" not in repr(held)
    assert "TOP-SECRET" not in repr(Control(talk.backend).sessions)


def test_a_user_who_logs_in_elsewhere_does_not_leave_the_other_session(conversation: Talk) -> None:
    talk = conversation(PUSH)
    a = talk.client("a", user="ann")
    assert jobs(a) == ["running"]
    b = talk.client("b")
    assert jobs(b) == ["running"]
    b.user = "ann"
    assert jobs(b) == ["done"], "the cookie decides"
    b.user = "ben"
    assert jobs(b) == ["done"]
    assert jobs(forgets(a)) == ["done"], "ann's session is the first one again"


# ------------------------------------------------------------------------------------------------ faults
def handshake_results(talk: Conversation, client: Client, times: int) -> list[JSON]:
    """Return the results of several handshakes without cookies."""
    for _ in range(times):
        forgets(client).handshakes()
    assert talk.logs == []
    return [message["successful"] for message in client.meta[-times:]]


FAULT = "faults: [{meta: /meta/handshake, nth: 1, error: '503::busy'}]\n"


@pytest.mark.parametrize("scenario", [PUSH, NO_COOKIE])
def test_faults_are_counted_per_address_for_clients_without_cookies(conversation: Talk, scenario: str) -> None:
    talk = conversation(scenario + FAULT)
    a, b = talk.client("a"), talk.client("b")
    a.address, b.address = "10.0.0.1", "10.0.0.2"
    assert handshake_results(talk, a, 3) == [False, True, True]
    assert handshake_results(talk, b, 2) == [False, True]


@pytest.mark.parametrize("scenario", [PUSH, NO_COOKIE])
def test_faults_are_counted_per_credentials_for_clients_without_cookies(conversation: Talk, scenario: str) -> None:
    talk = conversation(scenario + FAULT)
    a, b = talk.client("a"), talk.client("b")
    a.address = b.address = "10.0.0.1"
    a.headers["Authorization"], b.headers["Authorization"] = "Bearer A", "Bearer B"
    assert handshake_results(talk, a, 3) == [False, True, True]
    assert handshake_results(talk, b, 3) == [False, True, True]


@pytest.mark.parametrize("scenario", [PUSH, NO_COOKIE])
def test_clients_with_cookies_at_one_address_count_faults_alone(conversation: Talk, scenario: str) -> None:
    talk = conversation(scenario + FAULT.replace("handshake", "subscribe"))
    for name in "abc":
        client = talk.client(name)
        client.address = "10.0.0.1"
        client.connects("/a", "/b")
        results = [message["successful"] for message in client.meta if message["channel"] == "/meta/subscribe"]
        assert results == [False, True]


# ------------------------------------------------------------------------------------------------ bound values
BIND = """
session:
  cookie: none
  bind:
    - from: $response.body#/sessionId
      in: [$request.path.sid, $request.query.s, $request.header.X-Session, $request.body#/sid, $message#/ext/sid]
exchanges:
  - name: start
    request: {method: POST, path: /sessions}
    reply: {body: {sessionId: recorded, self: {$t: "/sessions/{{ session.sessionId }}"}}}
    events: [{after: 1s, channel: /c, data: {started: {$t: "{{ session.sessionId }}"}}}]
  - name: first
    request: {method: POST, path: [sessions, {$capture: sid}, calls]}
    reply: {text: first}
    events: [{after: 1s, channel: /c, data: {$t: "{{ sid }}"}}]
  - {name: second, request: {method: POST, path: [sessions, {$capture: sid}, calls]}, reply: {text: second}}
  - name: by query
    request: {method: GET, path: /q, query: {$any: object}}
    reply: {text: {$t: "{{ session.sessionId }}"}}
  - name: by body
    request: {method: POST, path: /b, body: {$any: object}}
    reply: {text: {$t: "{{ session.sessionId }}"}}
  - name: by form
    request: {method: POST, path: /f, text: {$any: string}}
    reply: {text: {$t: "{{ session.sessionId }}"}}
"""


def starts(client: Client) -> str:
    """Start a session of the application; return its id."""
    client.sends("POST", "/sessions")
    (_, status, body) = client.received.pop()
    assert isinstance(body, dict)
    assert (status, body["self"]) == (200, f"/sessions/{body['sessionId']}")
    return str(body["sessionId"])


@pytest.mark.parametrize("setting", ["", "  anonymous: each\n"])
def test_a_bound_value_is_new_for_each_session_and_identifies_it(conversation: Talk, setting: str) -> None:
    talk = conversation(BIND.replace("  bind:\n", f"{setting}  bind:\n"))
    a, b = talk.client("a"), talk.client("b")
    one, two = starts(a), starts(b)
    assert len({one, two, "recorded"}) == 3
    for client, value in ((a, one), (b, two)):
        client.sends("POST", f"/sessions/{value}/calls")
        client.sends("POST", f"/sessions/{value}/calls")
        client.receives((0.0, 200, "first"), (0.0, 200, "second"))


@pytest.mark.parametrize("place", ["query", "header", "body", "form", "bearer"])
def test_a_bound_value_is_found_at_its_places(conversation: Talk, place: str) -> None:
    text = BIND.replace("$request.header.X-Session", "$request.header.X-Session, $request.header.Authorization")
    talk = conversation(text)
    a, b = talk.client("a"), talk.client("b")
    one, two = starts(a), starts(b)
    for client, value in ((a, one), (b, two)):
        if place == "query":
            client.sends("GET", "/q", query=f"s={value}")
        elif place == "body":
            client.sends("POST", "/b", {"sid": value})
        elif place == "form":
            client.headers["Content-Type"] = "application/x-www-form-urlencoded"
            client.sends("POST", "/f", text=f"x=1&sid={value}".encode())
        else:
            name, field = ("X-Session", value) if place == "header" else ("Authorization", f"Bearer {value}")
            client.headers[name] = field
            client.sends("GET", "/q")
        client.receives((0.0, 200, value))


def test_a_bound_value_is_looked_for_only_at_its_places(conversation: Talk) -> None:
    talk = conversation(BIND)
    a = talk.client()
    value = starts(a)
    a.sends("POST", "/b", {"other": value})
    assert a.received.pop()[1] == 500
    talk.logged("error: 'by body' can't be played")


def test_a_bayeux_message_with_a_bound_value_joins_its_session(conversation: Talk) -> None:
    talk = conversation(BIND)
    a, b = talk.client("a"), talk.client("b").connects()
    value = starts(a)
    a.connects(ext={"sid": value})
    a.sends("POST", f"/sessions/{value}/calls")
    a.receives((0.0, 200, "first"))
    talk.at(2.0)
    a.receives((1.0, "/c", {"started": value}), (1.0, "/c", value))
    b.receives()


def test_a_websocket_joins_the_session_of_a_bound_value(conversation: Talk) -> None:
    talk = conversation(BIND)
    a, b = talk.client("a"), talk.client("b").connects()
    value, socket = starts(a), a.opens_socket()
    a.handshakes(websocket=socket, ext={"sid": value})
    a.sends_messages({"channel": "/meta/connect", "connectionType": "websocket"}, websocket=socket)
    talk.at(2.0)
    a.receives((1.0, "/c", {"started": value}))
    b.receives()


def test_a_further_value_belongs_to_the_same_session(conversation: Talk) -> None:
    talk = conversation(BIND.replace("cookie: none", "cookie: JSESSIONID"))
    a = talk.client()
    values = [starts(a), starts(a)]
    assert len({*values}) == 2
    answers = []
    for value in values:
        forgets(a).sends("POST", f"/sessions/{value}/calls")
        answers.append(a.received.pop()[2])
    assert answers == ["first", "second"]


def test_many_bound_values_leave_the_other_identities_of_a_session(conversation: Talk) -> None:
    """An application may hand out a value in each reply, such as the id of a job."""
    talk = conversation(BIND)
    a = talk.client()
    a.headers["Authorization"] = "Bearer T"
    values = [starts(a) for _ in range(250)]
    assert len(talk.backend.sessions) == 1
    del a.headers["Authorization"]
    a.sends("POST", f"/sessions/{values[-1]}/calls")
    a.receives((0.0, 200, "first"))
    assert len(talk.backend.sessions) == 1


def test_the_failed_attempt_before_a_bound_value_is_played_once(conversation: Talk) -> None:
    talk = conversation("""
session: {cookie: none, bind: [{from: $response.body#/sid, in: [$request.header.X-Session]}]}
exchanges:
  - {name: wrong, request: {method: POST, path: /login}, reply: {status: 401, body: {error: wrong}}}
  - {name: right, request: {method: POST, path: /login}, reply: {body: {sid: 12345}}}
  - {name: me, request: {method: GET, path: /me}, when: {after: [right]}, reply: {body: {$t: "{{ session.sid }}"}}}
""")
    a = talk.client()
    a.sends("POST", "/login")
    a.sends("POST", "/login")
    (_, _, wrong), (_, _, right) = a.received
    a.received.clear()
    assert wrong == {"error": "wrong"}
    assert isinstance(right, dict)
    assert isinstance(right["sid"], int), "a number for a number"
    assert right["sid"] != 12345
    a.headers["X-Session"] = str(right["sid"])
    a.sends("GET", "/me")
    a.receives((0.0, 200, str(right["sid"])))


@pytest.mark.parametrize("value", ["null", "true", "''", "[a, b]", "1.5"])
def test_a_reply_without_a_value_that_can_identify_starts_no_session(conversation: Talk, value: str) -> None:
    """The reply to a failed login has null in place of the session id."""
    talk = conversation(f"""
session: {{cookie: none, bind: [{{from: $response.body#/sid, in: [$request.header.X-Session]}}]}}
exchanges:
  - name: login
    request: {{method: POST, path: /login, body: {{$capture: session.name}}}}
    reply: {{body: {{sid: {value}}}}}
  - {{name: name, request: {{method: GET, path: /name}}, reply: {{text: {{$t: "{{{{ session.name }}}}"}}}}}}
""")
    a = talk.client()
    a.sends("POST", "/login", "ann")
    a.received.clear()
    a.sends("GET", "/name")
    a.receives((0.0, 200, "ann"))
    assert [session.kind for session in talk.backend.sessions] == ["anonymous"]


def test_users_who_are_handed_bound_values_get_roles_in_turn(conversation: Talk) -> None:
    talk = conversation("""
session: {cookie: none, bind: [{from: $response.body#/sid, in: [$request.header.X-Session]}]}
roles: {one: {}, two: {}}
exchanges:
  - {name: in one, as: one, request: {method: POST, path: /login}, reply: {body: {sid: a}}}
  - {name: in two, as: two, request: {method: POST, path: /login}, reply: {body: {sid: b}}}
  - {name: me one, as: one, request: {method: GET, path: /me}, reply: {text: one}}
  - {name: me two, as: two, request: {method: GET, path: /me}, reply: {text: two}}
""")
    seen: list[JSON] = []
    clients = [talk.client(name) for name in "abc"]
    for client in clients:
        client.sends("POST", "/login")
        body = client.received.pop()[2]
        assert isinstance(body, dict)
        client.headers["X-Session"] = str(body["sid"])
    for client in clients:
        client.sends("GET", "/me")
        seen.append(client.received.pop()[2])
    assert seen == ["one", "two", "one"]


OAUTH = """
session:
  cookie: none
  bind:
    - {from: $response.header.Location?code, in: [$request.query.code]}
    - {from: $response.body#/access_token, in: [$request.header.Authorization]}
exchanges:
  - name: sign in
    request: {method: POST, path: /login, text: {$any: string}}
    reply: {status: 302, headers: {Location: "/callback?state=1&code=recorded#top"}}
  - name: callback
    request: {method: GET, path: /callback, query: {$any: object}}
    reply: {body: {access_token: recorded, code: {$t: "{{ session.code }}"}}}
  - {name: first, request: {method: GET, path: /next}, reply: {text: first}}
  - {name: second, request: {method: GET, path: /next}, reply: {text: second}}
"""


def test_two_users_of_an_oauth_login_stay_two(conversation: Talk) -> None:
    talk = conversation(OAUTH)
    for name in "ab":
        user = talk.client(name)
        user.sends("POST", "/login", text=b"name=x&password=y")
        user.received.clear()
        assert user.last is not None
        path, _, query = str(user.last.headers.get("location")).partition("?")
        code = query.removeprefix("state=1&code=").removesuffix("#top")
        assert (path, len(code)) == ("/callback", 32)
        user.sends("GET", path, query=query.removesuffix("#top"))
        body = user.received.pop()[2]
        assert isinstance(body, dict)
        assert body["code"] == code
        user.headers["Authorization"] = f"Bearer {body['access_token']}"
        user.sends("GET", "/next")
        user.sends("GET", "/next")
        user.receives((0.0, 200, "first"), (0.0, 200, "second"))


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("{from: $request.query.x, in: [$request.query.x]}", "test.yaml:3:17: the text '$request.query.x'; expected "),
        ("{from: '$response.body#/x', in: [$response.body]}", "test.yaml:3:43: the text '$response.body'; expected "),
        ("{from: '$response.body#/x', in: []}", "test.yaml:3:42: a list; expected a list of places, such as "),
        ("{from: '$response.body#/x', in: [$request.path.nobody]}", "test.yaml:3:43: no path of an exchange has {"),
    ],
)
def test_an_invalid_rule_is_an_error_with_its_position(rule: str, line: str) -> None:
    text = f"cometreel: 1\nsession:\n  bind: [{rule}]\nexchanges: []\n"
    with pytest.raises(FileInvalid) as error:
        loads(text, "test.yaml")
    assert line in str(error.value)


# ------------------------------------------------------------------------------------------------ the admin API
def test_sessions_are_listed_in_pages(conversation: Talk) -> None:
    talk = conversation(PUSH)
    for _ in range(5):
        jobs(talk.client())
    control = Control(talk.backend)
    assert [one.number for one in control.sessions_after(0, 2)] == [1, 2]
    assert [one.number for one in control.sessions_after(2, 2)] == [3, 4]
    assert [one.number for one in control.sessions_after(4, 2)] == [5]


# ---------------------------------------------------------------------- sessions that move or end
def test_a_client_takes_its_timeline_and_its_notifications_to_the_session_of_its_cookie(conversation: Talk) -> None:
    """Its handshake and a request were sent at the same time, and the cookie of the request is the one that stays."""
    entries = [
        "{since: handshake, after: 1s, channel: /t, data: hello}",
        "{since: handshake, until: order, after: 3s, channel: /t, data: ended}",
        "{as: one, since: handshake, after: 500ms, channel: /t, data: for one}",
        "{since: handshake, after: 4s, channel: /t, data: later}",
    ]
    roles = "roles: {one: {}, two: {}}\n"
    chosen = "  - {name: who, as: one, request: {method: GET, path: /who}, reply: {text: one}}\n"
    talk = conversation(roles + PUSH + chosen + "timeline: [" + ", ".join(entries) + "]\n")
    other, a = talk.client("other").connects(), talk.client("a").handshakes()
    browser = a.cookies["BAYEUX_BROWSER"]
    forgets(a).sends("POST", "/order")
    a.cookies["BAYEUX_BROWSER"] = browser
    talk.at(2.0)
    a.polls = True
    a.poll()
    a.receives(ORDERED, (2.0, "/t", "hello"), (2.0, CHANNEL, {"ready": True}))
    a.sends("POST", "/order")
    a.sends("GET", "/who")
    talk.at(5.0)
    other.receives((1.0, "/t", "hello"), (3.0, "/t", "ended"), (4.0, "/t", "later"))
    a.receives(
        (2.0, 200, {"statusCode": 0}),
        (2.0, "/t", "for one"),
        (2.0, 200, "one"),
        (3.0, CHANNEL, {"ready": True}),
        (4.0, "/t", "later"),
    )


def test_a_listener_that_sent_requests_before_its_handshake_gets_no_push_of_others(conversation: Talk) -> None:
    talk = conversation(PUSH)
    listener, sender = talk.client("listener"), talk.client("sender")
    assert jobs(listener) == ["running"]
    listener.connects()
    sender.sends("POST", "/order")
    talk.at(2.0)
    sender.receives(ORDERED)
    listener.receives()


def test_a_push_goes_to_the_listener_that_is_left(conversation: Talk) -> None:
    talk = conversation(PUSH)
    first, second = talk.client("first").connects(), talk.client("second").connects()
    first.sends_messages({"channel": "/meta/disconnect"})
    sender = talk.client("sender")
    sender.sends("POST", "/order")
    talk.at(2.0)
    sender.receives(ORDERED)
    second.receives(READY)
    first.receives()


@pytest.mark.parametrize("session", ["", "session: {cookie: none}\n"])
def test_a_push_whose_only_listener_has_gone_is_given_up(conversation: Talk, session: str) -> None:
    talk = conversation(PUSH + session)
    listener, sender = talk.client("listener"), talk.client("sender")
    sender.sends("POST", "/order")
    sender.receives(ORDERED)
    if session:
        talk.at(1.5)  # it waits for the listener
    listener.connects()
    talk.at(2.0)
    listener.receives(READY if not session else (1.5, CHANNEL, {"ready": True}))
    listener.sends_messages({"channel": "/meta/disconnect"})
    sender.sends("POST", "/order")
    talk.at(4.0)
    sender.receives((2.0, 200, {"statusCode": 0}))
    assert [event.reason for event in talk.backend.journal.given_up.latest] == ["client gone"]
    talk.logs.clear()


def test_a_websocket_that_was_closed_does_not_keep_its_session(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {max_idle: 10s}\n")
    a = talk.client("a")
    socket = a.opens_socket()
    talk.do(talk.backend.gone(socket, talk.now))
    talk.at(11.0)
    jobs(talk.client("other"))
    assert [session.number for session in talk.backend.sessions] == [2]


def test_the_idle_time_of_a_session_restarts_with_each_frame(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {max_idle: 10s}\n")
    a = talk.client("a")
    assert jobs(a) == ["running"]
    socket = a.opens_socket()
    talk.at(8.0)
    a.sends_messages({"channel": "/meta/connect", "clientId": "unknown"}, websocket=socket)
    talk.do(talk.backend.gone(socket, talk.now))
    talk.at(15.0)
    assert jobs(a) == ["done"]


def test_the_idle_time_of_the_session_of_a_client_id_restarts_with_each_message(conversation: Talk) -> None:
    bayeux = "bayeux: {endpoint: /api/v2/notifications, require_cookie: false}"
    text = PUSH.replace("bayeux: {endpoint: /api/v2/notifications}", bayeux) + "session: {max_idle: 10s}\n"
    talk = conversation(text)
    a, other = talk.client("a"), talk.client("other")
    assert jobs(a) == ["running"]
    a.handshakes()
    cookies = dict(a.cookies)
    talk.at(8.0)
    a.cookies = {}
    a.headers["Cookie"] = f"JSESSIONID={_cookie_of(other)}"
    a.sends_messages({"channel": "/meta/disconnect"})
    del a.headers["Cookie"]
    a.cookies = cookies
    talk.at(15.0)
    assert jobs(a) == ["done"]


def _cookie_of(client: Client) -> str:
    """Return the session cookie of a client, which it gets with a request."""
    jobs(client)
    return client.cookies["JSESSIONID"]


def test_a_websocket_keeps_the_session_that_it_has_joined(conversation: Talk) -> None:
    """Its client has expired, because it sent no `/meta/connect`."""
    talk = conversation(BIND.replace("cookie: none", "cookie: none\n  max_idle: 100s"))
    a = talk.client("a")
    value, socket = starts(a), a.opens_socket()
    a.handshakes(websocket=socket, ext={"sid": value})
    a.sends("POST", f"/sessions/{value}/calls")
    for second in (60.0, 120.0, 300.0):
        talk.at(second)
        jobs_without_answer(talk.client("other"))
    a.sends("POST", f"/sessions/{value}/calls")
    assert [body for _, what, body in a.received if what == 200] == ["first", "second"]
    a.received.clear()
    talk.logs.clear()


def jobs_without_answer(client: Client) -> None:
    client.sends("GET", "/nothing")
    client.received.clear()
    client.talk.logs.clear()


def test_a_session_that_a_websocket_has_joined_is_no_provisional_one(conversation: Talk) -> None:
    talk = conversation(BIND.replace("cookie: none", "cookie: none\n  max_provisional: 2"))
    a = talk.client("a")
    value, socket = starts(a), a.opens_socket()
    a.handshakes(websocket=socket, ext={"sid": value})
    talk.do(talk.backend.gone(socket, talk.now))
    talk.at(60.0)
    for _ in range(5):
        talk.client("other").handshakes()
        talk.at(talk.now - talk.start + 60.0)
    a.sends("GET", "/q", query=f"s={value}")
    assert a.received.pop()[1:] == (200, value)
    a.received.clear()
    talk.logs.clear()


def test_each_websocket_without_identity_plays_alone(conversation: Talk) -> None:
    talk = conversation(NO_COOKIE)
    for client in (talk.client("a"), talk.client("b")):
        socket = client.opens_socket()
        client.handshakes(websocket=socket)
        client.sends_messages({"channel": "/service/chat", "data": "hi"}, websocket=socket)
    assert len({call.session for call in talk.backend.calls}) == 2


def test_addresses_are_ignored_unless_the_scenario_names_them(conversation: Talk) -> None:
    talk = conversation(NO_COOKIE)
    a, b = talk.client("a"), talk.client("b")
    a.address, b.address = "10.0.0.1", "10.0.0.2"
    assert [*jobs(a), *jobs(b)] == ["running", "done"]


def test_of_too_many_addresses_the_one_that_is_idle_longest_is_forgotten(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {cookie: none, anonymous: address, max_provisional: 2}\n")
    heard = []
    for number in (1, 2, 1, 3, 1, 2):
        client = talk.client(str(number))
        client.address = f"10.0.0.{number}"
        heard += jobs(client)
    assert heard == ["running", "running", "done", "running", "done", "running"]


# ---------------------------------------------------------------------- leaving the anonymous session
def test_a_client_that_leaves_the_anonymous_session_continues_it(conversation: Talk) -> None:
    """Its plays and its counts of faults continue; what it does from then on has no effect on the others."""
    talk = conversation("""
session: {cookie: none, bind: [{from: $response.body#/sid, in: [$request.header.X-Session]}]}
exchanges:
  - {name: login, request: {method: POST, path: /login}, reply: {body: {sid: a, n: 1}}}
  - {name: again, request: {method: POST, path: /login}, reply: {body: {sid: b, n: 2}}}
  - {name: one, request: {method: GET, path: /n}, reply: {text: "1"}}
  - {name: two, request: {method: GET, path: /n}, reply: {text: "2"}, repeat: cycle}
  - {name: limited, request: {method: GET, path: /limited}, reply: {text: ok}}
faults: [{exchange: limited, nth: 2, status: 503}]
""")
    a, b = talk.client("a"), talk.client("b")

    def gets(client: Client, path: str) -> JSON:
        client.sends("GET", path)
        (_, status, body) = client.received.pop()
        return body or status

    def logs_in(client: Client) -> JSON:
        client.sends("POST", "/login")
        body = client.received.pop()[2]
        assert isinstance(body, dict)
        client.headers["X-Session"] = str(body["sid"])
        return body["n"]

    assert [gets(a, "/n") for _ in range(3)] == ["1", "2", "1"]
    assert gets(a, "/limited") == "ok"
    assert [logs_in(a), logs_in(b)] == [1, 2]
    assert [gets(a, "/n"), gets(b, "/n"), gets(talk.client("c"), "/n"), gets(a, "/n")] == ["2", "2", "2", "1"]
    assert gets(a, "/limited") == 503


def test_a_role_that_is_taken_along_counts_for_two_sessions(conversation: Talk) -> None:
    talk = conversation("""
session: {cookie: none, bind: [{from: $response.body#/sid, in: [$request.header.X-Session]}]}
roles: {one: {}, two: {}}
exchanges:
  - {name: me one, as: one, request: {method: GET, path: /me}, reply: {text: one}}
  - {name: me two, as: two, request: {method: GET, path: /me}, reply: {text: two}}
  - {name: login, request: {method: POST, path: /login}, reply: {body: {sid: a}}}
""")

    def who(client: Client) -> JSON:
        client.sends("GET", "/me")
        return client.received.pop()[2]

    a = talk.client("a")
    assert who(a) == "one"
    a.sends("POST", "/login")
    a.received.clear()
    assert [who(talk.client(name).handshakes()) for name in "bcd"] == ["two", "two", "one"]


def test_the_role_of_a_session_that_ended_is_assigned_again(conversation: Talk) -> None:
    roles = "roles: {one: {}, two: {}}\nsession: {max_provisional: 1}\nexchanges:\n" + "".join(
        f"  - {{name: {name}, as: {name}, request: {{method: GET, path: /who}}, reply: {{text: {name}}}}}\n"
        for name in ("one", "two")
    )
    talk = conversation(roles)
    stays = talk.client("stays")
    seen = []
    for client in (stays, stays, *(talk.client(str(number)) for number in range(3))):
        client.sends("GET", "/who")
        seen.append(client.received.pop()[2])
    assert seen == ["one", "one", "two", "two", "two"]


# ---------------------------------------------------------------------- counts of faults per address
def test_the_counts_of_the_address_that_is_idle_longest_are_forgotten(conversation: Talk) -> None:
    talk = conversation(PUSH + "session: {max_provisional: 2}\n" + FAULT)
    heard = []
    for number in (1, 2, 3, 3, 1):
        client = talk.client(str(number))
        client.address = f"10.0.0.{number}"
        heard += handshake_results(talk, client, 1)
    assert heard == [False, False, False, True, False]


def test_clients_of_one_address_count_alone_as_soon_as_their_cookies_return(conversation: Talk) -> None:
    talk = conversation(PUSH + "faults: [{exchange: running, nth: 3, status: 503}]\n".replace("running", "order"))
    a, b, new = talk.client("a"), talk.client("b"), talk.client("new")

    def orders(client: Client) -> int:
        client.address = "10.0.0.1"
        client.sends("POST", "/order")
        return int(client.received.pop()[1])

    assert [orders(a), orders(b)] == [200, 200], "neither has a cookie yet, so they have one count"
    assert [orders(a), orders(b)] == [503, 503], "each continues it alone"
    assert [orders(new), orders(new), orders(new)] == [200, 200, 503], "a new client starts again"
    talk.at(5.0)


# ---------------------------------------------------------------------- more about bound values
def test_a_value_in_use_is_forgotten_last(conversation: Talk) -> None:
    talk = conversation(BIND)
    a = talk.client()
    a.headers["Authorization"] = "Bearer T"
    values = [starts(a) for _ in range(60)]
    a.sends("GET", "/q", query=f"s={values[0]}")
    del a.headers["Authorization"]
    a.sends("GET", "/q", query=f"s={values[0]}")
    a.headers["Authorization"] = "Bearer T"
    values += [starts(a) for _ in range(60)]
    a.received.clear()
    del a.headers["Authorization"]
    sessions = []
    for value in (values[0], values[10]):
        a.sends("POST", f"/sessions/{value}/calls")
        sessions.append(talk.backend.calls[-1].session)
    a.received.clear()
    assert sessions[0] == 1
    assert sessions[1] != 1, "it was used before, and not since"


def test_a_value_that_a_later_reply_repeats_stays(conversation: Talk) -> None:
    talk = conversation("""
session: {cookie: none, bind: [{from: $response.body#/sid, in: [$request.header.X-Session]}]}
exchanges:
  - {name: login, request: {method: POST, path: /login}, reply: {body: {sid: recorded}}}
  - {name: me, request: {method: GET, path: /me}, reply: {body: {sid: {$t: "{{ session.sid }}"}}}}
""")
    a = talk.client()
    a.sends("POST", "/login")
    login = a.received.pop()[2]
    assert isinstance(login, dict)
    a.headers["X-Session"] = str(login["sid"])
    a.sends("GET", "/me")
    a.receives((0.0, 200, login))


def test_each_value_of_a_rule_in_one_reply_is_another_one(conversation: Talk) -> None:
    talk = conversation("""
session: {cookie: none, bind: [{from: "$response.body#/jobs/*/id", in: [$request.header.X-Job]}]}
exchanges:
  - {name: jobs, request: {method: GET, path: /jobs}, reply: {body: {jobs: [{id: a}, {id: b}]}}}
""")
    a = talk.client()
    a.sends("GET", "/jobs")
    body = a.received.pop()[2]
    assert isinstance(body, dict)
    assert isinstance(body["jobs"], list)
    assert len({str(job) for job in body["jobs"]}) == 2


def test_a_bound_value_in_the_path_of_another_resource_identifies_nobody(conversation: Talk) -> None:
    talk = conversation(BIND)
    a = talk.client()
    value = starts(a)
    for path in (f"/others/{value}/calls", f"/sessions/{value}/calls/1", f"/sessions/{value}/calls"):
        a.sends("POST", path)
    assert [call.session for call in talk.backend.calls][1:] == [1, 1, 2]
    a.received.clear()
    talk.logs.clear()


def test_the_name_of_a_header_field_with_a_bound_value_is_compared_without_case(conversation: Talk) -> None:
    talk = conversation(OAUTH.replace("headers: {Location:", "headers: {location:"))
    a = talk.client()
    a.sends("POST", "/login", text=b"x")
    a.received.clear()
    assert a.last is not None
    assert "recorded" not in (a.last.headers.get("location") or "recorded")


def test_a_reply_to_a_bound_value_sets_no_cookie_again(conversation: Talk) -> None:
    talk = conversation(BIND.replace("cookie: none", "cookie: JSESSIONID"))
    a = talk.client()
    value = starts(a)
    forgets(a).sends("POST", f"/sessions/{value}/calls")
    a.receives((0.0, 200, "first"))
    assert a.cookies == {}


def test_a_token_in_a_handshake_on_a_websocket_is_remembered(conversation: Talk) -> None:
    talk = conversation(PUSH)
    a, b = talk.client("a"), talk.client("b").connects()
    socket = a.opens_socket()
    a.handshakes(websocket=socket, ext={"authentication": {"token": "T"}})
    a.sends_messages({"channel": "/meta/connect", "connectionType": "websocket"}, websocket=socket)
    forgets(a).headers["Authorization"] = "Bearer T"
    a.sends("POST", "/order")
    talk.at(2.0)
    a.receives(ORDERED, READY)
    b.receives()
