"""Random runs of the engine in virtual time keep the promises in docs/replay.md."""

from __future__ import annotations

import gc
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from cometreel.engine import Backend
from cometreel.wire import Effect
from tests.simulation import generation
from tests.simulation.__main__ import main, report_failure
from tests.simulation.generation import FEATURES, plan_of
from tests.simulation.plan import (
    Answer,
    ClientPlan,
    FaultName,
    Generated,
    Identity,
    Operation,
    Options,
    Plan,
    PlannedEntry,
    PlannedEvent,
    Step,
    Trigger,
)
from tests.simulation.planted_faults import planted
from tests.simulation.runs import Totals, broken_promises, bytes_of, differences, run_seed
from tests.simulation.transcript import pasted
from tests.simulation.transports import TRANSPORTS
from tests.simulation.world import World, play

PART = 96
"""The seeds of each of the four parts of the simulation. Each part plays at least 25,000 actions."""


@pytest.mark.parametrize("first", range(0, 4 * PART, PART))
def test_a_simulation_keeps_all_promises(first: int):
    totals = Totals()
    for seed in range(first, first + PART):
        assert (seed, run_seed(seed, totals)) == (seed, [])
    assert totals.actions >= 25_000


@pytest.mark.parametrize("seed", [0, 50, 100])
def test_a_scenario_that_went_through_yaml_gives_the_same_bytes(seed: int):
    plan = plan_of(seed)
    assert plan.through_yaml
    answered = [_answered(play(each)) for each in (plan, replace(plan, through_yaml=False))]
    assert answered[0] == answered[1]


@pytest.mark.parametrize("seed", range(20))
def test_a_late_call_gives_the_same_bytes_as_a_call_at_each_deadline(seed: int):
    plan = plan_of(seed)
    steps = [*plan.steps[:60], Step(plan.steps[59].at, "", "sleep", 2.5), *plan.steps[60:]]
    plan = replace(plan, steps=tuple(steps))
    assert differences(play(plan, late=True), play(plan)) == []


def test_a_publish_of_an_expired_client_has_no_effect():
    """Only its answer tells that it has expired: its server may have noticed the lost poll later."""
    plan = Plan(
        operations=(
            Operation("op1", "one-of", (Answer((PlannedEvent("/c/d"),)),)),
            Operation("op2", "publish", (Answer((PlannedEvent("/b", deliver="subscribers"),)),)),
        ),
        clients=(ClientPlan("a", user="ann"), ClientPlan("b", user="bob")),
        steps=(
            Step(0.0, "b", "connect"),
            Step(24.0, "b", "hangup"),
            Step(26.0, "a", "call", ["op1", 40]),
            Step(35.0, "b", "call", ["op2", 56]),
        ),
        options=Options(on_hangup="lose"),
    )
    assert broken_promises(plan) == []


def test_one_of_two_equal_notifications_is_enough_if_one_may_not_come():
    """The first is for all clients of the node, because one that has expired may have been its only receiver."""
    plan = Plan(
        operations=(Operation("op1", "query", (Answer((PlannedEvent("/c/d"),)),)),),
        clients=(
            ClientPlan("a"),
            ClientPlan("b", jar="tabs"),
            ClientPlan("c", jar="tabs"),
            ClientPlan("d", "websocket", "browser"),
        ),
        steps=(
            Step(0.0, "a", "connect"),
            Step(0.0, "c", "connect", []),
            Step(0.0, "d", "connect"),
            Step(0.0, "a", "forget"),
            Step(5.0, "b", "unmatched", 6),
            Step(5.5, "d", "call", ["op1", 7]),
            Step(5.6, "b", "call", ["op1", 9]),
            Step(6.0, "", "sleep", 100.128981),
        ),
        timeline=(PlannedEntry("/b", until="unsubscribe /a", after=1.0, gap=0.1, roles=("watcher-1",)),),
        users=(("watcher-1", ""),),
        options=Options(max_interval=4.013, on_hangup="lose"),
    )
    assert broken_promises(plan) == []


