"""Counters of a replay, for monitoring. They only increase."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

__all__ = ["BOUNDS", "Counters", "Histogram"]

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the histogram's buckets in seconds, inclusive."""


class Histogram:
    """A histogram of durations."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """The number of durations in each bucket of `BOUNDS`; the last item counts those above all bounds."""
        self.total = 0.0
        """The sum of all durations, in seconds."""

    def observe(self, seconds: float) -> None:
        """Count a duration. A negative one, caused by rounding to whole microseconds, counts as 0."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Counters:
    """The counters since the start; a reset doesn't change them."""

    __slots__ = ("events", "lateness", "requests")

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """Requests by kind: `http`, `bayeux` (polls and other messages) and `websocket` (upgrades, not frames)."""
        self.events = 0
        """Notifications delivered to CometD clients, counted once per client."""
        self.lateness = Histogram()
        """The delay between the due time of each scheduled notification or batch and its delivery."""
