"""The slowest answers, bounded: enough to find them in the server's own log by their referenceId."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple, TypedDict

__all__ = ["SLOWEST_KEPT", "SlowAnswer", "SlowState", "Slowest"]

SLOWEST_KEPT = 20


class SlowAnswer(NamedTuple):
    """One answer, ordered by how slow it was; everything in it decides, so that merging in any order keeps the same."""

    micros: int
    """From the intended start."""
    at: float
    """The intended start, in seconds since the run began."""
    entry: str
    agent: str
    reference: str
    """The referenceId, as text."""


class SlowState(TypedDict):
    """The same as JSON."""

    micros: int
    at: float
    entry: str
    agent: str
    reference: str


class Slowest:
    """The slowest answers that were offered."""

    def __init__(self) -> None:
        self._heap: list[SlowAnswer] = []

    def admits(self, micros: int) -> bool:
        """Tell whether one as slow as this may be among them, so that the others cost nothing."""
        return len(self._heap) < SLOWEST_KEPT or micros >= self._heap[0].micros

    def offer(self, answer: SlowAnswer) -> None:
        """Take it if it is among the slowest."""
        if len(self._heap) < SLOWEST_KEPT:
            heapq.heappush(self._heap, answer)
        else:
            heapq.heappushpop(self._heap, answer)

    def merge(self, others: Iterable[SlowState]) -> None:
        """Offer those of another."""
        for each in others:
            self.offer(SlowAnswer(**each))

    def answers(self) -> list[SlowAnswer]:
        """Give them, the slowest first."""
        return sorted(self._heap, reverse=True)

    def state(self) -> list[SlowState]:
        """Give them for `merge`."""
        return [
            {
                "micros": each.micros,
                "at": each.at,
                "entry": each.entry,
                "agent": each.agent,
                "reference": each.reference,
            }
            for each in self.answers()
        ]
