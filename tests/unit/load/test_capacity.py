"""The search for capacity: double the rate, then bisect, and detect an overloaded load generator."""

from __future__ import annotations

import pytest

from cometreel.errors import OptionInvalid
from cometreel.load import (
    CapacityResult,
    CapacitySearch,
    CapacityStep,
    Expectation,
    Lost,
    PendingRequest,
    StopReason,
    Tally,
    parse_limits,
)
from cometreel.load.outcomes import PlannedRequest

LOST = parse_limits(["lost == 0"])
PLANNED = PlannedRequest("RequestAgentStats Agent", Expectation("Agent"))


def a_step(rate: float, capacity: float, *, able: float = 10_000.0, cpu: float = 10.0) -> Tally:
    """Return the result of a server that loses requests above its capacity, and a generator with a maximum rate."""
    tally = Tally("w")
    tally.add_cpu_sample(cpu)
    tally.due = 1000
    row = tally.entry(PLANNED.entry)
    row.sent = 1000 if rate <= able else 900
    if rate > capacity:
        tally.add([Lost(PendingRequest(1, "a", PLANNED, 0.0, 0.0), 1.0)])
    return tally


def search(first: float = 10.0, **more: float) -> CapacitySearch:
    return CapacitySearch(LOST, first=first, counted=10.0, settle=5.0, **more)


def run(it: CapacitySearch, capacity: float, **more: float) -> tuple[list[float], CapacityResult | None]:
    rates = []
    while it.step is not None:
        rates.append(it.step.rate)
        it.add_result(a_step(it.step.rate, capacity, **more))
    return rates, it.result


def test_the_search_doubles_the_rate_and_then_bisects():
    it = search()
    rates, result = run(it, 100.0)
    assert rates == [10, 20, 40, 80, 160, 120, 100, 110, 105]
    assert result == CapacityResult(100.0, 105.0, StopReason.FOUND)
    assert [trial.held for trial in it.trials] == [True, True, True, True, False, False, True, False, False]


def test_a_step_contains_its_durations():
    assert search(warm=3.0).step == CapacityStep(1, 10.0, 0.0, 3.0, 10.0, 5.0)


def test_a_failed_step_is_followed_by_a_rest():
    it = search(first=80.0)
    rests = []
    while it.step is not None:
        rests.append((it.step.rate, it.step.rest))
        it.add_result(a_step(it.step.rate, 100.0))
    assert rests == [(80, 0.0), (160, 0.0), (120, 5.0), (100, 5.0), (110, 0.0), (105, 5.0)]


def test_the_search_goes_down_if_the_first_rate_fails():
    rates, result = run(
        search(),
        3.0,
    )
    assert rates[:3] == [10, 5, 2.5]
    assert result is not None
    assert 2.8 <= result.rate <= 3.0


def test_the_search_gives_up_at_an_eighth_of_the_first_rate():
    assert run(search(), 0.0) == ([10, 5, 2.5, 1.25], CapacityResult(0.0, 1.25, StopReason.NONE))


def test_a_step_without_due_requests_fails():
    it = search()
    it.add_result(Tally("w"))
    assert (it.trials[0].held, it.trials[0].reason) == (False, "no request was due")


def test_an_unfinished_search_has_a_preliminary_result():
    it = search()
    assert it.result_so_far() == CapacityResult(0.0, None, StopReason.UNFINISHED)
    for capacity in (100.0, 100.0, 15.0):
        assert it.step is not None
        it.add_result(a_step(it.step.rate, capacity))
    assert it.result_so_far() == CapacityResult(20.0, 40.0, StopReason.OPEN)
    while it.step is not None:
        it.add_result(a_step(it.step.rate, 100.0))
    assert it.result_so_far() == it.result


def test_the_search_ends_at_the_highest_allowed_rate():
    assert run(search(highest=50.0), 1000.0) == ([10, 20, 40, 50], CapacityResult(50.0, None, StopReason.HIGHEST))


def test_a_rate_that_was_not_reached_fails():
    it = search()
    _, result = run(it, 1000.0, able=100.0)
    assert result == CapacityResult(100.0, 105.0, StopReason.QUEUED)
    assert it.trials[-1].reason == "not all due requests were sent"


def test_an_overloaded_generator_ends_the_search():
    it = search()
    _, result = run(it, 1000.0, cpu=95.0)
    assert result is not None
    assert (result.stopped, result.rate) == (StopReason.GENERATOR, 0.0)
    assert it.trials[0].reason == "the load generator was overloaded"


def test_a_search_with_precision_0_ends():
    rates, result = run(search(precision=0.0), 100.3)
    assert (len(rates), result is not None) == (40, True)


@pytest.mark.parametrize(
    ("limits", "first", "sentence"),
    [
        (
            [],
            10.0,
            (
                "--reel-find-capacity: no --reel-limit is given; expected a limit that decides if a rate is too "
                "high (add --reel-limit 'lost == 0')"
            ),
        ),
        (["lost == 0"], 0.0, "--reel-rate: a search can't start at 0; expected a rate above 0, up to 100000"),
        (
            ["lost == 0"],
            200_000.0,
            "--reel-rate: a search can't start at 200000; expected a rate above 0, up to 100000",
        ),
    ],
)
def test_invalid_arguments_are_refused(limits: list[str], first: float, sentence: str):
    with pytest.raises(OptionInvalid) as refused:
        CapacitySearch(parse_limits(limits), first=first, counted=10.0, settle=5.0)
    assert str(refused.value) == sentence
