"""Who wants to be woken when: a heap that forgets lazily, so that moving a deadline costs O(log n).

Keys and times only; what happens at a deadline is decided elsewhere.
"""

from __future__ import annotations

import heapq

__all__ = ["Deadlines"]

_SLACK = 64
"""How many forgotten entries are tolerated beyond the live ones before the heap is rebuilt."""


class Deadlines:
    """At most one deadline for each key. Equal times come due in the order in which they were set."""

    __slots__ = ("_heap", "_live", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._live: dict[str, int] = {}
        self._serial = 0

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

    def clear(self, key: str) -> None:
        """Forget the deadline of a key, if it has one."""
        self._live.pop(key, None)

    def next(self) -> float | None:
        """Give the earliest deadline."""
        while self._heap and self._live.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> str | None:
        """Take one key whose deadline has come, the earliest first."""
        when = self.next()
        if when is None or when > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._live[key]
        return key
