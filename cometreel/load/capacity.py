"""The search for the highest rate that meets the limits: double the rate until a limit fails, then bisect.

A state machine without a clock: `step` is the next thing to do, `add_result` takes its result. Only requests that
were sent at a steady rate and have a final result are judged, so each step has four phases: `rest`, without requests,
if the previous step failed and left a queue; `warm` at the rate, not counted; `counted`; and `settle`, at the same
rate and not counted, in which the last answers arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cometreel.errors import OptionInvalid
from cometreel.load.limits import Limit, LimitResult, check_limits
from cometreel.load.tally import Tally, overloaded

__all__ = ["CapacityResult", "CapacitySearch", "CapacityStep", "CapacityTrial", "StopReason"]

_MAX_STEPS = 40
_GIVE_UP_FACTOR = 8
"""The search ends if the limits fail at the first rate divided by this."""
_SENT_PART = 0.98
"""Part of the due requests that must be sent in a step; else the rate was not reached."""


@dataclass(frozen=True, slots=True)
class CapacityStep:
    """One step: send nothing for `rest` seconds, then at this rate for `warm` + `counted` + `settle` seconds."""

    number: int
    rate: float
    rest: float
    warm: float
    counted: float
    settle: float


class StopReason(Enum):
    """The reason why a search ended."""

    FOUND = "the limits break above it"
    GENERATOR = "the load generator was the limit, not the server: use more workers"
    QUEUED = "requests queued behind slow replies above it: the server was slow, or there were too few agents"
    HIGHEST = "it is the highest allowed rate"
    NONE = "no rate held the limits"
    OPEN = "the search was not finished; a higher rate may hold"
    UNFINISHED = "the search was not finished; no rate has held the limits so far"


@dataclass(frozen=True, slots=True)
class CapacityTrial:
    """The result of one step: limits, numbers of due and sent requests, and overload of the load generator."""

    step: CapacityStep
    limit_results: tuple[LimitResult, ...]
    due: int
    sent: int
    overloaded: bool

    @property
    def delivered(self) -> bool:
        """True if the due requests were sent. If none was sent, nothing is known about the server."""
        return self.sent > 0 and self.sent >= _SENT_PART * self.due

    @property
    def held(self) -> bool:
        """True if the rate was reached, the load generator had CPU to spare, and every limit was met."""
        return self.reason == ""

    @property
    def reason(self) -> str:
        """The reason why the step failed; empty if it didn't."""
        if self.overloaded:
            return "the load generator was overloaded"
        broken = [result.limit.text for result in self.limit_results if not result.passed]
        if not self.delivered:
            broken.append("not all due requests were sent" if self.due else "no request was due")
        return "; ".join(broken)


@dataclass(frozen=True, slots=True)
class CapacityResult:
    """The highest rate that met the limits (0 if none did), the lowest that didn't, and the reason for the end."""

    rate: float
    broken: float | None
    stopped: StopReason


class CapacitySearch:
    """Finds the highest rate that meets the limits.

    :param limits: the limits; at least one.
    :param first: rate of the first step, in requests per second.
    :param highest: maximum rate.
    :param precision: maximum gap between the result and the lowest failed rate, as a fraction of the latter.
    :raises OptionInvalid: if there is no limit, or the first rate isn't between 0 and the highest.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        *,
        first: float,
        counted: float,
        settle: float,
        warm: float = 2.0,
        highest: float = 100_000.0,
        precision: float = 0.05,
    ) -> None:
        if not limits:
            expected = "a limit that decides if a rate is too high"
            raise OptionInvalid(
                "--reel-find-capacity", "no --reel-limit is given", expected, "add --reel-limit 'lost == 0'"
            )
        if not 0 < first <= highest:
            raise OptionInvalid(
                "--reel-rate", f"a search can't start at {first:g}", f"a rate above 0, up to {highest:g}"
            )
        self._limits = tuple(limits)
        self._first, self._highest = first, highest
        self._precision = precision
        self._durations = (warm, counted, settle)
        self._held = 0.0
        self._broken: float | None = None
        self._last_broken: CapacityTrial | None = None  # the latest step that failed
        self.trials: list[CapacityTrial] = []
        self.result: CapacityResult | None = None
        """The result; None while the search runs."""
        self.step: CapacityStep | None = CapacityStep(1, first, 0.0, *self._durations)
        """The step to run now; None if the search is over."""

    def add_result(self, tally: Tally) -> None:
        """Take the figures of the requests whose intended start was in `counted`."""
        step = self.step
        assert step is not None, "the search is over"
        sent = sum(entry.sent for entry in tally.entries.values())
        busy = any(map(overloaded, tally.workers.values()))
        trial = CapacityTrial(step, tuple(check_limits(self._limits, tally)), tally.due, sent, busy)
        self.trials.append(trial)
        if trial.held:
            self._held = step.rate
        else:
            self._broken = step.rate
            self._last_broken = trial
        self._set_next_step(step, 0.0 if trial.held else step.settle)

    def result_so_far(self) -> CapacityResult:
        """Return the result, or the preliminary result if the search still runs."""
        stopped = StopReason.OPEN if self._held else StopReason.UNFINISHED
        return self.result or CapacityResult(self._held, self._broken, stopped)

    def _set_next_step(self, step: CapacityStep, rest: float) -> None:
        rate = self._next_rate()
        if rate is None or step.number >= _MAX_STEPS:
            self.step, self.result = None, CapacityResult(self._held, self._broken, self._stop_reason())
        else:
            self.step = CapacityStep(step.number + 1, rate, rest, *self._durations)

    def _next_rate(self) -> float | None:
        if self._broken is None:
            return None if self._held >= self._highest else min(self._held * 2, self._highest)
        if self._broken - self._held <= self._precision * self._broken or self._broken <= self._first / _GIVE_UP_FACTOR:
            return None
        return (self._held + self._broken) / 2

    def _stop_reason(self) -> StopReason:
        if self._last_broken is None:
            return StopReason.HIGHEST
        if self._last_broken.overloaded:
            return StopReason.GENERATOR
        if not self._held:
            return StopReason.NONE
        return StopReason.FOUND if self._last_broken.delivered else StopReason.QUEUED
