"""Latencies in HDR histograms: three significant digits from a microsecond to an hour, merged without loss.

The histogram is the `hdrhistogram` package's, and so is its encoding (HdrHistogram V2, which other tools read). Two
things are done here instead: recording, because its `record_value` takes 2 µs and there are four of them in each
exchange, and percentiles, because it rounds a rank to the nearest where the honest one is rounded up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from math import ceil
from typing import TypedDict

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # the package ships no types

__all__ = ["Latency", "LatencyState", "Point"]

_HOUR = 3_600_000_000
_DIGITS = 3
_BITS = 11  # 2,048 sub-buckets hold three digits
_EXACT = 1 << _BITS
_FULL = 4_096

Point = tuple[float, float]
"""A percentile, 0 to 100, and the latency there, in seconds."""


class LatencyState(TypedDict):
    """A histogram as JSON: counts in HdrHistogram's own encoding, and what is exact beside it, in microseconds."""

    count: int
    total: int
    lowest: int
    highest: int
    hdr: str


class Latency:
    """How long something took, many times. Seconds go in and come out; a value above an hour counts as an hour."""

    def __init__(self) -> None:
        self._new: list[float] = []
        self._histogram: HdrHistogram | None = None
        self._count = self._total = self._highest = 0
        self._lowest = _HOUR

    def record(self, seconds: float) -> None:
        """Add one value. What is negative, by a clock's last digit, counts as nothing."""
        self._new.append(seconds)
        if len(self._new) >= _FULL:
            self._flush()

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return self._count + len(self._new)

    @property
    def mean(self) -> float:
        """The exact mean, in seconds; 0 if nothing was recorded."""
        self._flush()
        return self._total / self._count / 1_000_000 if self._count else 0.0

    @property
    def lowest(self) -> float:
        """The exact lowest value, in seconds; 0 if nothing was recorded."""
        self._flush()
        return self._lowest / 1_000_000 if self._count else 0.0

    @property
    def highest(self) -> float:
        """The exact highest value, in seconds; 0 if nothing was recorded."""
        self._flush()
        return self._highest / 1_000_000

    def percentiles(self, wanted: Iterable[float]) -> list[Point]:
        """Give the latency at each percentile: the lowest value that at least so many per cent are not above.

        A value is known to its bucket, of which the upper end is told, so that a limit is never passed by rounding.
        """
        counts = self._counts()
        reached = list(accumulate(count for _, count in counts))
        return [(percentile, self._at(percentile, counts, reached)) for percentile in wanted]

    def percentile(self, percentile: float) -> float:
        """Give the latency at one percentile, in seconds; 0 if nothing was recorded."""
        return self.percentiles([percentile])[0][1]

    def merge(self, other: LatencyState) -> None:
        """Add the values of another histogram, as if they had been recorded here."""
        if not other["count"]:
            return
        histogram = self._flush()
        self._count += other["count"]
        self._total += other["total"]
        self._lowest = min(self._lowest, other["lowest"])
        self._highest = max(self._highest, other["highest"])
        histogram.decode_and_add(other["hdr"].encode())

    def state(self) -> LatencyState:
        """Give everything that is known, for `merge`."""
        histogram = self._flush()
        return {
            "count": self._count,
            "total": self._total,
            "lowest": self._lowest,
            "highest": self._highest,
            "hdr": histogram.encode().decode() if self._count else "",
        }

    def _flush(self) -> HdrHistogram:
        """Move the new values into the histogram, each to the lowest value of its bucket."""
        if self._histogram is None:
            self._histogram = HdrHistogram(1, _HOUR, _DIGITS)
        if not self._new:
            return self._histogram
        values = [min(max(int(seconds * 1_000_000 + 0.5), 0), _HOUR) for seconds in self._new]
        self._new.clear()
        self._count += len(values)
        self._total += sum(values)
        self._lowest = min(self._lowest, *values)
        self._highest = max(self._highest, *values)
        buckets = Counter(
            value if value < _EXACT else value >> (shift := value.bit_length() - _BITS) << shift for value in values
        )
        for value, count in buckets.items():
            self._histogram.record_value(value, count)
        return self._histogram

    def _counts(self) -> list[tuple[int, int]]:
        """The lowest value of each bucket that isn't empty, in microseconds, and its count."""
        histogram = self._flush()
        if not self._count:
            return []
        end = histogram.get_counts_array_index(self._highest) + 1
        counts = histogram.counts[:end]
        return [(histogram.get_value_from_index(index), count) for index, count in enumerate(counts) if count]

    def _at(self, percentile: float, counts: list[tuple[int, int]], reached: list[int]) -> float:
        if not counts:
            return 0.0
        rank = min(max(1, ceil(round(percentile * self._count / 100, 6))), self._count)
        value = counts[bisect_left(reached, rank)][0]
        shift = value.bit_length() - _BITS
        upper = value + (1 << shift) - 1 if shift > 0 else value
        return min(upper, self._highest) / 1_000_000
