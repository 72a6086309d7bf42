"""Leases: no agent or share has two workers, also if messages are late or lost, and all shares are used in the end."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from cometreel.load import SHARES, Grant, LeaseReport, Leases, WorkerLeases

TERM = 5.0
START = 100.0


def report_to(
    leases: Leases,
    leases_of_worker: WorkerLeases,
    wanted: int,
    now: float,
    served_until: float = 0.0,
    *,
    leaving: bool = False,
) -> list[int]:
    grant = leases.handle_report(leases_of_worker.report(wanted, now, leaving=leaving), now)
    assert grant is not None
    return leases_of_worker.apply_grant(grant, served_until, now)


def take_all(leases_of_worker: WorkerLeases) -> list[int]:
    taken = []
    while (agent := leases_of_worker.acquire_agent()) is not None:
        taken.append(agent)
    return taken


def test_one_worker_gets_all_that_it_needs():
    leases, one = Leases(10, start=START, term=TERM), WorkerLeases("one")
    assert report_to(leases, one, 4, START) == []
    assert one.shares == dict.fromkeys(range(SHARES), 0.0)
    assert (take_all(one), leases.counts()) == ([0, 1, 2, 3], {"one": (4, SHARES)})


def test_a_second_worker_gets_its_shares_after_the_first_has_returned_them():
    leases, one, two = Leases(10, start=START, term=TERM), WorkerLeases("one"), WorkerLeases("two")
    report_to(leases, one, 4, START)
    report_to(leases, two, 4, START + 1)
    assert (two.shares, take_all(two)) == ({}, [4, 5, 6, 7])
    report_to(leases, one, 4, START + 2, served_until=2.5)  # half of the shares must be returned
    assert len(one.shares) == SHARES // 2
    report_to(leases, two, 4, START + 2.1)
    assert two.shares == {}
    report_to(leases, one, 4, START + 3, served_until=3.5)  # the shares are returned
    report_to(leases, two, 4, START + 3.1)
    assert two.shares == dict.fromkeys(range(SHARES // 2, SHARES), 2.5)
    assert one.shares.keys().isdisjoint(two.shares)


def test_a_worker_that_leaves_returns_its_shares_at_once_and_its_agents_when_it_is_removed():
    leases, one, two = Leases(4, start=START, term=TERM), WorkerLeases("one"), WorkerLeases("two")
    report_to(leases, one, 2, START)
    report_to(leases, two, 2, START)
    assert (take_all(one), take_all(two)) == ([0, 1], [2, 3])
    assert report_to(leases, one, 2, START + 1, served_until=1.5, leaving=True) == []
    assert (one.shares, one.are_returned) == ({}, False)
    report_to(leases, one, 2, START + 1.1, served_until=1.5, leaving=True)
    assert one.are_returned
    report_to(leases, two, 4, START + 1.2)
    assert two.shares == dict.fromkeys(range(SHARES), 1.5)
    assert leases.counts() == {"one": (2, 0), "two": (2, SHARES)}
    leases.remove("one", START + 2)
    report_to(leases, two, 4, START + 2.1)
    assert (leases.workers, take_all(two)) == (["two"], [0, 1])


def test_a_worker_without_users_gets_no_share():
    leases, one, idle = Leases(10, start=START, term=TERM), WorkerLeases("one"), WorkerLeases("idle")
    report_to(leases, idle, 0, START)
    report_to(leases, one, 1, START)
    assert (idle.shares, len(one.shares)) == ({}, SHARES)


def test_shares_differ_by_one_at_most():
    leases = Leases(70, start=START, term=TERM)
    workers = [WorkerLeases(f"w{number}") for number in range(7)]
    for second in range(4):
        for worker in workers:
            report_to(leases, worker, 10, START + second)
    assert sorted(len(worker.shares) for worker in workers) == [34] * 5 + [35] * 2
    assert leases.workers == [f"w{number}" for number in range(7)]


def test_leases_of_a_lost_worker_move_to_the_others_from_now_on():
    leases, one, two = Leases(6, start=START, term=TERM), WorkerLeases("one"), WorkerLeases("two")
    for second in (0, 1, 2):
        report_to(leases, one, 3, START + second)
        report_to(leases, two, 3, START + second)
    assert leases.advance(START + 9) == []
    report_to(leases, two, 6, START + 9.4)
    assert leases.advance(START + 9.5) == ["one"]
    report_to(leases, two, 6, START + 9.6)
    assert (len(two.shares), take_all(two)) == (SHARES, [0, 1, 2, 3, 4, 5])
    assert set(two.shares.values()) == {0.0, 9.5}


def test_a_disconnected_worker_stops_before_its_leases_move():
    leases, one = Leases(3, start=START, term=TERM), WorkerLeases("one")
    report_to(leases, one, 3, START)
    assert take_all(one) == [0, 1, 2]
    assert one.drop_expired(0.0, START + 4.9) == []
    assert one.drop_expired(4.0, START + 5.0) == [0, 1, 2]
    assert (one.shares, one.acquire_agent(), one.drop_expired(4.0, START + 6.0)) == ({}, None, [])
    assert leases.advance(START + 7.4) == []


def test_a_worker_that_reconnects_continues_where_it_stopped():
    leases, one = Leases(3, start=START, term=TERM), WorkerLeases("one")
    report_to(leases, one, 3, START)
    one.drop_expired(4.0, START + 5.0)
    report_to(leases, one, 3, START + 6.0, served_until=6.0)
    assert one.shares == dict.fromkeys(range(SHARES), 4.0)


def test_a_share_continues_where_its_worker_stopped_although_many_grants_were_lost():
    leases, one, two = Leases(10, start=START, term=TERM), WorkerLeases("one"), WorkerLeases("two")
    report_to(leases, one, 4, START)
    report_to(leases, two, 4, START + 1)
    leases.handle_report(one.report(4, START + 2), START + 2)  # half of the shares must be returned; this grant is lost
    one.drop_expired(served_until=4.9, now=START + 5)
    report_to(leases, one, 4, START + 5)  # reports where it stopped, and sees that the shares are no longer its own
    report_to(leases, one, 4, START + 5.5)
    report_to(leases, two, 4, START + 5.6)
    assert two.shares == dict.fromkeys(range(SHARES // 2, SHARES), 4.9)


def test_a_share_that_comes_back_before_the_master_knows_that_it_was_left_continues_there():
    one = WorkerLeases("one")
    for shares, served_until in (({"7": 0.0}, 0.0), ({}, 4.9), ({"7": 0.0}, 5.5)):
        sequence = one.report(0, START + served_until)["sequence"]
        grant: Grant = {"sequence": sequence, "term": TERM, "shares": shares, "agents": []}
        one.apply_grant(grant, served_until, START + served_until)
    assert one.shares == {7: 4.9}


def test_late_and_outdated_grants_are_ignored():
    leases, one = Leases(3, start=START, term=TERM), WorkerLeases("one")
    first, second = one.report(1, START), one.report(2, START + 1)
    answers = [leases.handle_report(first, START + 1), leases.handle_report(second, START + 1)]
    assert leases.handle_report(first, START + 1.5) is None
    assert answers[0] is not None
    assert answers[1] is not None
    assert one.apply_grant(answers[1], 0.0, START + 2) == []
    assert one.apply_grant(answers[0], 0.0, START + 2) == []
    assert take_all(one) == [0, 1]
    late = leases.handle_report(one.report(3, START + 3), START + 3)
    assert late is not None
    assert one.apply_grant(late, 0.0, START + 8.0) == []
    assert take_all(one) == []


def test_a_report_that_arrives_twice_is_processed_once():
    leases, one = Leases(3, start=START, term=TERM), WorkerLeases("one")
    report = one.report(1, START)
    assert leases.handle_report(report, START) is not None
    assert leases.handle_report(report, START + 1) is None


def test_unused_agents_are_taken_back_first():
    leases, one = Leases(3, start=START, term=TERM), WorkerLeases("one")
    report_to(leases, one, 3, START)
    take_all(one)
    one.release_agent(1)
    one.release_agent(1)
    assert report_to(leases, one, 2, START + 1) == []
    assert one.acquire_agent() is None
    report_to(leases, one, 2, START + 2)
    assert leases.counts() == {"one": (2, SHARES)}
    assert report_to(leases, one, 1, START + 3) == [0]


def test_old_due_requests_of_free_shares_are_skipped():
    leases, one = Leases(3, start=START, term=TERM), WorkerLeases("one")
    report_to(leases, one, 3, START + 60)
    assert set(one.shares.values()) == {55.0}


@dataclass
class Wire:
    """A worker with a slow and lossy connection to the master."""

    leases_of_worker: WorkerLeases
    reports: list[tuple[float, LeaseReport]] = field(default_factory=list)
    grants: list[tuple[float, Grant]] = field(default_factory=list)


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.floats(0, 6), st.floats(0, 6), st.booleans(), st.booleans()),
    max_size=60,
)


@example_settings(max_examples=150, deadline=None)
@given(STEPS)
def test_no_agent_or_share_has_two_workers(steps):
    """In each step a worker reports. Reports and grants are delayed, in order, or lost."""
    leases = Leases(8, start=0.0, term=TERM)
    wires = [Wire(WorkerLeases(f"w{number}")) for number in range(3)]
    now = 0.0
    for which, wanted, there, back, arrives, passes in steps:
        wire = wires[which]
        report = wire.leases_of_worker.report(wanted, now)
        if arrives:
            wire.reports.append((max([now + there, *[at for at, _ in wire.reports]]), report))
        for _ in range(4):
            now += 0.3 if passes else 0.05
            leases.advance(now)
            for each in wires:
                _deliver(each, leases, now, back)
            _assert_no_lease_has_two_workers(wires, now)


def _deliver(wire: Wire, leases: Leases, now: float, back: float) -> None:
    while wire.reports and wire.reports[0][0] <= now:
        grant = leases.handle_report(wire.reports.pop(0)[1], now)
        if grant is not None:
            wire.grants.append((max([now + back, *[at for at, _ in wire.grants]]), grant))
    wire.leases_of_worker.drop_expired(now, now)
    while wire.grants and wire.grants[0][0] <= now:
        wire.leases_of_worker.apply_grant(wire.grants.pop(0)[1], now, now)
    take_all(wire.leases_of_worker)


def _assert_no_lease_has_two_workers(wires: list[Wire], now: float) -> None:
    agents = [agent for wire in wires for agent in wire.leases_of_worker.report(0, now)["agents"]]
    shares = [share for wire in wires for share in wire.leases_of_worker.shares]
    assert len(agents) == len(set(agents))
    assert len(shares) == len(set(shares))


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_all_shares_are_leased_after_a_few_reports(workers: int):
    leases = Leases(20, start=START, term=TERM)
    workers_leases = [WorkerLeases(f"w{number}") for number in range(workers)]
    for second in range(5):
        for leases_of_worker in workers_leases:
            report_to(leases, leases_of_worker, 20 // workers, START + second)
    assert sorted(share for leases_of_worker in workers_leases for share in leases_of_worker.shares) == list(
        range(SHARES)
    )
