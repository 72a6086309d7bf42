"""Determinism: the same scenario, seed and calls give the same replies, regardless of other sessions.

Each test searches for a counterexample among interleavings of sessions, speeds, offsets of the clock and restarts.
"""

from __future__ import annotations

import json
from collections import defaultdict

from hypothesis import example, given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON
from cometreel.scenario import CompiledScenario, loads
from tests.unit.engine.conversation import Client, Conversation, Received, whole

SCENARIO: CompiledScenario = loads(
    whole("""
source: {recorded: 2026-11-23T10:00:00Z}
exchanges:
  - name: stats 1
    request: {method: POST, path: /stats}
    reply: {after: 34ms, body: {statusCode: 0, referenceId: 7, at: {$t: "{{ now }}"}}}
    events:
      - {after: 120ms, channel: /c, data: {n: 1, referenceId: 7, id: {$t: "{{ uuid() }}"}}}
      - {after: 20ms, channel: /c, data: {n: 2, referenceId: 7, dice: {$t: "{{ randint(1, 1000000) }}"}}}
      - {after: 120ms, channel: /d, data: {n: 3, at: {$t: "{{ now }}"}}, count: 2, gap: 100ms}
  - name: stats 2
    request: {method: POST, path: /stats}
    reply: {after: 100ms, body: {statusCode: 0, referenceId: 8, ref: {$t: "{{ ref }}"}}}
    events:
      - {after: 100ms, channel: /c, data: {n: 4, referenceId: 8}}
    repeat: cycle
  - name: capture
    request: {method: POST, path: /keep, body: {value: {$capture: session.kept}}}
    reply: {body: {kept: {$t: "{{ session.kept }}"}}}
    events:
      - {after: 200ms, channel: /c, data: {n: 5, kept: {$t: "{{ session.kept }}"}}, batch: x}
      - {after: 200ms, channel: /c, data: {n: 6}, batch: x}
  - name: get
    request: {method: GET, path: /get}
    reply: {after: 10ms, body: {who: {$t: "{{ user.name }}"}, id: {$t: "{{ user.id }}"}}}
timeline:
  - {since: capture, until: get, after: 300ms, channel: /t, data: {n: 7}, count: 3, gap: 100ms}
  - {since: connect, after: 100ms, channel: /t, data: {n: 8}}
"""),
    "promise.yaml",
)

Call = tuple[int, str]
"""The time in hundredths of a second since the start of the session, and the request."""

WHAT = ("stats", "keep", "get")
calls = st.lists(st.tuples(st.integers(0, 100), st.sampled_from(WHAT)), max_size=8).map(
    lambda found: sorted(found, key=lambda call: call[0])
)
speeds = st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0])
starts = st.floats(0, 1e6, allow_nan=False)
END = 60.0


def ask(client: Client, what: str) -> None:
    if what == "stats":
        client.sends("POST", "/stats")
    elif what == "keep":
        client.sends("POST", "/keep", {"value": 1})
    else:
        client.sends("GET", "/get")


def play(talk: Conversation, sessions: dict[str, tuple[int, list[Call]]]) -> dict[str, list[Received]]:
    """Let several clients make their calls, each from its own start; return what each received."""
    steps: list[tuple[float, int, str, str]] = []
    for place, (name, (begin, made)) in enumerate(sessions.items()):
        steps.append((begin / 100, place, name, "connect"))
        steps += [((begin + at) / 100, place, name, what) for at, what in made]
    clients: dict[str, Client] = {}
    for at, _, name, what in sorted(steps, key=lambda step: step[:2]):
        talk.at(at)
        if what == "connect":
            clients[name] = talk.client(name, user=name).connects()
        else:
            ask(clients[name], what)
    talk.at(END)
    return {name: client.received for name, client in clients.items()}


def notifications(heard: list[Received]) -> list[tuple[str, JSON]]:
    """Return the notifications that a client received over CometD, in order."""
    return [(what, data) for _, what, data in heard if isinstance(what, str)]


def per_exchange(heard: list[Received]) -> dict[str, list[str]]:
    """Group the messages that a client received: the replies, and the events of each exchange."""
    parts: defaultdict[str, list[str]] = defaultdict(list)
    for _, what, data in heard:
        assert isinstance(data, dict)
        number = data.get("referenceId") or (f"part {data['n']}" if "n" in data else "reply")
        parts[str(number)].append(json.dumps([what, data], sort_keys=True))
    return dict(parts)


