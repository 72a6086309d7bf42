"""Recorded, distilled and replayed: each session of the replay gets what the recorded session got."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cometreel.scenario import dump, loads
from tests.unit.engine.conversation import Client, Conversation
from tests.unit.recording.test_recorded_sessions import connect, desktop, event, poll

LATER = "9f8e7d6c5b4a"


@contextmanager
def replayed(wire: Any) -> Iterator[Conversation]:
    """Replay what was recorded; the end checks that every message was asserted."""
    talk = Conversation(loads(dump(wire.distil().file)))
    yield talk
    talk.finish()


def answer(client: Client) -> Any:
    """The body that a client received last."""
    return client.received[-1][2]


def changes_state(agent: Client, *steps: str) -> None:
    """Sign in with the number of an agent, and change the state."""
    for step in steps:
        agent.sends("POST", "/state", {"agentId": agent.name, "state": step})


@pytest.mark.parametrize("referenced", [True, False], ids=["by reference", "by order"])
def test_each_agent_gets_the_notifications_of_the_agent_that_it_names(wire: Any, *, referenced: bool) -> None:
    """The agents come in the other order; the session cookie has a name that nobody configured."""
    desktop(wire, referenced=referenced)
    with replayed(wire) as talk:
        agents = [talk.client(name) for name in ("A2", "A1")]
        for agent in agents:
            agent.sends("POST", "/sign-in", {"agentId": agent.name})
        talk.at(0.5)
        for agent in agents:
            agent.connects("/agent")
            agent.received.clear()
            assert "WWE_CODE" in agent.cookies
        for second, step in ((1, "ready"), (2, "break"), (3, "ready")):
            talk.at(second)
            for agent in agents:
                changes_state(agent, step)
        talk.at(9)
        for agent in agents:
            number = int(agent.name[1:])
            pushed: list[Any] = [data for _, channel, data in agent.received if channel == "/agent"]
            assert [(data["state"], data["at"]) for data in pushed] == [
                ("ready", 1 + number / 10), ("break", 3 + number / 10), ("ready", 5 + number / 10)
            ]  # fmt: skip
            agent.received.clear()


def test_a_broadcast_reaches_every_subscriber(wire: Any) -> None:
    for number in (1, 2):
        connect(wire, number / 10, f"c{number}", "/chat", JSESSIONID=f"s{number}-0a1b2c3d")
    wire.call(1, "POST", "/say", {"room": 7}, {"referenceId": 5}, session="s1-0a1b2c3d")
    for number in (1, 2):
        poll(wire, 2, f"c{number}", event("/chat", room=7, referenceId=5), JSESSIONID=f"s{number}-0a1b2c3d")
    with replayed(wire) as talk:
        a, b, c = talk.client("a").connects("/chat"), talk.client("b").connects("/chat"), talk.client("c").connects()
        b.sends("POST", "/say", {"room": 7})
        talk.at(2)
        b.receives((0.03, 200, {"referenceId": 5}), (1.0, "/chat", {"room": 7, "referenceId": 5}))
        a.receives((1.0, "/chat", {"room": 7, "referenceId": 5}))
        c.receives()


def test_a_call_without_identity_reaches_the_only_listener(wire: Any) -> None:
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    wire.call(1, "POST", "/query", {}, {"referenceId": 5})
    poll(wire, 2, "c1", event("/q", referenceId=5), JSESSIONID="s1-0a1b2c3d")
    with replayed(wire) as talk:
        listener = talk.client("listener").connects("/q")
        caller = talk.client("caller")
        caller.keeps_cookies = False
        caller.sends("POST", "/query", {})
        talk.at(2)
        caller.receives((0.03, 200, {"referenceId": 5}))
        listener.receives((1.0, "/q", {"referenceId": 5}))


def test_two_listeners_get_one_recorded_greeting_each(wire: Any) -> None:
    for number in (1, 2):
        connect(wire, number / 10, f"c{number}", "/chat", JSESSIONID=f"s{number}-0a1b2c3d")
        poll(wire, 1 + number / 10, f"c{number}", event("/chat", greeting=number), JSESSIONID=f"s{number}-0a1b2c3d")
    with replayed(wire) as talk:
        first, second = talk.client("first").connects("/chat"), talk.client("second").connects("/chat")
        talk.at(2)
        first.receives((1.0, "/chat", {"greeting": 1}))
        second.receives((1.0, "/chat", {"greeting": 2}))


def test_a_broadcast_has_the_delay_of_the_session_that_received_it_first(wire: Any) -> None:
    for number in (1, 2):
        connect(wire, number / 10, f"c{number}", "/chat", JSESSIONID=f"s{number}-0a1b2c3d")
    wire.call(1, "POST", "/say", {"room": 7}, {"referenceId": 5}, session="s1-0a1b2c3d")
    for number, at in ((2, 1.5), (1, 3)):
        poll(wire, at, f"c{number}", event("/chat", room=7, referenceId=5), JSESSIONID=f"s{number}-0a1b2c3d")
    with replayed(wire) as talk:
        a, b = talk.client("a").connects("/chat"), talk.client("b").connects("/chat")
        b.sends("POST", "/say", {"room": 7})
        talk.at(4)
        b.receives((0.03, 200, {"referenceId": 5}), (0.5, "/chat", {"room": 7, "referenceId": 5}))
        a.receives((0.5, "/chat", {"room": 7, "referenceId": 5}))


def test_a_greeting_is_not_due_before_the_handshake_that_it_followed(wire: Any) -> None:
    wire.call(0, "POST", "/sign-in", {}, {"ok": True}, session="s1-0a1b2c3d")
    connect(wire, 1.0002, "c1", "/chat", JSESSIONID="s1-0a1b2c3d")
    poll(wire, 1.0004, "c1", event("/chat", greeting=1), JSESSIONID="s1-0a1b2c3d")
    with replayed(wire) as talk:
        listener, caller = talk.client("listener").connects(), talk.client("caller")
        caller.sends("POST", "/sign-in", {})
        talk.at(1.0002)
        caller.connects("/chat")
        talk.at(2)
        caller.receives((0.03, 200, {"ok": True}), (1.001, "/chat", {"greeting": 1}))
        listener.receives()


def test_a_sign_in_with_a_code_keeps_two_users_apart(wire: Any) -> None:
    for number in (1, 2):
        code, token = f"{LATER}c{number}", f"{LATER}t{number}"
        location = [("Location", f"/callback?code={code}")]
        wire.call(number, "POST", "/login", {"login": f"u{number}"}, b"", status=302, reply_headers=location)
        wire.call(number + 0.2, "GET", f"/callback?code={code}", None, {"access_token": token})
        wire.call(number + 0.4, "GET", "/profile", None, {"n": number}, headers=[("Authorization", f"Bearer {token}")])
    with replayed(wire) as talk:
        users = [talk.client(name) for name in ("one", "two")]
        codes, tokens = [], []
        for user in users:
            user.sends("POST", "/login", {"login": user.name})
            talk.at(talk.now - talk.start + 0.1)
            assert user.last is not None
            codes.append(str(user.last.headers.get("location")).partition("code=")[2])
        for user, code in zip(users, codes, strict=True):
            user.sends("GET", "/callback", query=f"code={code}")
        talk.at(1)
        tokens = [answer(user)["access_token"] for user in users]
        for user, token in zip(users, tokens, strict=True):
            user.headers["Authorization"] = f"Bearer {token}"
            user.sends("GET", "/profile")
        talk.at(2)
        assert len({*codes, *tokens}) == 4
        assert [answer(user) for user in users] == [{"n": 1}, {"n": 2}]
        assert {LATER} & {text[:12] for text in (*codes, *tokens)} == set()
        for user in users:
            user.received.clear()


def test_a_session_id_in_the_path_keeps_two_users_apart(wire: Any) -> None:
    for number in (1, 2):
        value = f"{LATER}{number}"
        wire.call(number, "POST", "/sessions", {}, {"sessionId": value})
        for at, state in ((1, "running"), (2, "done")):
            wire.call(10 * number + at, "GET", f"/sessions/{value}/job", None, {"state": state})
    with replayed(wire) as talk:
        users = [talk.client(name) for name in ("one", "two")]
        for user in users:
            user.sends("POST", "/sessions", {})
        talk.at(1)
        values = [answer(user)["sessionId"] for user in users]
        assert len(set(values)) == 2
        for second in (2, 3):
            for user, value in zip(users, values, strict=True):
                user.sends("GET", f"/sessions/{value}/job")
            talk.at(second)
        for user in users:
            assert [body for _, _, body in user.received[1:]] == [{"state": "running"}, {"state": "done"}]
            user.received.clear()


def test_an_exchange_that_cannot_be_written_leaves_its_notification(wire: Any) -> None:
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    wire.call(1, "POST", "/query", {}, {"referenceId": 5}, status=999, session="s1-0a1b2c3d")
    poll(wire, 2, "c1", event("/q", referenceId=5), JSESSIONID="s1-0a1b2c3d")
    with replayed(wire) as talk:
        client = talk.client().connects("/q")
        talk.at(3)
        ((_, channel, data),) = client.received
        assert (channel, isinstance(data, dict) and "referenceId" in data) == ("/q", True)
        client.received.clear()


def test_without_a_cookie_two_equal_reads_are_answered_in_turn(wire: Any) -> None:
    for at, state in ((1, "running"), (2, "done")):
        wire.call(at, "GET", "/job", None, {"state": state})
    with replayed(wire) as talk:
        client = talk.client()
        for second in (1, 2):
            talk.at(second)
            client.sends("GET", "/job")
        talk.at(3)
        client.receives((1.03, 200, {"state": "running"}), (2.03, 200, {"state": "done"}))


def test_a_session_whose_last_answers_are_equal_does_not_get_those_of_another_session(wire: Any) -> None:
    for number, answers in ((1, ["x", "z", "z", "z"]), (2, ["x", "z", "w"])):
        for step, state in enumerate(answers):
            at = 10 * step + number
            wire.call(at, "POST", "/state", {}, {"state": state}, session=f"s{number}-0a1b2c3d")
    with replayed(wire) as talk:
        first, second = talk.client("first"), talk.client("second")
        for client, answers in ((first, ["x", "z", "z", "z"]), (second, ["x", "z", "w"])):
            for _ in answers:
                client.sends("POST", "/state", {})
                talk.at(talk.now - talk.start + 1)
            assert [body["state"] for _, _, body in client.received if isinstance(body, dict)] == answers
            client.received.clear()
