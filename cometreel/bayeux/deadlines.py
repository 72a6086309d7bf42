"""Deadlines of sessions: a heap whose entries are moved lazily, so that a later deadline costs nothing until then."""

from __future__ import annotations

import heapq

__all__ = ["Deadlines"]

_SLACK = 64
"""The number of old entries that the heap may have beyond the current ones before it is rebuilt."""


class _Deadline:
    """The deadline of one key, and the place of its entry in the heap, which is never later."""

    __slots__ = ("queued", "serial", "when")

    def __init__(self) -> None:
        self.when = 0.0
        self.serial = self.queued = 0


class Deadlines:
    """At most one deadline for each key. Equal times are due in the order in which they were set."""

    __slots__ = ("_heap", "_live", "_serial", "first")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._live: dict[str, _Deadline] = {}
        self._serial = 0
        self.first: float | None = None
        """The earliest deadline. An attribute, because it is read for each request."""

    def __len__(self) -> int:
        return len(self._live)

    def set(self, key: str, when: float) -> None:
        """Set or move the deadline of a key."""
        self._serial += 1
        deadline = self._live.get(key)
        if deadline is None:
            deadline = self._live[key] = _Deadline()
            self._queue(key, deadline, when)
        elif when < deadline.when:
            self._queue(key, deadline, when)
        else:  # its entry in the heap is early: it is moved when it becomes the first
            deadline.when, deadline.serial = when, self._serial
        if self.first is None or when < self.first or self._heap[0][2] == key:
            self._update_first()

    def _queue(self, key: str, deadline: _Deadline, when: float) -> None:
        deadline.when, deadline.serial, deadline.queued = when, self._serial, self._serial
        heapq.heappush(self._heap, (when, self._serial, key))
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._heap = [entry for entry in self._heap if self._is_queued(entry)]
            heapq.heapify(self._heap)

    def _is_queued(self, entry: tuple[float, int, str]) -> bool:
        deadline = self._live.get(entry[2])
        return deadline is not None and deadline.queued == entry[1]

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
        """Remove or move entries until the first one is a current deadline."""
        while self._heap:
            when, serial, key = self._heap[0]
            deadline = self._live.get(key)
            if deadline is None or deadline.queued != serial:
                heapq.heappop(self._heap)
            elif deadline.serial != serial:
                deadline.queued = deadline.serial
                heapq.heapreplace(self._heap, (deadline.when, deadline.serial, key))
            else:
                self.first = when
                return
        self.first = None
