"""The requests that were sent, answered and failed per second, in a bounded number of intervals.

In a long run the intervals become 2, 4, 8… seconds wide. The width depends on the last second only, so that merging
gives the same result in any order.
"""

from __future__ import annotations

from typing import NamedTuple, TypedDict

__all__ = ["Interval", "TimeSeries", "TimeSeriesState"]

_MOST = 600


class Interval(NamedTuple):
    """The events of one interval, which starts at `at` seconds since the start of the run."""

    at: int
    sent: int
    answered: int
    failed: int
    worst: float
    """The slowest answer, in seconds from its intended start."""


class TimeSeriesState(TypedDict):
    """A time series as JSON: each interval is [number, sent, answered, failed, worst in microseconds]."""

    width: int
    intervals: list[list[int]]


class TimeSeries:
    """Counts per interval since the start of the run."""

    def __init__(self) -> None:
        self.width = 1
        self._intervals: dict[int, list[int]] = {}

    def sent(self, at: float, count: int = 1) -> None:
        """Count POSTs of one second."""
        self._interval(int(at))[0] += count

    def answered(self, at: float, micros: int, count: int = 1) -> None:
        """Count answers of one second, and the highest of their latencies from the intended start."""
        interval = self._interval(int(at))
        interval[1] += count
        interval[3] = max(interval[3], micros)

    def failed(self, at: float) -> None:
        """Count an exchange that failed."""
        self._interval(int(at))[2] += 1

    def merge(self, other: TimeSeriesState) -> None:
        """Add the counts of another state."""
        self._widen(other["width"])
        for number, sent, answered, failed, worst in other["intervals"]:
            interval = self._interval(number * other["width"])
            interval[0] += sent
            interval[1] += answered
            interval[2] += failed
            interval[3] = max(interval[3], worst)

    def intervals(self) -> list[Interval]:
        """Return the intervals in order, without empty ones."""
        rows = sorted(self._intervals.items())
        return [Interval(number * self.width, a, b, c, worst / 1_000_000) for number, (a, b, c, worst) in rows]

    def state(self) -> TimeSeriesState:
        """Return the state for `merge`."""
        return {
            "width": self.width,
            "intervals": [[number, *interval] for number, interval in sorted(self._intervals.items())],
        }

    def _interval(self, second: int) -> list[int]:
        second = max(second, 0)
        number = second // self.width
        interval = self._intervals.get(number)
        if interval is None:
            width = self.width
            while second // width >= _MOST:
                width *= 2
            self._widen(width)
            interval = self._intervals.setdefault(second // width, [0, 0, 0, 0])
        return interval

    def _widen(self, width: int) -> None:
        if width <= self.width:
            return
        factor, narrow = width // self.width, self._intervals
        self.width, self._intervals = width, {}
        for number, counts in narrow.items():
            interval = self._intervals.setdefault(number // factor, [0, 0, 0, 0])
            for place in range(3):
                interval[place] += counts[place]
            interval[3] = max(interval[3], counts[3])
