"""Commands for one session don't change the messages of another.

Each test searches for a counterexample among interleavings of calls, pushes and faults.
"""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from cometreel.engine import Control
from cometreel.jsonvalue import JSONObject
from tests.unit.engine.conversation import Client, Conversation, Received
from tests.unit.engine.test_promise import END, SCENARIO, Call, ask, calls, notifications, speeds

PUSHED = "/pushed"

Deed: TypeAlias = tuple[int, str]
"""The time in hundredths of a second, and the command for the other session: a push, or a fault of this kind."""

FAULTS: dict[str, JSONObject] = {
    "status": {"exchange": ["stats 1", "get"], "status": 503},
    "drop": {"exchange": ["stats 1", "stats 2"], "every": 2, "drop-event": True},
    "chance": {"exchange": "stats 2", "rate": 0.5, "disconnect": True},
    "refuse": {"meta": "/meta/connect", "nth": 2, "error": "402::Unknown client"},
}
deeds = st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["push", *FAULTS])), max_size=6)


def play(mine: list[Call], others: list[Call], done: list[Deed], *, to: str, speed: float) -> list[Received]:
    """Let two clients make their calls while commands are applied to one; return what the first one received."""
    talk = Conversation(SCENARIO, speed=speed)
    clients = {name: talk.client(name, user=name).connects() for name in ("me", "other")}
    steps = [(at, "me", what) for at, what in mine] + [(at, "other", what) for at, what in others]
    steps += [(at, "", what) for at, what in done]
    for at, name, what in sorted(steps, key=lambda step: step[0]):
        talk.at(at / 100)
        if name:
            ask(clients[name], what)
        else:
            do(what, talk, clients[to])
    talk.at(END)
    return clients["me"].received


def do(what: str, talk: Conversation, client: Client) -> None:
    control = Control(talk.backend)
    if what == "push":
        talk.do(control.push(PUSHED, "now", now=talk.now, user=client.user))
    else:
        (session,) = control.receivers(user=client.user)
        control.add_fault(FAULTS[what], session=session)


@given(calls, calls, deeds, speeds)
def test_commands_for_another_session_do_not_change_the_messages_of_a_session(
    mine: list[Call], others: list[Call], done: list[Deed], speed: float
) -> None:
    assert play(mine, others, done, to="other", speed=speed) == play(mine, [], [], to="me", speed=speed)


@given(calls, st.lists(st.integers(0, 100), max_size=6), speeds)
def test_a_push_adds_one_message_and_changes_no_other(mine: list[Call], at: list[int], speed: float) -> None:
    heard = notifications(play(mine, [], [(moment, "push") for moment in at], to="me", speed=speed))
    calm = notifications(play(mine, [], [], to="me", speed=speed))
    assert [one for one in heard if one[0] != PUSHED] == calm
    assert len(heard) == len(calm) + len(at)


@given(calls, calls, deeds, speeds)
def test_after_a_reset_a_session_receives_the_same_as_the_first_one(
    before: list[Call], mine: list[Call], done: list[Deed], speed: float
) -> None:
    talk = Conversation(SCENARIO, speed=speed)
    first = talk.client("first", user="first").connects()
    for _, what in before:
        ask(first, what)
    for _, what in done:
        do(what, talk, first)
    first.polls = False
    talk.do(Control(talk.backend).reset(now=talk.now))
    talk.at(1.0)
    me = talk.client("me", user="me").connects()
    for at, what in mine:
        talk.at(1.0 + at / 100)
        ask(me, what)
    talk.at(END)
    fresh = play(mine, [], [], to="me", speed=speed)
    assert [line[1:] for line in me.received] == [line[1:] for line in fresh]
