"""The load ledger agrees with a simulated server, and the check notices faults that are planted in the load agents."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from cometreel.bayeux import BayeuxClient
from cometreel.load import Arrival, ArrivalSchedule, Expectation, Ledger, Tally
from cometreel.load.outcomes import Answered, PendingRequest
from cometreel.load.tally import TallyState
from cometreel.locust_agents.agent import Agent
from tests.simulation import load_ledger
from tests.simulation.load_ledger import POSTS, broken_load, main, plan_of, report_failure
from tests.simulation.transcript import check_printed

SEEDS = range(1, 13)
FAULTY_SEEDS = range(1, 12)
"""A planted fault that no run of these seeds shows is not noticed."""
FAULTY_POSTS = 300


@pytest.mark.parametrize("seed", SEEDS)
def test_the_server_and_the_ledger_count_the_same(seed: int):
    assert broken_load(plan_of(seed, POSTS)) == []


def test_the_faulty_seeds_have_no_differences_without_a_fault():
    assert _first_seed() is None


def _first_seed() -> int | None:
    return next((seed for seed in FAULTY_SEEDS if broken_load(plan_of(seed, FAULTY_POSTS))), None)


def test_the_command_prints_the_first_seed_that_fails_as_a_test(monkeypatch: pytest.MonkeyPatch):
    _owners_are_not_compared(monkeypatch)
    monkeypatch.setattr(load_ledger, "POSTS", FAULTY_POSTS)
    lines: list[str] = []
    assert not main(SEEDS, 6_000, lines.append)
    assert (found := re.match(r"load ledger: seed (\d+) fails: agent-\d+ of worker-\d+, POST \d+: ", lines[0]))
    assert lines[1].startswith(f"SEED={found[1]} repeats it.")
    assert lines[2:] == [report_failure(int(found[1]), FAULTY_POSTS)]
    assert re.search(r"\n#  +[\d.]+  notification \d+, for POST 1, wrong Owner$", lines[2])


def test_an_error_of_the_agents_fails_the_load_test(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise ValueError("no agent")

    monkeypatch.setattr(Agent, "start", fails)
    assert broken_load(plan_of(1, FAULTY_POSTS)) == ["0: ValueError: no agent"]


def _duplicates_are_answers(patch: pytest.MonkeyPatch) -> None:
    deliver = Ledger._deliver

    def planted(self: Ledger, exchange: PendingRequest, data: object, at: float) -> object:
        if exchange.answered:
            return Answered(exchange, at, late=False)
        return deliver(self, exchange, data, at)  # type: ignore[arg-type]  # an object

    patch.setattr(Ledger, "_deliver", planted)


def _late_counts_from_the_post(patch: pytest.MonkeyPatch) -> None:
    sent = Ledger.sent
    patch.setattr(Ledger, "sent", lambda self, planned, intended, now: sent(self, planned, now, now))


def _longer_patience(patch: pytest.MonkeyPatch) -> None:
    create = Ledger.__init__

    def planted(self: Ledger, agent: str, *, late: float, patience: float) -> None:
        create(self, agent, late=late, patience=patience * 1.3)

    patch.setattr(Ledger, "__init__", planted)


def _early_notifications_are_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "_deliver_early", lambda _self, _exchange: [])


def _answered_references_never_expire(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "_forgotten", lambda _self, _exchange, _now: False)
    patch.setattr(Ledger, "_forget", lambda _self, _exchange: None)


def _lost_references_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "_remember", lambda self, exchange: self._forget(exchange) if not exchange.answered else None)


def _owners_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    mismatch = Expectation.mismatch
    patch.setattr(Expectation, "mismatch", lambda self, data: mismatch(self, data).replace("Owner", ""))


def _abandoned_requests_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "close", lambda self, now: self.advance(now))


def _a_lost_session_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "session_lost", lambda self, now: self.advance(now))


def _unsent_requests_are_not_merged(patch: pytest.MonkeyPatch) -> None:
    merge = Tally.merge

    def without_unsent(self: Tally, other: TallyState) -> None:
        others = other.copy()
        others["unsent"] = 0
        merge(self, others)

    patch.setattr(Tally, "merge", without_unsent)


def _queued_requests_are_not_unsent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Agent, "_record_unsent", lambda _self, _count: None)


def _the_last_message_of_a_reply_is_dropped(patch: pytest.MonkeyPatch) -> None:
    receive = BayeuxClient.receive

    def planted(self: BayeuxClient, messages: list[object], now: float, *, number: int | None = None) -> object:
        kept = messages[:1] + messages[-1:] if len(messages) > 2 else messages
        return receive(self, kept, now, number=number)  # type: ignore[arg-type]  # messages

    patch.setattr(BayeuxClient, "receive", planted)


def _due_requests_are_skipped(patch: pytest.MonkeyPatch) -> None:
    due = ArrivalSchedule.due

    def planted(self: ArrivalSchedule, seconds: float, limit: int = 1000) -> list[Arrival]:
        found = due(self, seconds, limit)
        return found[:3] if limit == 1000 else found

    patch.setattr(ArrivalSchedule, "due", planted)


PLANTED: list[Callable[[pytest.MonkeyPatch], None]] = [
    _duplicates_are_answers,
    _late_counts_from_the_post,
    _longer_patience,
    _early_notifications_are_dropped,
    _answered_references_never_expire,
    _lost_references_are_forgotten,
    _owners_are_not_compared,
    _abandoned_requests_are_not_counted,
    _a_lost_session_is_not_counted,
    _unsent_requests_are_not_merged,
    _queued_requests_are_not_unsent,
    _the_last_message_of_a_reply_is_dropped,
    _due_requests_are_skipped,
]


SHOWN = (
    _duplicates_are_answers,
    _early_notifications_are_dropped,
    _owners_are_not_compared,
    _a_lost_session_is_not_counted,
    _unsent_requests_are_not_merged,
)
"""The faults whose runs are shrunk; `make simulate` shrinks each load test that fails."""


def _name(plant: Callable[[pytest.MonkeyPatch], None]) -> str:
    return plant.__name__.strip("_")


@pytest.mark.parametrize("plant", [each for each in PLANTED if each not in SHOWN], ids=_name)
def test_a_planted_fault_is_noticed(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch):
    plant(monkeypatch)
    assert _first_seed() is not None


@pytest.mark.parametrize("plant", SHOWN, ids=_name)
def test_a_planted_fault_is_shown_by_a_test_of_at_most_ten_steps(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
):
    plant(monkeypatch)
    seed = _first_seed()
    assert seed is not None
    check_printed(report_failure(seed, FAULTY_POSTS), monkeypatch)
