"""What a replay counts of itself, for whoever watches it. Plain numbers that only grow; no exposition format enters."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

__all__ = ["BOUNDS", "Counters", "Histogram"]

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the histogram's buckets, in seconds; each bound belongs to its bucket."""


class Histogram:
    """How often a time was how long."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """How many fell into each bucket of `BOUNDS`, and at the end those beyond the last."""
        self.total = 0.0
        """The sum of all, in seconds."""

    def observe(self, seconds: float) -> None:
        """Count one. Below zero is zero: the schedule counts in whole microseconds."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Counters:
    """Everything that is counted since the beginning, also across a reset."""

    __slots__ = ("events", "lateness", "requests")

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """Requests by kind: `http`, `bayeux` (polls and other messages) and `websocket` (upgrades, not frames)."""
        self.events = 0
        """Notifications handed to CometD clients, each for each client."""
        self.lateness = Histogram()
        """How long after its due time the engine came to each notification or batch that was on the schedule."""
