"""One row of the figures: what was asked of one kind of owner, and what came of it. Counts only; decides nothing."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

from cometreel.load.latency import Latency, LatencyState

__all__ = ["Entry", "EntryState", "Timing", "TimingState"]


class TimingState(TypedDict):
    """Both latencies as JSON."""

    intended: LatencyState
    actual: LatencyState


class EntryState(TypedDict):
    """A row as JSON."""

    sent: int
    acknowledged: int
    expected: int
    answered: int
    failures: dict[str, int]
    ack: TimingState
    notification: TimingState


class Timing:
    """One latency, measured twice: from the intended start and from the actual one."""

    def __init__(self) -> None:
        self.intended = Latency()
        """From when the request was meant to be written: what a person who wanted it then has waited."""
        self.actual = Latency()
        """From when it was written."""

    def record(self, intended: float, actual: float, at: float) -> None:
        """Add an end at `at` of what was meant to start at `intended` and started at `actual`."""
        self.intended.record(at - intended)
        self.actual.record(at - actual)

    def merge(self, other: TimingState) -> None:
        """Add the values of another."""
        self.intended.merge(other["intended"])
        self.actual.merge(other["actual"])

    def state(self) -> TimingState:
        """Give everything that is known, for `merge`."""
        return {"intended": self.intended.state(), "actual": self.actual.state()}


class Entry:
    """What happened to the requests of one entry.

    When all are settled, `expected` is answered + wrong + lost, and what of it was abandoned.
    """

    def __init__(self) -> None:
        self.sent = 0
        """POSTs written."""
        self.acknowledged = 0
        """HTTP replies that were right."""
        self.expected = 0
        """Notifications that these replies promised."""
        self.answered = 0
        """Right notifications within the patience, late ones too."""
        self.failures: Counter[str] = Counter()
        """What went wrong, by the text of its outcome, and `late`."""
        self.ack = Timing()
        self.notification = Timing()

    def merge(self, other: EntryState) -> None:
        """Add what another counted."""
        self.sent += other["sent"]
        self.acknowledged += other["acknowledged"]
        self.expected += other["expected"]
        self.answered += other["answered"]
        self.failures.update(other["failures"])
        self.ack.merge(other["ack"])
        self.notification.merge(other["notification"])

    def state(self) -> EntryState:
        """Give everything that is known, for `merge`."""
        return {
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "expected": self.expected,
            "answered": self.answered,
            "failures": dict(sorted(self.failures.items())),
            "ack": self.ack.state(),
            "notification": self.notification.state(),
        }
