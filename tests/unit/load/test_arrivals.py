"""Arrivals: each run has the same requests in the same order, with any number of workers, and none is missing."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from cometreel.errors import OptionInvalid
from cometreel.load import (
    DEFAULT_MIX,
    SHARES,
    ArrivalPlan,
    ArrivalSchedule,
    OwnerKind,
    Spacing,
    parse_mix,
    parse_rate,
    read_owners,
)

OWNERS = read_owners(["place=Place{1..50}", "agent-group=G{1..5}", "place-group=PG{1..3}", "user=u{1..300}"])
MANY = 1_000_000


def a_plan(seed: str = "7", spacing: Spacing = "poisson") -> ArrivalPlan:
    return ArrivalPlan(parse_mix(DEFAULT_MIX), OWNERS, seed, spacing)


@pytest.mark.parametrize("spacing", ["poisson", "constant"])
def test_the_same_seed_gives_the_same_requests(spacing: Spacing):
    one = ArrivalSchedule(a_plan(spacing=spacing), parse_rate("50")).due(20, MANY)
    assert ArrivalSchedule(a_plan(spacing=spacing), parse_rate("50")).due(20, MANY) == one
    assert ArrivalSchedule(a_plan("8", spacing), parse_rate("50")).due(20, MANY) != one


@example_settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.sampled_from(["poisson", "constant"]))
def test_any_number_of_workers_sends_the_same_requests_as_one(workers: int, spacing: Spacing):
    plan, rate = a_plan(spacing=spacing), parse_rate("ramp 10..100 in 5s")
    parts = [
        ArrivalSchedule(plan, rate, {share: 0.0 for share in range(SHARES) if share % workers == each}).due(8, MANY)
        for each in range(workers)
    ]
    assert sorted((a for part in parts for a in part), key=lambda a: a.at) == ArrivalSchedule(plan, rate).due(8, MANY)


def test_all_requests_for_an_owner_are_in_one_share():
    arrivals = ArrivalSchedule(a_plan(), parse_rate("1000")).due(10, MANY)
    shares = {(a.kind, a.owner): a.share for a in arrivals if a.kind.owned}
    assert all(shares[a.kind, a.owner] == a.share for a in arrivals if a.kind.owned)
    assert all(0 <= a.share < SHARES for a in arrivals)


def test_mix_owners_and_rate_are_as_requested():
    arrivals = ArrivalSchedule(a_plan(), parse_rate("1000")).due(20, MANY)
    assert len(arrivals) == pytest.approx(20_000, rel=0.03)
    kinds = Counter(a.kind for a in arrivals)
    parts = {kind: 100 * kinds[kind] / len(arrivals) for kind in OwnerKind}
    assert parts == pytest.approx(dict(parse_mix(DEFAULT_MIX).parts), abs=1)
    assert set(Counter(a.owner for a in arrivals if a.kind is OwnerKind.PLACE)) == set(OWNERS.of(OwnerKind.PLACE))


def test_constant_spacing_is_even_and_poisson_spacing_has_exponential_gaps():
    even = [a.at for a in ArrivalSchedule(a_plan(spacing="constant"), parse_rate("10")).due(30, MANY)]
    assert even == pytest.approx([number / 10 for number in range(301)])
    random = [a.at for a in ArrivalSchedule(a_plan(), parse_rate("1000")).due(30, MANY)]
    gaps = [after - before for before, after in pairwise(random)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert [mean * 1e3, variance * 1e6] == pytest.approx([1, 1], rel=0.06)


def test_requests_taken_late_keep_their_intended_start():
    stalled, smooth = (ArrivalSchedule(a_plan(), parse_rate("100")) for _ in range(2))
    expected = [arrival for second in range(1, 11) for arrival in smooth.due(second)]
    assert stalled.due(10.0, MANY) == expected
    assert expected[0].at < 0.2


def test_due_returns_at_most_limit_requests():
    schedule = ArrivalSchedule(a_plan(spacing="constant"), parse_rate("10"))
    assert [a.at for a in schedule.due(1.0, limit=3)] == pytest.approx([0.0, 0.1, 0.2])
    assert [schedule.served_until, schedule.next_at()] == pytest.approx([0.3, 0.3])
    assert len(schedule.due(1.0)) == 8
    assert schedule.served_until == pytest.approx(1.0)
    assert schedule.due(1.0) == []


def test_a_schedule_can_start_in_the_middle():
    whole = ArrivalSchedule(a_plan(), parse_rate("100")).due(30, MANY)
    later = ArrivalSchedule(a_plan(), parse_rate("100"), since=20.0).due(30, MANY)
    assert later == [a for a in whole if a.at >= 20.0]


@example_settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 3), st.integers(0, 2), st.integers(1, 40)), max_size=6))
def test_moved_shares_lose_and_repeat_no_request(moves: list[tuple[float, int, int]]):
    """Three workers share the load; moved shares continue where the earlier worker stopped."""
    plan, rate = a_plan(), parse_rate("80")
    holders = [{share: 0.0 for share in range(SHARES) if share % 3 == each} for each in range(3)]
    schedules = [ArrivalSchedule(plan, rate, holder) for holder in holders]
    taken, now = [], 0.0
    for gap, giver, many in moves:
        now += gap
        for each, schedule in enumerate(schedules):
            taken += schedule.due(now + each / 100, limit=many if each == giver else MANY)
        getter = (giver + 1) % 3
        moved = list(holders[giver])[:many]
        for share in moved:
            del holders[giver][share]
            holders[getter][share] = schedules[giver].served_until
        schedules[giver].set_shares(holders[giver])
        schedules[getter].set_shares(holders[getter])
    for schedule in schedules:
        taken += schedule.due(25.0, MANY)
    assert sorted(taken, key=lambda a: a.at) == ArrivalSchedule(plan, rate).due(25.0, MANY)


def test_a_new_rate_affects_later_requests_only():
    schedule = ArrivalSchedule(a_plan(spacing="constant"), parse_rate("10"))
    assert len(schedule.due(1.0)) == 11
    schedule.rate = schedule.rate.changed(1.0, 100)
    assert [a.at for a in schedule.due(1.05)] == pytest.approx([1.01, 1.02, 1.03, 1.04, 1.05])


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_few_owners_are_spread_evenly_over_blocks_of_shares(workers: int):
    """Leases are blocks of shares. If all owners were in the first block, one worker would send nearly all requests."""
    plan = ArrivalPlan(parse_mix("place=100"), read_owners(["place=Place{1..30}"]))
    block = SHARES // workers
    parts = [len(plan.positions(range(each * block, (each + 1) * block))[OwnerKind.PLACE]) for each in range(workers)]
    assert sum(parts) == 30
    assert max(parts) - min(parts) <= 2


def test_a_plan_without_owners_is_refused():
    with pytest.raises(OptionInvalid, match="the mix has place-group"):
        ArrivalPlan(parse_mix("place-group=100"), read_owners(["place=P"]))


def test_a_run_with_an_end_has_a_fixed_number_of_requests():
    schedule = ArrivalSchedule(a_plan(spacing="constant"), parse_rate("steps 10,20 of 3s"))
    assert len(schedule.due(100.0, MANY)) == 90
    assert (schedule.next_at(), schedule.due(1000.0)) == (math.inf, [])
