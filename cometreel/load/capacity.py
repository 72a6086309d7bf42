"""The search for the highest rate that holds the limits: double it until they break, then halve the gap.

A state machine without a clock: `step` says what to do next, `check_limits` takes what came of it. Only requests that are
settled and begun in a settled system are judged, so each step has four parts: `rest`, with nothing due, after a step
that broke and left a queue; `warm` at the rate, uncounted; `counted`; and `settle`, uncounted, in which the rate stays
and the last answers may still come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cometreel.errors import OptionInvalid
from cometreel.load.limits import Limit, LimitResult, check_limits
from cometreel.load.tally import Tally, overloaded

__all__ = ["CapacitySearch", "CapacityResult", "CapacityStep", "StopReason", "CapacityTrial"]

_MAX_STEPS = 40
_GIVE_UP_FACTOR = 8
"""Where not even this part of the first rate holds, nothing does."""
_SENT_PART = 0.98
"""Which part of what was due must have been sent in a step: a rate that isn't sent isn't held."""


@dataclass(frozen=True, slots=True)
class CapacityStep:
    """Order: send nothing for `rest` seconds, then at this rate for `warm` + `counted` + `settle`; judge `counted`."""

    number: int
    rate: float
    rest: float
    warm: float
    counted: float
    settle: float


class StopReason(Enum):
    """Why a search ended."""

    FOUND = "the limits break above it"
    GENERATOR = "the load generator was the limit, not the server: use more workers"
    QUEUED = "requests queued behind slow replies above it: the server was slow, or there were too few agents"
    HIGHEST = "it is the highest rate that was allowed"
    NONE = "no rate held the limits"
    OPEN = "the search wasn't over: there may be a higher one"


@dataclass(frozen=True, slots=True)
class CapacityTrial:
    """What came of one step: the limit_results, what was due and sent, and whether the generator was at its end."""

    step: CapacityStep
    limit_results: tuple[LimitResult, ...]
    due: int
    sent: int
    overloaded: bool

    @property
    def delivered(self) -> bool:
        """Whether what was due was sent; where nothing was, nothing is known of the server."""
        return self.sent > 0 and self.sent >= _SENT_PART * self.due

    @property
    def held(self) -> bool:
        """Whether the rate was delivered by a generator with power to spare, and every limit held."""
        return self.reason == ""

    @property
    def reason(self) -> str:
        """Say why it didn't hold; empty if it did."""
        if self.overloaded:
            return "the load generator was at its end"
        broken = [result.limit.text for result in self.limit_results if not result.passed]
        if not self.delivered:
            broken.append("not all that was due was sent" if self.due else "nothing was due")
        return "; ".join(broken)


@dataclass(frozen=True, slots=True)
class CapacityResult:
    """The result: the highest rate that held (0 if none did), the lowest that didn't, and why it ended there."""

    rate: float
    broken: float | None
    stopped: StopReason


class CapacitySearch:
    """Finds the highest rate that holds the limits.

    :param limits: what must hold; at least one.
    :param first: the rate of the first step, requests per second.
    :param highest: the rate that is never exceeded.
    :param precision: how near the result must be to the lowest rate that broke, as a part of it.
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
            expected = "a limit that tells when the server has had enough"
            raise OptionInvalid(
                "--reel-find-capacity", "no --reel-limit is given", expected, "add --reel-limit 'lost == 0'"
            )
        if not 0 < first <= highest:
            raise OptionInvalid(
                "--reel-rate", f"a search can't begin at {first:g}", f"a rate above 0, up to {highest:g}"
            )
        self._limits = tuple(limits)
        self._first, self._highest = first, highest
        self._precision = precision
        self._durations = (warm, counted, settle)
        self._held = 0.0
        self._broken: float | None = None
        self._last_broken: CapacityTrial | None = None  # the latest that didn't hold
        self.trials: list[CapacityTrial] = []
        self.result: CapacityResult | None = None
        """None while it goes on."""
        self.step: CapacityStep | None = CapacityStep(1, first, 0.0, *self._durations)
        """What to do now; None when the search is over."""

    def add_result(self, tally: Tally) -> None:
        """Take what came of the step: the figures of the requests whose intended start lay in `counted`."""
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
        """Return the result, or what is known of it while the search goes on."""
        return self.result or CapacityResult(self._held, self._broken, StopReason.OPEN)

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
