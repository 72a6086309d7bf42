"""The simulation notices faults that are planted in the engine, and shows each with a short test."""

from __future__ import annotations

import pytest

from tests.simulation.generation import plan_of
from tests.simulation.plan import Answer, ClientPlan, Operation, Plan, PlannedEvent, PlannedFault, Step
from tests.simulation.planted_faults import FAULTS, planted
from tests.simulation.runs import broken_promises
from tests.simulation.shrinking import SMALLER_PLANS, Shrinker
from tests.simulation.transcript import pasted, transcript

SEEDS = range(200)
"""A fault that no run of these seeds shows is not noticed."""

SHOWN = (
    "a held poll is not released",
    "a message is queued twice",
    "a notification without a client is not reported",
    "plays are not counted",
)
"""The faults whose runs are shrunk; `make simulate` shrinks each run that fails."""


def _first_seed() -> int | None:
    return next((seed for seed in SEEDS if broken_promises(plan_of(seed, length=60))), None)


def test_the_seeds_keep_all_promises_without_a_fault():
    assert _first_seed() is None


@pytest.mark.parametrize("fault", sorted({*FAULTS}.difference(SHOWN)))
def test_a_planted_fault_is_noticed(fault: str):
    with planted(fault):
        assert _first_seed() is not None


def test_a_fault_is_noticed_after_a_publish_has_broken_a_websocket():
    plan = Plan(
        operations=(Operation("op0", "publish"), Operation("op1", "header", (Answer((PlannedEvent("/a"),)),))),
        clients=(ClientPlan("a"), ClientPlan("b", "websocket")),
        steps=(
            Step(0.0, "b", "connect"),
            Step(0.1, "b", "call", ["op0", 1]),
            Step(0.2, "a", "connect"),
            Step(0.3, "a", "call", ["op1", 2]),
        ),
        faults=(PlannedFault("op0 1", "broken", 1),),
    )
    assert broken_promises(plan) == []
    with planted("replies and notifications are late"):
        assert broken_promises(plan) != []


@pytest.mark.parametrize("fault", SHOWN)
def test_a_planted_fault_is_shown_by_a_test_of_at_most_ten_steps(fault: str):
    with planted(fault):
        seed = _first_seed()
        assert seed is not None
        plan = Shrinker(plan_of(seed, length=60), broken_promises, SMALLER_PLANS, max_runs=200).shrink()
        source = transcript(plan, seed, broken_promises)
    assert len(plan.steps) <= 10
    test = pasted(source)
    test()
    with planted(fault), pytest.raises(AssertionError):
        test()


def test_a_smaller_plan_that_fails_in_another_way_is_another_failure():
    calls = tuple(Step(number / 10, "a", "call", ["op0", number]) for number in range(8))
    plan = Plan((Operation("op0"),), (ClientPlan("a"),), calls)

    def find(plan: Plan) -> list[str]:
        number = len(plan.steps)
        return [f"{number}: a receives nothing" if number > 2 else f"{number}: a receives {number} replies"]

    assert len(Shrinker(plan, find, SMALLER_PLANS, max_runs=100).shrink().steps) == 3
