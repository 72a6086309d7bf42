"""Unit tests of small parts of the engine: schedule, play state, references, roles, ids, hosts, logins, settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.engine import ReplaySettings
from cometreel.engine.counters import BOUNDS, Histogram
from cometreel.engine.id_generator import IdGenerator, user_id
from cometreel.engine.matching import RoleAllocator
from cometreel.engine.play_state import PlayState, References
from cometreel.engine.rendering import Numbering, rebase
from cometreel.engine.scheduling import Schedule, Ticks
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON


# ------------------------------------------------------------------------------------------------ schedule
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3))))
def test_items_are_ordered_by_time_then_sort_key_then_arrival(things: list[tuple[int, int]]) -> None:
    schedule: Schedule[tuple[int, int, int]] = Schedule()
    for arrival, (at, rank) in enumerate(things):
        schedule.add(Ticks(at), (at, rank, arrival), (rank,))
    done = [thing for _, thing in schedule.due(Ticks(10))]
    assert done == sorted(done)
    assert len(done) == len(things)


def test_a_cancelled_timer_is_not_due_and_is_not_a_deadline() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add(Ticks(1), "a").cancel()
    schedule.add(Ticks(2), "b")
    assert schedule.first() == (2, "b")
    assert list(schedule.due(Ticks(9))) == [(2, "b")]
    assert schedule.first() is None


def test_items_added_during_due_are_yielded_in_order() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add(Ticks(1), "a")
    schedule.add(Ticks(3), "c")
    done = []
    for at, thing in schedule.due(Ticks(5)):
        done.append((at, thing))
        if thing == "a":
            schedule.add(Ticks(2), "b")
    assert done == [(1, "a"), (2, "b"), (3, "c")]


def test_items_for_which_is_due_is_false_stay_scheduled() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add(Ticks(1), "a")
    schedule.add(Ticks(1), "b")
    assert list(schedule.due(Ticks(1), lambda _, thing: thing == "b")) == [(1, "b")]
    assert schedule.first() == (1, "a")


def test_a_schedule_is_idle_until_its_first_item_is_due() -> None:
    schedule: Schedule[str] = Schedule()
    assert schedule.is_idle(5.0)
    schedule.add(Ticks(2_000_000), "a")
    assert schedule.is_idle(1.9)
    assert not schedule.is_idle(2.0)


# ------------------------------------------------------------------------------------------------ plays
@dataclass(frozen=True)
class Exchange:
    name: str


@dataclass(frozen=True)
class Group:
    exchanges: tuple[Exchange, ...]
    repeat: Literal["last", "cycle", "fail"] | None = None


ABC = Group((Exchange("a"), Exchange("b"), Exchange("c")))


def test_play_counts_are_kept_when_the_scenario_is_replaced() -> None:
    plays = PlayState()
    for _ in range(2):
        picked = plays.pick(ABC, "last")
        assert picked is not None
        plays.count(picked)
    plays.reset_positions()
    assert plays.pick(Group((Exchange("b"), Exchange("x"))), "last") == Exchange("x")


def test_an_exchange_that_was_picked_but_not_played_is_picked_again() -> None:
    plays = PlayState()
    assert [plays.pick(ABC, "last"), plays.pick(ABC, "last")] == [Exchange("a")] * 2


def test_the_cost_of_pick_does_not_depend_on_the_length_of_the_group() -> None:
    looked_at = 0

    @dataclass(frozen=True)
    class Watched:
        number: int

        @property
        def name(self) -> str:
            nonlocal looked_at
            looked_at += 1
            return str(self.number)

    @dataclass(frozen=True)
    class Long:
        exchanges: tuple[Watched, ...]
        repeat: None = None

    group, plays = Long(tuple(map(Watched, range(10_000)))), PlayState()
    for _ in range(10_000):
        picked = plays.pick(group, "last")
        assert picked is not None
        plays.count(picked)
    assert looked_at < 10 * 10_000


# ------------------------------------------------------------------------------------------------ references
def test_the_recorded_reference_number_is_taken_if_it_is_free_else_the_next_above_the_highest() -> None:
    references = References(highest=70)
    assert [references.take(recorded) for recorded in (66, 67, 66, 70, 66, None)] == [66, 67, 71, 70, 72, 73]


@given(st.lists(st.integers(0, 20)))
def test_reference_numbers_are_unique(recorded: list[int]) -> None:
    references = References(highest=20)
    given_out = [references.take(number) for number in recorded]
    assert len(set(given_out)) == len(given_out)


def test_a_reply_has_one_live_number_for_each_recorded_number() -> None:
    references = References(highest=9)
    references.take(5)
    numbering = Numbering(references, {recorded: references.take(recorded) for recorded in (5, 6)})
    assert (numbering.live, numbering.ref) == ({5: 10, 6: 6}, 10)
    without = Numbering(references, {})
    assert (without.ref, without.ref) == (11, 11)


# ------------------------------------------------------------------------------------------------ roles
def test_roles_are_assigned_in_turn_to_those_with_the_fewest_sessions() -> None:
    roles = RoleAllocator({"a": "ann", "b": None, "c": None})

    def assign(among: str) -> str:
        role = next(roles.in_turn(among), "")
        if role:
            roles.assign_in_turn(role)
        return role

    assert [assign("abc") for _ in range(4)] == ["a", "b", "c", "a"]
    roles.release("b")
    assert [assign("abc"), assign("c"), assign(""), assign("x")] == ["b", "c", "", ""]
    assert [*roles.in_turn("abc")] == ["b", "a", "c"]


def test_a_role_is_found_by_its_user() -> None:
    roles = RoleAllocator({"a": "ann", "b": None})
    assert [roles.of_user("ann"), roles.of_user("ben"), roles.of_user(None)] == ["a", None, None]


# ------------------------------------------------------------------------------------------------ identity
def test_ids_depend_on_seed_node_and_number_and_on_the_nonce_only_without_a_seed() -> None:
    def first(seed: str | None, node: str | None, nonce: str) -> str:
        return IdGenerator(seed, node, nonce).new("client")

    assert first("s", "n", "1") == first("s", "n", "2")
    assert first("", "n", "1") == first("", "n", "2"), "an empty seed is one"
    different = [
        first(None, "n", "1"),
        first(None, "n", "2"),
        first("1", "n", ""),
        first("s", "m", ""),
        first("s", None, ""),
    ]
    assert len(set(different)) == len(different)


def test_ids_are_unique_across_kinds_and_numbers() -> None:
    ids_of = IdGenerator("s", None, "")
    ids = [ids_of.new(kind) for kind in ("client", "browser", "session") for _ in range(100)]
    assert len(set(ids)) == 300
    assert user_id("ann") == user_id("ann") != user_id("ben")


# ------------------------------------------------------------------------------------------------ hosts, logins
@pytest.mark.parametrize(
    ("recorded", "live"),
    [
        ({"uri": "http://old:1/a?b=http://old:1"}, {"uri": "https://new/a?b=http://old:1"}),
        ({"deviceUri": "HTTPS://old"}, {"deviceUri": "https://new"}),
        ({"uris": ["http://old/1", "/2"]}, {"uris": ["https://new/1", "/2"]}),
        ([{"a": {"uri": "http://old/x"}}], [{"a": {"uri": "https://new/x"}}]),
        ({"uri": "/relative"}, {"uri": "/relative"}),
        ({"uri": {"uri": "http://old"}}, {"uri": {"uri": "https://new"}}),
        ({"text": "http://old/", "curiosity": "http://old/"}, {"text": "http://old/", "curiosity": "http://old/"}),
        (None, None),
    ],
)
def test_only_absolute_uris_are_rebased(recorded: JSON, live: JSON) -> None:
    assert rebase(recorded, "https://new") == live


# ------------------------------------------------------------------------------------------------ settings
def test_settings_are_overridden_by_those_with_higher_priority() -> None:
    settings = ReplaySettings().under({"speed": 2, "seed": 7, "auth": "csrf"}).under({"speed": 0.5})
    assert settings == ReplaySettings(speed=0.5, seed="7", auth="csrf")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("sped", 1, "sped: is not a setting of a replay; expected one of seed, speed, "),
        ("repeat", "never", "repeat: 'never' is not a choice; expected one of last, cycle, fail"),
        ("speed", -1, "speed: -1 can't be used; expected a number, 0 or more"),
        ("speed", "fast", "speed: 'fast' can't be used; expected a number, 0 or more"),
        ("speed", float("nan"), "speed: nan can't be used; expected a number, 0 or more"),
        ("max_body", True, "max_body: True can't be used; expected a number, 0 or more"),
        ("seed", [1], "seed: [1] is not text; expected text"),
    ],
)
def test_an_invalid_setting_is_refused_with_its_reason(name: str, value: JSON, sentence: str) -> None:
    with pytest.raises(OptionInvalid) as refused:
        ReplaySettings().under({name: value})
    assert str(refused.value).startswith(sentence)


# ------------------------------------------------------------------------------------------------ durations
def test_a_duration_is_counted_in_its_bucket_and_a_negative_one_as_0() -> None:
    histogram = Histogram()
    for seconds in (-0.5, 0.0, BOUNDS[1], BOUNDS[1] + 0.0001, 99.0):
        histogram.observe(seconds)
    assert [place for place, count in enumerate(histogram.counts) for _ in range(count)] == [0, 0, 1, 2, len(BOUNDS)]
    assert histogram.total == BOUNDS[1] * 2 + 0.0001 + 99.0
