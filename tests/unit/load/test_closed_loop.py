"""The closed loop: the same requests in each run, and no owner used by two workers."""

from __future__ import annotations

from collections import Counter

import pytest

from cometreel.load import SHARES, ArrivalPlan, ClosedLoop, OwnerKind, parse_mix, read_owners

OWNERS = ["place=Place{1..40}", "agent-group=Sales"]
PLAN = ArrivalPlan(parse_mix("agent=20,place=50,agent-group=30"), read_owners(OWNERS), "7")


def taken(shares: range | None = None, many: int = 2_000) -> Counter[tuple[OwnerKind, str]]:
    loop = ClosedLoop(PLAN)
    if shares is not None:
        loop.set_shares(shares)
    return Counter((each.kind, each.owner) for each in (loop.next_request(number % 10) for number in range(many)))


def test_two_runs_send_the_same_requests_and_agents_differ():
    one, other = ClosedLoop(PLAN), ClosedLoop(PLAN)
    requests = {agent: [one.next_request(agent) for _ in range(50)] for agent in range(3)}
    assert {agent: [other.next_request(agent) for _ in range(50)] for agent in range(3)} == requests
    assert requests[0] != requests[1]


def test_all_shares_include_all_owners():
    assert taken() == taken(range(SHARES))
    assert {owner for kind, owner in taken() if kind is OwnerKind.PLACE} == set(PLAN.owners.of(OwnerKind.PLACE))


def test_workers_split_the_owners():
    one, other = ({owner for kind, owner in taken(part) if kind is OwnerKind.PLACE} for part in HALVES)
    assert one.isdisjoint(other)
    assert one | other == set(PLAN.owners.of(OwnerKind.PLACE))


@pytest.mark.parametrize("half", [0, 1])
def test_the_mix_is_kept_if_a_kind_has_fewer_owners_than_workers(half: int):
    kinds = Counter(kind for kind, owner in taken(HALVES[half]).elements())
    parts = {kind: 100 * kinds[kind] / 2_000 for kind in kinds}
    assert parts == pytest.approx({OwnerKind.AGENT: 20, OwnerKind.PLACE: 50, OwnerKind.AGENT_GROUP: 30}, abs=4)


def test_changed_shares_apply_to_the_next_request():
    loop = ClosedLoop(PLAN)
    for part in (HALVES[0], HALVES[1], HALVES[0]):
        loop.set_shares(part)
        owners = {each.owner for each in (loop.next_request(1) for _ in range(500)) if each.kind is OwnerKind.PLACE}
        assert owners == {PLAN.owners.of(OwnerKind.PLACE)[place] for place in PLAN.positions(part)[OwnerKind.PLACE]}


HALVES = range(SHARES // 2), range(SHARES // 2, SHARES)
