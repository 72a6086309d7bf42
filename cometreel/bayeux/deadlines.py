"""Deadlines of sessions: a heap that removes old entries lazily, so that moving a deadline costs O(log n)."""

from __future__ import annotations

import heapq

__all__ = ["Deadlines"]

_SLACK = 64
"""The number of old entries that the heap may have beyond the current ones before it is rebuilt."""


class Deadlines:
    """At most one deadline for each key. Equal times are due in the order in which they were set."""

    __slots__ = ("_heap", "_live", "_serial", "first")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._live: dict[str, int] = {}
        self._serial = 0
        self.first: float | None = None
        """The earliest deadline. An attribute, because it is read for each request."""

    def __len__(self) -> int:
        return len(self._live)

    def set(self, key: str, when: float) -> None:
        """Set or move the deadline of a key."""
        self._serial += 1
        self._live[key] = self._serial
        heapq.heappush(self._heap, (when, self._serial, key))
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._heap = [entry for entry in self._heap if self._live.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)
        self._update_first()

    def clear(self, key: str) -> None:
        """Remove the deadline of a key, if it has one."""
        self._live.pop(key, None)
        self._update_first()

    def pop(self, now: float) -> str | None:
        """Remove and return one key whose deadline is reached, the earliest first; None if there is none."""
        if self.first is None or self.first > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._live[key]
        self._update_first()
        return key

    def _update_first(self) -> None:
        while self._heap and self._live.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        self.first = self._heap[0][0] if self._heap else None