@given(calls, st.lists(st.tuples(st.integers(0, 50), calls), max_size=3), speeds)
@example([*[(0, "stats")] * 4, (45, "stats"), (69, "keep")], [(23, [(32, "stats")])], 0.5)  # due when a call comes
def test_other_sessions_do_not_change_the_messages_of_a_session(
    mine: list[Call], others: list[tuple[int, list[Call]]], speed: float
) -> None:
    alone = play(Conversation(SCENARIO, speed=speed), {"me": (10, mine)})["me"]
    crowd = {f"other {number}": other for number, other in enumerate(others)}
    among = play(Conversation(SCENARIO, speed=speed), {**crowd, "me": (10, mine)})["me"]
    assert among == alone


@given(calls, speeds, starts, st.text(alphabet="ab", max_size=2), st.text(alphabet="ab", max_size=2))
def test_a_restart_gives_the_same_messages(
    mine: list[Call], speed: float, start: float, nonce: str, other: str
) -> None:
    one = play(Conversation(SCENARIO, speed=speed, nonce=nonce), {"me": (0, mine)})["me"]
    two = play(Conversation(SCENARIO, speed=speed, start=start, nonce=other), {"me": (0, mine)})["me"]
    assert notifications(one) == notifications(two)
    assert [line[1:] for line in one if isinstance(line[1], int)] == [
        line[1:] for line in two if isinstance(line[1], int)
    ]


@given(calls, st.integers(0, 500), speeds)
def test_messages_depend_on_the_time_between_calls_and_not_on_the_start(
    mine: list[Call], later: int, speed: float
) -> None:
    one = play(Conversation(SCENARIO, speed=speed, start=0.0), {"me": (0, mine)})["me"]
    two = play(Conversation(SCENARIO, speed=speed, start=0.1), {"me": (later, mine)})["me"]
    assert notifications(one) == notifications(two)


@given(calls, speeds, speeds)
def test_an_exchange_gives_the_same_bytes_in_the_same_order_at_any_speed(
    mine: list[Call], one_speed: float, other_speed: float
) -> None:
    mine = [call for call in mine if call[1] == "stats"]
    one = play(Conversation(SCENARIO, speed=one_speed), {"me": (0, mine)})["me"]
    other = play(Conversation(SCENARIO, speed=other_speed), {"me": (0, mine)})["me"]
    by_exchange = per_exchange(one)
    assert {key: sorted(lines) for key, lines in by_exchange.items()} == {
        key: sorted(lines) for key, lines in per_exchange(other).items()
    }
    assert {k: v for k, v in by_exchange.items() if k.isdigit()} == {
        k: v for k, v in per_exchange(other).items() if k.isdigit()
    }


@given(st.lists(st.sampled_from(["hang up", "poll", "call", "wait"]), max_size=15), speeds)
def test_no_notification_is_lost_or_reordered_when_polls_are_hung_up(acts: list[str], speed: float) -> None:
    talk = Conversation(SCENARIO, speed=speed)
    me, now = talk.client("me", user="me").connects(), 0.0
    for act in acts:
        now += 0.05
        talk.at(now)
        if act == "call":
            me.sends("POST", "/stats")
        elif act == "hang up" and me.polls:
            me.disconnects()
        elif act == "poll" and not me.polls:
            me.polls = True
            me.poll()
    if not me.polls:
        me.polls = True
        me.poll()
    talk.at(END)
    calm = play(Conversation(SCENARIO, speed=speed), {"me": (0, calls_of(acts))})["me"]
    assert notifications(me.received) == notifications(calm)


def calls_of(acts: list[str]) -> list[Call]:
    return [(5 * number, "stats") for number, act in enumerate(acts, start=1) if act == "call"]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_reference_numbers_are_unique_in_a_session(which: list[int]) -> None:
    talk = Conversation(SCENARIO, speed=0)
    clients = [talk.client(f"user {number}") for number in range(3)]
    for number in which:
        clients[number].sends("POST", "/stats")
    for number, client in enumerate(clients):
        given_out = [body["referenceId"] for _, what, body in client.received if isinstance(body, dict) and what == 200]
        assert given_out == [*range(7, 7 + which.count(number))]


@given(st.text(alphabet="ab", max_size=3), st.text(alphabet="ab", max_size=3))
def test_a_cookie_of_another_run_is_not_valid(nonce: str, other: str) -> None:
    before, after = Conversation(SCENARIO, nonce=nonce), Conversation(SCENARIO, nonce=other)
    old, new = before.client("old"), after.client("new")
    old.sends("GET", "/get")
    new.sends("GET", "/get")
    before.at(1.0)
    after.at(1.0)
    assert (old.cookies == new.cookies) is (nonce == other)
