"""The course of a run: what was sent, answered and failed in each second, for a picture that stays small.

Seconds are widened to 2, 4, 8… when a run grows long; the width follows from the last second alone, so that merging
gives the same in any order.
"""

from __future__ import annotations

from typing import NamedTuple, TypedDict

__all__ = ["Interval", "TimeSeries", "TimeSeriesState"]

_MOST = 600


class Interval(NamedTuple):
    """What happened from `at`, in seconds since the run began, for the width of a beat."""

    at: int
    sent: int
    answered: int
    failed: int
    worst: float
    """The slowest answer that came, in seconds from its intended start."""


class TimeSeriesState(TypedDict):
    """The course as JSON: each beat is [number, sent, answered, failed, worst in microseconds]."""

    width: int
    beats: list[list[int]]


class TimeSeries:
    """Counts by the second since the run began."""

    def __init__(self) -> None:
        self.width = 1
        self._beats: dict[int, list[int]] = {}

    def sent(self, at: float) -> None:
        """Count a POST."""
        self._beat(int(at))[0] += 1

    def answered(self, at: float, micros: int) -> None:
        """Count an answer that took so long from its intended start."""
        beat = self._beat(int(at))
        beat[1] += 1
        beat[3] = max(beat[3], micros)

    def failed(self, at: float) -> None:
        """Count an exchange that failed."""
        self._beat(int(at))[2] += 1

    def merge(self, other: TimeSeriesState) -> None:
        """Add the counts of another."""
        self._widen(other["width"])
        for number, sent, answered, failed, worst in other["beats"]:
            beat = self._beat(number * other["width"])
            beat[0] += sent
            beat[1] += answered
            beat[2] += failed
            beat[3] = max(beat[3], worst)

    def beats(self) -> list[Interval]:
        """Give the beats in order; those in which nothing happened are left out."""
        rows = sorted(self._beats.items())
        return [Interval(number * self.width, a, b, c, worst / 1_000_000) for number, (a, b, c, worst) in rows]

    def state(self) -> TimeSeriesState:
        """Give everything that is known, for `merge`."""
        return {"width": self.width, "beats": [[number, *beat] for number, beat in sorted(self._beats.items())]}

    def _beat(self, second: int) -> list[int]:
        second = max(second, 0)
        number = second // self.width
        beat = self._beats.get(number)
        if beat is None:
            width = self.width
            while second // width >= _MOST:
                width *= 2
            self._widen(width)
            beat = self._beats.setdefault(second // width, [0, 0, 0, 0])
        return beat

    def _widen(self, width: int) -> None:
        if width <= self.width:
            return
        factor, narrow = width // self.width, self._beats
        self.width, self._beats = width, {}
        for number, counts in narrow.items():
            beat = self._beats.setdefault(number // factor, [0, 0, 0, 0])
            for place in range(3):
                beat[place] += counts[place]
            beat[3] = max(beat[3], counts[3])
