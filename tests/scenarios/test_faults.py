"""Trouble on request: the user's name chooses it."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON, JSONObject
from tests.scenarios.conftest import Begin
from tests.scenarios.words import STATS, TOPIC, meta
from tests.unit.engine.conversation import Client, Conversation


def troubled(begin: Begin, user: str, **settings: object) -> tuple[Conversation, Client]:
    talk = begin("faults.yaml", **settings)
    return talk, talk.client(user=user)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("nobody", [(0.034, 200), (0.12, TOPIC)]),
        ("lost-event", [(0.034, 200)]),
        ("double-event", [(0.034, 200), (0.12, TOPIC), (0.12, TOPIC)]),
        ("late-reply", [(0.12, TOPIC), (15.034, 200)]),
        ("cut-reply", [(0.034, "Drop"), (0.12, TOPIC)]),
        ("busy-once", [(0.0, 503), (20.034, 200), (20.12, TOPIC)]),
    ],
)
def test_the_user_name_selects_the_fault_of_an_exchange(
    begin: Begin, user: str, expected: list[tuple[float, int | str]]
) -> None:
    talk, agent = troubled(begin, user)
    agent.connects(TOPIC)
    agent.sends("POST", "/api/v2/workbins", STATS)
    talk.at(20.0)
    if user == "busy-once":
        agent.sends("POST", "/api/v2/workbins", STATS)
        talk.at(30.0)
    assert [(at, what) for at, what, _ in agent.received] == expected
    agent.received.clear()


def test_a_fault_with_a_rate_is_triggered_half_of_the_time_and_equally_in_each_run(begin: Begin) -> None:
    runs = []
    for _ in range(2):
        _, agent = troubled(begin, "busy-often", speed=0)
        for _ in range(40):
            agent.sends("POST", "/api/v2/workbins", STATS)
        runs.append([what for _, what, _ in agent.received if isinstance(what, int)])
        agent.received.clear()
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 429}
    assert 10 <= runs[0].count(429) <= 30


def test_a_disconnected_client_must_handshake_again_and_misses_what_was_due(begin: Begin) -> None:
    talk, agent = troubled(begin, "thrown-out")
    agent.connects(TOPIC)
    agent.sends("POST", "/api/v2/workbins", STATS)
    talk.at(1.0)
    assert agent.received[0][:2] == (0.034, 200)
    assert agent.meta[-1]["channel"] in ("/meta/connect", "/meta/disconnect")
    agent.polls = False
    agent.poll()
    assert agent.meta[-1]["error"] == "402::Unknown client"
    agent.handshakes()
    agent.poll()
    assert [what for _, what, _ in agent.received] == [200]
    (dropped,) = talk.backend.journal.given_up.latest
    assert (dropped.channel, dropped.reason) == (TOPIC, "client gone")
    agent.received.clear()
    talk.logs.clear()


def polls_through(talk: Conversation, agent: Client, times: int) -> None:
    """Poll so many times, each as long as it is held."""
    for _ in range(times):
        before = len(agent.meta)
        agent.poll()
        if len(agent.meta) == before:
            talk.at(talk.now - talk.start + 30.0)


def test_a_handshake_is_refused_for_good(begin: Begin) -> None:
    _, agent = troubled(begin, "no-handshake")
    agent.handshakes()
    assert agent.meta == [
        {
            "channel": "/meta/handshake",
            "successful": False,
            "error": "403::Handshake denied",
            "advice": {"reconnect": "none"},
        }
    ]


def test_one_topic_is_denied_and_the_others_are_not(begin: Begin) -> None:
    _, agent = troubled(begin, "no-subscription")
    agent.handshakes()
    for topic in (TOPIC, "/v2/me/workitems"):
        agent.sends_messages({"channel": "/meta/subscribe", "subscription": topic})
    denied = "403:no workbins for you:subscribe_denied"
    assert meta(agent, "/meta/subscribe") == [
        {"channel": "/meta/subscribe", "successful": False, "subscription": TOPIC, "error": denied},
        {"channel": "/meta/subscribe", "successful": True, "subscription": "/v2/me/workitems"},
    ]


def test_every_second_poll_fails_with_the_error_of_the_scenario(begin: Begin) -> None:
    talk, agent = troubled(begin, "own-error")
    agent.handshakes()
    polls_through(talk, agent, times=4)
    polls = meta(agent, "/meta/connect")
    assert [poll["successful"] for poll in polls] == [True, False, True, False]
    failed: JSONObject = {
        "channel": "/meta/connect",
        "successful": False,
        "error": "503::The node is going down",
    }
    advice: JSONObject = {"reconnect": "retry", "interval": 5000}
    assert polls[1] == {**failed, "advice": advice}


def test_after_two_polls_the_client_is_unknown(begin: Begin) -> None:
    talk, agent = troubled(begin, "forgotten")
    agent.handshakes()
    polls_through(talk, agent, times=3)
    polls = meta(agent, "/meta/connect")
    assert [poll["successful"] for poll in polls] == [True, True, False]
    assert polls[2] == {
        "channel": "/meta/connect",
        "successful": False,
        "error": "402::Unknown client",
        "advice": {"reconnect": "handshake", "interval": 0},
    }


def test_a_slow_poll_takes_eight_seconds_unless_there_are_messages(begin: Begin) -> None:
    talk, agent = troubled(begin, "slow-poll")
    agent.handshakes()
    agent.poll()
    talk.at(7.9)
    assert meta(agent, "/meta/connect") == []
    talk.at(8.0)
    assert len(meta(agent, "/meta/connect")) == 1
    agent.poll()
    agent.sends("POST", "/api/v2/workbins", STATS)
    talk.at(9.0)
    assert [(at, what) for at, what, _ in agent.received] == [(8.034, 200), (8.12, TOPIC)]
    agent.received.clear()


@pytest.mark.parametrize(("user", "heard"), [("cut-poll", (0.0, "Drop", None)), ("no-gateway", (0.0, 502, ""))])
def test_the_second_poll_gets_a_reply_that_is_not_bayeux(
    begin: Begin, user: str, heard: tuple[float, int | str, JSON]
) -> None:
    """The client isn't lost by that: its next poll is answered."""
    talk, agent = troubled(begin, user)
    agent.handshakes()
    for _ in range(3):
        agent.poll()
    agent.receives(heard)
    talk.at(31.0)
    assert [poll["successful"] for poll in meta(agent, "/meta/connect")] == [True, True]
