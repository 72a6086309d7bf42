"""What is due when: a heap of things to do, in whole microseconds so that ties are ties.

Knows neither what the things are nor whose. Cost per thing is logarithmic in how many are pending.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

__all__ = ["Schedule", "TimerHandle", "microseconds", "seconds"]

Item = TypeVar("Item")
SortKey: TypeAlias = "tuple[int, ...]"


def microseconds(at: float) -> int:
    """Turn seconds into the whole microseconds that the schedule counts in."""
    return round(at * 1_000_000)


def seconds(at: int) -> float:
    """Turn the schedule's microseconds back into seconds."""
    return at / 1_000_000


@dataclass(slots=True, order=True)
class TimerHandle(Generic[Item]):
    """One pending thing: due `at` (µs); among those due at the same time, `order` decides, then who came first."""

    at: int
    order: SortKey
    arrival: int
    thing: Item | None = field(compare=False)

    def cancel(self) -> None:
        """Never do it; doing this twice, or afterwards, does no harm."""
        self.thing = None


class Schedule(Generic[Item]):
    """Things to do in order of their time, then of `order`, then of their arrival."""

    def __init__(self) -> None:
        self._heap: list[TimerHandle[Item]] = []
        self._arrivals = 0

    def add(self, at: int, thing: Item, order: SortKey = ()) -> TimerHandle[Item]:
        """Do this at that time (µs)."""
        self._arrivals += 1
        ticket = TimerHandle(at, order, self._arrivals, thing)
        heapq.heappush(self._heap, ticket)
        return ticket

    def first(self) -> tuple[int, Item] | None:
        """Return when the next thing is due (µs), and the thing."""
        while self._heap:
            ticket = self._heap[0]
            if ticket.thing is not None:
                return ticket.at, ticket.thing
            heapq.heappop(self._heap)
        return None

    def due(
        self, now: int, ready: Callable[[int, Item], bool] = lambda _at, _thing: True
    ) -> Iterator[tuple[int, Item]]:
        """Take out all that is due by now, in order, with what is added meanwhile; each with its own time (µs).

        What is not `ready` yet by its own reckoning of time stays.
        """
        waiting = []
        while self.first() is not None and self._heap[0].at <= now:
            ticket = heapq.heappop(self._heap)
            if ticket.thing is None:
                continue
            if ready(ticket.at, ticket.thing):
                yield ticket.at, ticket.thing
            else:
                waiting.append(ticket)
        for ticket in waiting:
            heapq.heappush(self._heap, ticket)
