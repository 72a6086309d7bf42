"""A scenario is replaced while sessions are live."""

from __future__ import annotations

import pytest

from cometreel.scenario import loads
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import Client, Conversation, whole

WHO = """
exchanges:
  - {name: any, request: {method: GET, path: /any}, reply: {text: any}}
  - {name: one, as: one, request: {method: GET, path: /who}, reply: {text: one}}
  - {name: two, as: two, request: {method: GET, path: /who}, reply: {text: two}}
timeline:
  - {since: handshake, after: 1s, channel: /c, data: for all}
  - {since: handshake, as: two, after: 1s, channel: /c, data: for two}
"""
BEFORE = """
exchanges:
  - {name: any, request: {method: GET, path: /any}, reply: {text: any}}
timeline:
  - {since: handshake, after: 1s, channel: /c, data: for all}
"""


def reloads(talk: Conversation, scenario: str) -> None:
    talk.do(talk.backend.replace(loads(whole(scenario), "test.yaml"), talk.now))


def role_of(client: Client) -> object:
    client.sends("GET", "/who")
    return client.received.pop()[2]


@pytest.mark.parametrize(
    ("before", "asks"),
    [
        (BEFORE, False),
        (WHO + "roles: {one: {user: zoe}, two: {user: ann}}\n", True),
        (WHO + "roles: {one: {user: ben}, two: {user: ann}}\n", True),
    ],
    ids=["no roles before", "assigned in turn before", "the user of another role before"],
)
def test_a_user_who_is_logged_in_gets_the_role_that_the_new_scenario_names(
    conversation: Talk, before: str, asks: bool
) -> None:
    talk = conversation(before)
    ben = talk.client("ben", user="ben")
    ben.sends("GET", "/any")
    assert not asks or role_of(ben) == "one"
    ben.received.clear()
    reloads(talk, WHO + "roles: {one: {user: ann}, two: {user: ben}}\n")
    assert role_of(ben) == "two"


def test_entries_for_all_roles_are_not_sent_again_when_a_session_gets_its_role_after_a_reload(
    conversation: Talk,
) -> None:
    talk = conversation(WHO + "roles: {one: {}, two: {}}\n")
    other, a = talk.client("other"), talk.client("a").connects("/c")
    talk.at(2.0)
    a.receives((1.0, "/c", "for all"))
    reloads(talk, WHO + "roles: {one: {}, two: {}}\n")
    assert role_of(other) == "one"
    a.sends("GET", "/who")
    talk.at(5.0)
    a.receives((2.0, "/c", "for two"), (2.0, 200, "two"))


NUMBERED = """
exchanges:
  - {name: ask, request: {method: GET, path: /ask}, reply: {body: {referenceId: 67}}}
"""


@pytest.mark.parametrize(("number", "answers"), [(68, [69, 70]), (50, [50, 69]), (67, [69, 70])])
def test_reference_numbers_stay_unique_in_a_session(conversation: Talk, number: int, answers: list[int]) -> None:
    talk = conversation(NUMBERED)
    a = talk.client()

    def asks() -> list[object]:
        for _ in range(2):
            a.sends("GET", "/ask")
        bodies, a.received = [body for _, _, body in a.received], []
        return [body["referenceId"] for body in bodies if isinstance(body, dict)]

    assert asks() == [67, 68]
    reloads(talk, NUMBERED.replace("67", str(number)))
    assert asks() == answers


def test_an_exchange_that_was_inserted_into_a_group_is_played_next(conversation: Talk) -> None:
    def group(*names: str) -> str:
        request = "request: {method: GET, path: /n}"
        return "exchanges:\n" + "".join(f"  - {{name: {n}, {request}, reply: {{text: {n}}}}}\n" for n in names)

    talk = conversation(group("first", "last"))
    a, heard = talk.client(), list[object]()
    for number in range(5):
        if number == 3:
            reloads(talk, group("first", "new", "last"))
        a.sends("GET", "/n")
        heard.append(a.received.pop()[2])
    assert heard == ["first", "last", "last", "new", "last"]


def test_a_role_of_a_live_session_is_not_free_after_a_reload(conversation: Talk) -> None:
    talk = conversation(WHO + "roles: {one: {}, two: {}}\n")
    a, b = talk.client("a"), talk.client("b")
    assert role_of(a) == "one"
    reloads(talk, WHO + "roles: {one: {}, two: {}}\n")
    assert [role_of(b), role_of(a)] == ["two", "one"]


def test_the_entries_of_the_new_scenario_start_with_the_next_anchor(conversation: Talk) -> None:
    on_subscribe = BEFORE.replace("handshake", "subscribe")
    talk = conversation(on_subscribe)
    a = talk.client().connects("/a")
    talk.at(2.0)
    reloads(talk, on_subscribe.replace("for all", "new"))
    a.sends_messages({"channel": "/meta/subscribe", "subscription": "/b"})
    talk.at(4.0)
    a.receives((1.0, "/c", "for all"), (3.0, "/c", "new"))


def test_a_reset_plays_the_scenario_of_the_last_reload(conversation: Talk) -> None:
    talk = conversation(BEFORE)
    reloads(talk, BEFORE.replace("text: any", "text: new"))
    talk.do(talk.backend.reset(talk.now))
    a = talk.client()
    a.sends("GET", "/any")
    a.receives((0.0, 200, "new"))


def test_the_new_idle_time_applies_to_live_sessions(conversation: Talk) -> None:
    talk = conversation(BEFORE)
    a, b = talk.client("a"), talk.client("b")
    a.sends("GET", "/any")
    reloads(talk, BEFORE + "session: {max_idle: 10s}\n")
    talk.at(11.0)
    b.sends("GET", "/any")
    assert [session.number for session in talk.backend.sessions] == [2]
    a.receives((0.0, 200, "any"))
    b.receives((11.0, 200, "any"))


def test_the_report_of_an_entry_that_a_reload_has_removed_has_no_position(conversation: Talk) -> None:
    talk = conversation(BEFORE)
    a = talk.client().connects()
    reloads(talk, "exchanges: []\n")
    a.sends_messages({"channel": "/meta/disconnect"})
    talk.at(2.0)
    talk.logged("warning: the event of timeline entry 1 on /c for session 1 is given up: client gone; ")
    a.receives()
