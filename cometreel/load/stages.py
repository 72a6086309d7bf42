"""The figures of each stage of a run that changes its rate: a request belongs to the stage of its intended start.

One worker's. Stages are begun in advance, so that all workers change at the same moment; without any, there is only
the tally of the whole run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from cometreel.load.outcomes import PendingRequest, RequestOutcome, SessionLost, Unexpected
from cometreel.load.tally import Tally

__all__ = ["Stages"]

_KEPT = 3


class Stages:
    """A tally for the whole run, and one for each of the latest stages.

    :param worker: the name of this worker.
    :param start: when the run began, on the clock of the exchanges.
    """

    def __init__(self, worker: str, start: float) -> None:
        self.whole = Tally(worker, start)
        self._only = (self.whole,)
        self._worker = worker
        self._begins: list[float] = []
        self._stages: list[tuple[int, Tally]] = []

    def begin(self, number: int, since: float) -> None:
        """Let a stage begin, in seconds since the run began; nothing if it, or a later one, was begun already."""
        if self._begins and since <= self._begins[-1]:
            return
        self._begins.append(since)
        self._stages.append((number, Tally(self._worker, self.whole.start)))
        del self._begins[:-_KEPT], self._stages[:-_KEPT]

    def stage(self, number: int) -> Tally | None:
        """Give the figures of a stage, or None if it hasn't begun here or is long over."""
        return next((tally for each, tally in self._stages if each == number), None)

    def due(self, at: float) -> None:
        """Count a request whose intended start, in seconds since the run began, has come."""
        for tally in self._both(at):
            tally.due += 1

    def unsent(self, at: float) -> None:
        """Count a request that was due then and is given up."""
        for tally in self._both(at):
            tally.unsent += 1

    def cpu(self, percent: float, at: float) -> None:
        """Add a sample of this worker's CPU, in per cent of one core, taken then."""
        for tally in self._both(at):
            tally.cpu(percent)

    def sent(self, exchange: PendingRequest) -> None:
        """Count a POST that was written."""
        for tally in self._both(exchange.intended - self.whole.start):
            tally.sent(exchange)

    def add(self, outcomes: Iterable[RequestOutcome]) -> None:
        """Count what the ledgers say."""
        if not self._begins:
            self.whole.add(outcomes)
            return
        for outcome in outcomes:
            at = outcome.at if isinstance(outcome, Unexpected | SessionLost) else outcome.exchange.intended
            for tally in self._both(at - self.whole.start):
                tally.add((outcome,))

    def _both(self, at: float) -> tuple[Tally, ...]:
        if not self._begins:
            return self._only
        place = bisect_right(self._begins, at) - 1
        return self._only if place < 0 else (self.whole, self._stages[place][1])
