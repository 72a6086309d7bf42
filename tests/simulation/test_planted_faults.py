"""The simulation notices faults that are planted in the engine, and shows each with a short test."""

from __future__ import annotations

import pytest

from tests.simulation.generation import plan_of
from tests.simulation.planted_faults import FAULTS, planted
from tests.simulation.shrinking import Shrinker, broken_promises
from tests.simulation.transcript import transcript

SEEDS = range(200)
"""A fault that no run of these seeds shows is not noticed."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed_and_shown_by_a_test_of_at_most_ten_steps(fault: str):
    with planted(fault):
        seed = next(each for each in SEEDS if broken_promises(plan_of(each, length=60)))
        plan = Shrinker(plan_of(seed, length=60), max_runs=200).shrink()
        source = transcript(plan, seed, broken_promises(plan))
    assert len(plan.steps) <= 10
    names: dict[str, object] = {}
    exec(source, names)  # the test as it is pasted
    test = names[f"test_seed_{seed}"]
    assert callable(test)
    test()
    with planted(fault), pytest.raises(AssertionError):
        test()
