"""The schedule: a heap of timers in whole microseconds, so that equal times compare equal.

Adding and removing a timer costs O(log n).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, NewType, TypeAlias, TypeVar

__all__ = ["Schedule", "Ticks", "TimerHandle", "to_ticks"]

Item = TypeVar("Item")
SortKey: TypeAlias = "tuple[int, ...]"

Ticks = NewType("Ticks", int)
"""A time or a duration in whole microseconds."""


def to_ticks(seconds: float) -> Ticks:
    """Convert seconds to the nearest whole microsecond."""
    return round(seconds * 1_000_000)  # type: ignore[return-value]  # called for each request: `Ticks` is a Python call


class TimerHandle(Generic[Item]):
    """A scheduled item; None after `cancel`."""

    __slots__ = ("item",)

    def __init__(self, item: Item) -> None:
        self.item: Item | None = item

    def cancel(self) -> None:
        """Cancel the timer. Has no effect if it was cancelled or is over."""
        self.item = None


class Schedule(Generic[Item]):
    """Items ordered by their time, then by their sort key, then by their arrival."""

    __slots__ = ("_arrivals", "_heap")

    def __init__(self) -> None:
        # tuples, because their comparison calls no Python function; no two have the same arrival
        self._heap: list[tuple[Ticks, SortKey, int, TimerHandle[Item]]] = []
        self._arrivals = 0

    def add(self, at: Ticks, item: Item, sort_key: SortKey = ()) -> TimerHandle[Item]:
        """Schedule an item."""
        self._arrivals += 1
        handle = TimerHandle(item)
        heapq.heappush(self._heap, (at, sort_key, self._arrivals, handle))
        return handle

    def is_idle(self, now: float) -> bool:
        """True if certainly nothing is due at this time in seconds, or up to a microsecond later."""
        return not self._heap or self._heap[0][0] > now * 1_000_000 + 1.5

    def first(self) -> tuple[Ticks, Item] | None:
        """Return the next item and its time, or None."""
        while self._heap:
            at, _, _, handle = self._heap[0]
            if handle.item is not None:
                return at, handle.item
            heapq.heappop(self._heap)
        return None

    def due(
        self, now: Ticks, is_due: Callable[[Ticks, Item], bool] = lambda _at, _item: True
    ) -> Iterator[tuple[Ticks, Item]]:
        """Remove and yield the items that are due by `now`, in order, including items that are added meanwhile.

        Items for which `is_due` is false stay.
        """
        kept = []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            item = entry[3].item
            if item is None:
                continue
            if is_due(entry[0], item):
                yield entry[0], item
            else:
                kept.append(entry)
        for entry in kept:
            heapq.heappush(self._heap, entry)
