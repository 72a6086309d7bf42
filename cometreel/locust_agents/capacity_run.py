"""The search for capacity on a running system: it turns the steps of the search into changes of the rate and stages.

All crews must change at the same moment, so each change is announced a little before it is due.
"""

from __future__ import annotations

from cometreel.load import CapacitySearch, Rate, TallyState, merged
from cometreel.locust_agents.run_options import RunOptions

__all__ = ["CapacityRun"]

_WARM = 0.2  # of what is counted: so long a rate is there before
_ANNOUNCED = 2.0  # seconds: crews report twice in each of them


class CapacityRun:
    """One search. `rates`, `stages` and `wanted` are what the crews are told."""

    def __init__(self, options: RunOptions) -> None:
        assert options.rate is not None
        self.search = CapacitySearch(
            options.limits,
            first=options.rate.at(0.0),
            warm=_WARM * options.step,
            counted=options.step,
            settle=options.habits.patience,
        )
        self._first = options.rate
        self.rates: list[tuple[float, float]] = []
        self.stages: list[tuple[int, float]] = []
        self.wanted: int | None = None
        self._judged_at = 0.0
        self._states: dict[str, TallyState] = {}

    @property
    def over(self) -> bool:
        """Whether the highest rate is found, or it is known that there is none."""
        return self.search.step is None

    @property
    def rate(self) -> Rate:
        """The rate that the crews were told, from the beginning on."""
        rate = self._first
        for since, per_second in self.rates:
            rate = rate.changed(since, per_second)
        return rate

    def begin(self) -> None:
        """Take the first step; the rate is there already."""
        self._announce(0.0, first=True)

    def take(self, worker: str, number: int, state: TallyState) -> None:
        """Take a crew's figures of a stage."""
        if self.search.step is not None and number == self.search.step.number:
            self._states[worker] = state

    def advance(self, elapsed: float, workers: list[str]) -> None:
        """Judge the step when its last answers may have come and all crews have told its figures."""
        step = self.search.step
        if step is None or elapsed < self._judged_at:
            return
        if self.wanted != step.number:
            self._states.clear()
            self.wanted = step.number
        elif self._states and self._states.keys() >= set(workers):
            self.search.judge(merged(self._states.values()))
            self._announce(elapsed)

    def _announce(self, elapsed: float, *, first: bool = False) -> None:
        step = self.search.step
        if step is None:
            return
        starts = elapsed if first else elapsed + _ANNOUNCED
        if step.rest:
            self.rates.append((starts, 0.0))
            starts += step.rest
        if not first:
            self.rates.append((starts, step.rate))
        counted = starts + step.warm
        self.stages += [(step.number, counted), (0, counted + step.counted)]
        self._judged_at = counted + step.counted + step.settle
