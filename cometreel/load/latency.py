"""Latencies in HDR histograms: three significant digits from one microsecond to one hour, merged without loss.

The histogram and its encoding (HdrHistogram V2, which other tools read) are those of the `hdrhistogram` package. Two
parts are implemented here: recording, because `record_value` takes 2 µs and each exchange has five values; and
percentiles, because the package rounds a rank to the nearest instead of up.
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
_BITS = 11  # 2,048 sub-buckets give three digits
_EXACT = 1 << _BITS
_FULL = 4_096

Point = tuple[float, float]
"""A percentile from 0 to 100, and its latency in seconds."""


class LatencyState(TypedDict):
    """A histogram as JSON: the counts in HdrHistogram's encoding, and exact values in microseconds."""

    count: int
    total: int
    lowest: int
    highest: int
    hdr: str


class Latency:
    """A histogram of latencies. Values are seconds; a value above one hour counts as one hour."""

    def __init__(self) -> None:
        self._new: list[float] = []
        self._buckets: Counter[int] = Counter()  # key: the lowest value of a bucket, in microseconds
        self._histogram: HdrHistogram | None = None
        self._count = self._total = self._highest = 0
        self._lowest = _HOUR

    def record(self, seconds: float) -> None:
        """Add one value. Negative values, caused by clock rounding, count as 0."""
        self._new.append(seconds)
        if len(self._new) >= _FULL:
            self._sort()

    def record_all(self, seconds: list[float]) -> None:
        """Add several values."""
        self._new += seconds
        if len(self._new) >= _FULL:
            self._sort()

    @property
    def count(self) -> int:
        """Number of recorded values."""
        return self._count + len(self._new)

    @property
    def mean(self) -> float:
        """Exact mean in seconds; 0 if there are no values."""
        self._flush()
        return self._total / self._count / 1_000_000 if self._count else 0.0

    @property
    def lowest(self) -> float:
        """Exact minimum in seconds; 0 if there are no values."""
        self._flush()
        return self._lowest / 1_000_000 if self._count else 0.0

    @property
    def highest(self) -> float:
        """Exact maximum in seconds; 0 if there are no values."""
        self._flush()
        return self._highest / 1_000_000

    def percentiles(self, wanted: Iterable[float]) -> list[Point]:
        """Return the latency at each percentile: the lowest value that this percentage of values doesn't exceed.

        Values are known by bucket. The upper end of the bucket is returned, so that rounding never makes a limit pass.
        """
        counts = self._counts()
        reached = list(accumulate(count for _, count in counts))
        return [(percentile, self._at(percentile, counts, reached)) for percentile in wanted]

    def percentile(self, percentile: float) -> float:
        """Return the latency at one percentile, in seconds; 0 if there are no values."""
        return self.percentiles([percentile])[0][1]

    def merge(self, other: LatencyState) -> None:
        """Add the values of another histogram."""
        if not other["count"]:
            return
        histogram = self._flush()
        self._count += other["count"]
        self._total += other["total"]
        self._lowest = min(self._lowest, other["lowest"])
        self._highest = max(self._highest, other["highest"])
        histogram.decode_and_add(other["hdr"].encode())

    def state(self) -> LatencyState:
        """Return the state for `merge`."""
        histogram = self._flush()
        return {
            "count": self._count,
            "total": self._total,
            "lowest": self._lowest,
            "highest": self._highest,
            "hdr": histogram.encode().decode() if self._count else "",
        }

    def _sort(self) -> None:
        """Count the new values, each under the lowest value of its bucket."""
        values = sorted([int(seconds * 1_000_000 + 0.5) for seconds in self._new])
        self._new.clear()
        if values[0] < 0 or values[-1] > _HOUR:
            values = [min(max(value, 0), _HOUR) for value in values]
        self._count += len(values)
        self._total += sum(values)
        self._lowest = min(self._lowest, values[0])
        self._highest = max(self._highest, values[-1])
        begin = 0
        while begin < len(values):  # all values with the same number of bits are rounded by the same number of bits
            shift = max(values[begin].bit_length() - _BITS, 0)
            end = bisect_left(values, _EXACT << shift, begin)
            self._buckets.update([value >> shift << shift for value in values[begin:end]])
            begin = end

    def _flush(self) -> HdrHistogram:
        """Move all values into the histogram."""
        if self._histogram is None:
            self._histogram = HdrHistogram(1, _HOUR, _DIGITS)
        if self._new:
            self._sort()
        for value, count in self._buckets.items():
            self._histogram.record_value(value, count)
        self._buckets.clear()
        return self._histogram

    def _counts(self) -> list[tuple[int, int]]:
        """Return the lowest value of each non-empty bucket, in microseconds, and its count."""
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
