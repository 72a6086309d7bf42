"""Determinism, roles and authentication hold for clients with every kind of identity.

Each test searches for a counterexample among interleavings of clients that identify themselves differently.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON
from cometreel.scenario import CompiledScenario, loads
from tests.unit.engine.conversation import Client, Conversation, Received, whole
from tests.unit.engine.test_promise import END, Call, ask, calls, notifications, speeds

BODY = """
source: {recorded: 2026-11-23T10:00:00Z}
bayeux: {endpoint: /api/v2/notifications, require_cookie: false}
roles: {agent-1: {user: me}, agent-2: {user: other 0}}
exchanges:
  - {name: start, request: {method: POST, path: /start}, reply: {body: {sid: recorded}}}
  - name: stats
    request: {method: POST, path: /stats}
    reply: {after: 34ms, body: {statusCode: 0, referenceId: 7, at: {$t: "{{ now }}"}}}
    events:
      - {after: 120ms, channel: /c, data: {n: 1, referenceId: 7, id: {$t: "{{ uuid() }}"}}}
      - {after: 20ms, channel: /c, data: {n: 2, referenceId: 7}}
  - name: stats again
    request: {method: POST, path: /stats}
    reply: {after: 100ms, body: {statusCode: 0, referenceId: 8}}
    events: [{after: 100ms, channel: /c, data: {n: 3, referenceId: 8}}]
    repeat: cycle
  - name: keep
    request: {method: POST, path: /keep, body: {value: {$capture: session.kept}}}
    reply: {body: {kept: {$t: "{{ session.kept }}"}}}
  - {name: get for one, as: agent-1, request: {method: GET, path: /get}, reply: {body: {role: 1}}}
  - {name: get for two, as: agent-2, request: {method: GET, path: /get}, reply: {body: {role: 2}}}
  - {name: get, request: {method: GET, path: /get}, reply: {body: {role: 0}}}
timeline:
  - {since: connect, after: 100ms, channel: /t, data: {n: 4}}
"""
BIND = "bind: [{from: $response.body#/sid, in: [$request.header.X-Session, $message#/ext/sid]}]"
SCENARIOS: dict[str, CompiledScenario] = {
    cookie: loads(whole(f"{BODY}session: {{cookie: {cookie}, {BIND}}}\n"), "promise.yaml")
    for cookie in ("JSESSIONID", "none")
}
KINDS = ("cookies", "Basic", "Basic without cookies", "Bearer", "bound value", "WebSocket")
LOGINS = ("Basic", "Basic without cookies", "Bearer", "WebSocket")

kinds = st.sampled_from(KINDS)
cookies = st.sampled_from(["JSESSIONID", "none"])
others = st.lists(st.tuples(st.integers(0, 50), kinds, calls), max_size=3)


def connect(talk: Conversation, name: str, kind: str) -> Client:
    """Add a client that identifies itself in this way, and start its CometD session."""
    client = talk.client(name, name if kind.startswith("Basic") else None)
    client.address = "127.0.0.1"
    client.keeps_cookies = kind in ("cookies", "Basic")
    if kind in ("Bearer", "WebSocket"):
        client.headers["Authorization"] = f"Bearer token of {name}".replace(" ", "-").replace("-", " ", 1)
    if kind == "bound value":
        client.sends("POST", "/start")
        body = client.received.pop()[2]
        assert isinstance(body, dict)
        client.headers["X-Session"] = str(body["sid"])
    if kind != "WebSocket":
        return client.connects()
    fields, client.headers = client.headers, {}
    token = fields["Authorization"].partition(" ")[2]
    socket = client.opens_socket()
    client.handshakes(websocket=socket, ext={"token": token})
    client.headers = fields
    client.sends_messages({"channel": "/meta/connect", "connectionType": "websocket"}, websocket=socket)
    return client


def play(talk: Conversation, sessions: dict[str, tuple[int, str, list[Call]]]) -> dict[str, list[Received]]:
    """Let several clients make their calls, each from its own start; return what each received."""
    steps: list[tuple[int, int, str, str]] = []
    for place, (name, (begin, _, made)) in enumerate(sessions.items()):
        steps.append((begin, place, name, "connect"))
        steps += [(begin + at, place, name, what) for at, what in made]
    clients: dict[str, Client] = {}
    for at, _, name, what in sorted(steps, key=lambda step: step[:2]):
        talk.at(at / 100)
        if what == "connect":
            clients[name] = connect(talk, name, sessions[name][1])
        else:
            ask(clients[name], what)
    talk.at(END)
    return {name: client.received for name, client in clients.items()}


@given(calls, kinds, others, speeds, cookies)
def test_other_sessions_do_not_change_the_messages_of_a_session(
    mine: list[Call], kind: str, crowd: list[tuple[int, str, list[Call]]], speed: float, cookie: str
) -> None:
    alone = play(Conversation(SCENARIOS[cookie], speed=speed), {"me": (10, kind, mine)})["me"]
    among = {f"other {number}": other for number, other in enumerate(crowd)} | {"me": (10, kind, mine)}
    assert play(Conversation(SCENARIOS[cookie], speed=speed), among)["me"] == alone


@given(calls, kinds, kinds, speeds)
def test_the_messages_of_a_user_are_the_same_with_every_identity(
    mine: list[Call], one: str, two: str, speed: float
) -> None:
    mine = [call for call in mine if call[1] != "get"]  # a role is found by the user of Basic only
    heard = [play(Conversation(SCENARIOS["none"], speed=speed), {"me": (0, kind, mine)})["me"] for kind in (one, two)]
    first, second = ([without_ids(line[1:]) for line in each if isinstance(line[1], int)] for each in heard)
    assert first == second
    counts = {len(notifications(each)) for each in heard}
    assert len(counts) == 1


def without_ids(line: tuple[int | str, JSON]) -> tuple[int | str, JSON]:
    what, body = line
    return what, {key: value for key, value in body.items() if key != "at"} if isinstance(body, dict) else body


@given(st.lists(st.sampled_from(["Basic", "Basic without cookies"]), min_size=2, max_size=2), cookies)
def test_each_user_has_the_role_that_names_it(identities: list[str], cookie: str) -> None:
    sessions = {"me": (0, identities[0], [(1, "get")]), "other 0": (0, identities[1], [(1, "get")])}
    heard = play(Conversation(SCENARIOS[cookie], speed=0), sessions)
    replies = {name: [body for _, what, body in each if what == 200] for name, each in heard.items()}
    assert replies == {"me": [{"role": 1}], "other 0": [{"role": 2}]}


@given(st.lists(st.tuples(kinds, st.booleans()), min_size=1, max_size=4), cookies)
def test_only_requests_of_sessions_that_logged_in_are_answered(made: list[tuple[str, bool]], cookie: str) -> None:
    talk = Conversation(SCENARIOS[cookie], auth="session", speed=0)
    for number, (kind, logs_in) in enumerate(made):
        client = talk.client(f"{number}", f"user {number}" if kind.startswith("Basic") and logs_in else None)
        client.keeps_cookies = kind in ("cookies", "Basic")
        if kind in ("Bearer", "WebSocket") and logs_in:
            client.headers["Authorization"] = f"Bearer token-{number}"
        client.sends("POST", "/stats")
        is_known = logs_in and kind in LOGINS
        assert [what for _, what, _ in client.received] == [200 if is_known else 403]