def test_the_memory_of_sessions_is_released():
    """The objects of the garbage collector after many runs on one engine are as many as after a few."""
    from tests.simulation.rounds import objects_after_rounds  # noqa: PLC0415

    gc.collect()
    first, second = objects_after_rounds(3), objects_after_rounds(9)
    assert second - first < 200


def test_all_features_are_used():
    plans = [plan_of(seed) for seed in range(300)]
    steps = [step for plan in plans for step in plan.steps]
    assert len({step.do for step in steps if step.client}) >= 20
    assert any(step.do == "head" for step in steps)
    assert {step.do for step in steps if not step.client} == {
        *("sleep", "push", "reload", "edit", "reset", "restart", "crash", "speed")
    }
    assert {client.transport for plan in plans for client in plan.clients} == {*TRANSPORTS}
    assert {client.identity for plan in plans for client in plan.clients} == {*get_args(Identity)}
    assert {operation.trigger for plan in plans for operation in plan.operations} == {*get_args(Trigger)}
    sends = [name for plan in plans for operation in plan.operations for name in operation.sends]
    assert {*sends} == {*get_args(Generated)}
    assert {plan.options.anonymous for plan in plans} == {"one", "address", "each"}
    assert {plan.options.auth for plan in plans} == {"open", "session", "csrf"}
    entries = [entry for plan in plans for entry in plan.timeline]
    assert any(entry.identifier for entry in entries)
    assert {len(entry.ends()) for entry in entries} == {0, 1, 2, 3}
    assert {len(entry.roles) for entry in entries} == {0, 1, 2}
    assert {fault.action for plan in plans for fault in plan.faults} == {*get_args(FaultName)}
    source = Path(generation.__file__).read_text("utf-8")
    assert [each for each in FEATURES if source.count(f'"{each}"') < 2] == []


def test_the_command_plays_one_seed_and_prints_totals(capsys: pytest.CaptureFixture[str]):
    assert main(["--seed", "3"]) == 0
    simulated, _, loads = capsys.readouterr().out.splitlines()
    assert simulated.startswith("1 seeds (0 of them twice), ")
    assert loads.startswith("load ledger: 1 seeds, ")


def test_the_command_prints_a_failing_seed_as_a_test(capsys: pytest.CaptureFixture[str]):
    with planted("plays are not counted"):
        assert main(["--first", "0"]) == 1
        report = capsys.readouterr().out
        seed = int(report.split()[1])
        assert report_failure(seed) in report
    assert f"SEED={seed} repeats it" in report
    assert f"def test_seed_{seed}() -> None:" in report


def test_a_seed_whose_bytes_differ_in_a_late_run_is_printed_as_a_test(monkeypatch: pytest.MonkeyPatch):
    advance = Backend.advance

    def takes_an_id(self: Backend, now: float) -> list[Effect]:
        self._ids.new("client")
        return advance(self, now)

    monkeypatch.setattr(Backend, "advance", takes_an_id)
    assert re.match(r"0: output \d+ for [a-f] differs in two equal runs$", run_seed(125, Totals())[0])
    assert run_seed(126, Totals()) == []
    report = report_failure(125, max_runs=30)
    test = pasted(report)
    with pytest.raises(AssertionError):
        test()
    monkeypatch.undo()
    test()


def test_an_error_of_a_late_run_breaks_a_promise(monkeypatch: pytest.MonkeyPatch):
    sleep = World._sleep

    def fails_late(self: World, seconds: float) -> None:
        sleep(self, seconds)
        if self.late:
            raise ValueError("late")

    monkeypatch.setattr(World, "_sleep", fails_late)
    assert run_seed(125, Totals()) == ["0: ValueError: late"]


def _answered(world: World) -> dict[str, list[tuple[object, ...]]]:
    """Return all bytes except those of near misses, which name the lines of the scenario."""
    return {client: [each for each in sent if each[0] != 404] for client, sent in bytes_of(world).items()}
