"""The schedule: a heap of timers in whole microseconds, so that equal times compare equal.

Adding and removing a timer costs O(log n).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NewType, TypeAlias, TypeVar

__all__ = ["Schedule", "Ticks", "TimerHandle", "to_seconds", "to_ticks"]

Item = TypeVar("Item")
SortKey: TypeAlias = "tuple[int, ...]"

Ticks = NewType("Ticks", int)
"""A time or a duration in whole microseconds."""


def to_ticks(seconds: float) -> Ticks:
    """Convert seconds to the nearest whole microsecond."""
    return Ticks(round(seconds * 1_000_000))


def to_seconds(ticks: Ticks) -> float:
    """Convert microseconds to seconds."""
    return ticks / 1_000_000


@dataclass(slots=True, order=True)
class TimerHandle(Generic[Item]):
    """A timer, due `at`. Timers due at the same time are ordered by `sort_key`, then by arrival."""

    at: Ticks
    sort_key: SortKey
    arrival: int
    item: Item | None = field(compare=False)
    """The scheduled item; None after `cancel`."""

    def cancel(self) -> None:
        """Cancel the timer. Has no effect if it was cancelled or is over."""
        self.item = None


class Schedule(Generic[Item]):
    """Items ordered by their time, then by their sort key, then by their arrival."""

    def __init__(self) -> None:
        self._heap: list[TimerHandle[Item]] = []
        self._arrivals = 0

    def add(self, at: Ticks, item: Item, sort_key: SortKey = ()) -> TimerHandle[Item]:
        """Schedule an item."""
        self._arrivals += 1
        handle = TimerHandle(at, sort_key, self._arrivals, item)
        heapq.heappush(self._heap, handle)
        return handle

    def first(self) -> tuple[Ticks, Item] | None:
        """Return the next item and its time, or None."""
        while self._heap:
            handle = self._heap[0]
            if handle.item is not None:
                return handle.at, handle.item
            heapq.heappop(self._heap)
        return None

    def due(
        self, now: Ticks, is_due: Callable[[Ticks, Item], bool] = lambda _at, _item: True
    ) -> Iterator[tuple[Ticks, Item]]:
        """Remove and yield the items that are due by `now`, in order, including items that are added meanwhile.

        Items for which `is_due` is false stay.
        """
        kept = []
        while self.first() is not None and self._heap[0].at <= now:
            handle = heapq.heappop(self._heap)
            if handle.item is None:
                continue
            if is_due(handle.at, handle.item):
                yield handle.at, handle.item
            else:
                kept.append(handle)
        for handle in kept:
            heapq.heappush(self._heap, handle)
