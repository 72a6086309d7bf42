"""Latencies of replies and notifications by operation and owner type.

`page/latencies.js` computes the same for the filtered exchanges of the page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from cometreel.show.conversation import ConversationExchange

__all__ = ["BOUNDS_SECONDS", "Latencies", "Times", "latencies_of"]

BOUNDS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram bars, the same for all histograms; a last bar counts longer times."""


@dataclass(frozen=True, slots=True)
class Times:
    """Durations in seconds, in ascending order."""

    seconds: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """Return the nearest-rank percentile, `share` from 0 to 1. `seconds` must not be empty."""
        return self.seconds[max(0, ceil(share * len(self.seconds)) - 1)]

    @property
    def histogram(self) -> tuple[int, ...]:
        """The number of durations in each bar; the last bar is for those above the last bound."""
        bars = [0] * (len(BOUNDS_SECONDS) + 1)
        for duration in self.seconds:
            bars[bisect_left(BOUNDS_SECONDS, duration)] += 1
        return tuple(bars)


@dataclass(frozen=True, slots=True)
class Latencies:
    """One row: an operation, and the times from its requests to their replies and notifications."""

    operation: str
    owner_type: str
    count: int
    ack: Times
    notification: Times


def latencies_of(exchanges: Iterable[ConversationExchange]) -> tuple[Latencies, ...]:
    """Return the rows, ordered by operation and owner type."""
    groups: dict[tuple[str, str], list[ConversationExchange]] = {}
    for exchange in exchanges:
        groups.setdefault((exchange.operation, exchange.owner_type), []).append(exchange)
    return tuple(_row(*key, group) for key, group in sorted(groups.items()))


def _row(operation: str, owner_type: str, group: Sequence[ConversationExchange]) -> Latencies:
    acks = (exchange.ack_seconds for exchange in group)
    notified = (one.at - exchange.at for exchange in group for one in exchange.notifications)
    ack = Times(tuple(sorted(ack for ack in acks if ack is not None)))
    return Latencies(operation, owner_type, len(group), ack, Times(tuple(sorted(notified))))
