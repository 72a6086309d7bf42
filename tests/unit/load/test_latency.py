"""Latencies: three digits from one microsecond to one hour, exact percentiles, and merging without loss."""

from __future__ import annotations

from math import ceil

import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # the package ships no types
from hypothesis import given
from hypothesis import strategies as st

from cometreel.load import Latency

VALUES = st.lists(st.floats(0, 4000), max_size=80)
PERCENTILES = (1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0)


def of(values: list[float]) -> Latency:
    latency = Latency()
    for value in values:
        latency.record(value)
    return latency


@given(VALUES)
def test_values_are_in_the_buckets_of_hdrhistogram(values: list[float]):
    theirs = HdrHistogram(1, 3_600_000_000, 3)
    for value in values:
        theirs.record_value(min(int(value * 1_000_000 + 0.5), 3_600_000_000))
    assert HdrHistogram.decode(of([*values, 0.0]).state()["hdr"]).counts[1:] == theirs.counts[1:]


@given(VALUES.filter(bool))
def test_a_percentile_is_the_rank_rounded_up_and_at_most_a_thousandth_more(values: list[float]):
    latency = of(values)
    micros = sorted(min(int(value * 1_000_000 + 0.5), 3_600_000_000) for value in values)
    for percentile, found in latency.percentiles(PERCENTILES):
        exact = micros[max(ceil(round(percentile * len(micros) / 100, 6)), 1) - 1] / 1_000_000
        assert exact - 1e-9 <= found <= exact * 1.001 + 1e-9


def test_a_rank_between_two_values_is_rounded_up():
    latency = of([0.001] * 69 + [9.0])
    assert latency.percentile(99) == 9.0  # of 70 values, 69 are only 98.6 %


@given(st.lists(VALUES, min_size=1, max_size=4), st.randoms())
def test_merging_is_exact_in_any_order_and_grouping(parts, random):
    whole = of([value for part in parts for value in part])
    states = [of(part).state() for part in parts]
    random.shuffle(states)
    left, right = Latency(), Latency()
    for state in states[: len(states) // 2]:
        left.merge(state)
    for state in states[len(states) // 2 :]:
        right.merge(state)
    left.merge(right.state())
    assert left.state() == whole.state()


def test_mean_minimum_and_maximum_are_exact():
    latency = of([0.001, 0.002, 3.000001])
    assert (latency.count, latency.lowest, latency.highest) == (3, 0.001, 3.000001)
    assert latency.mean == pytest.approx(1.001000333)


def test_an_empty_histogram_is_0_everywhere():
    latency = Latency()
    assert (latency.count, latency.mean, latency.lowest, latency.highest) == (0, 0.0, 0.0, 0.0)
    assert latency.percentiles([50, 100]) == [(50, 0.0), (100, 0.0)]
    assert latency.state()["hdr"] == ""


def test_values_are_limited_to_0_and_one_hour():
    latency = of([-0.1, 5000.0])
    assert (latency.lowest, latency.highest, latency.percentile(100)) == (0.0, 3600.0, 3600.0)


def test_many_values_are_counted_early():
    latency = of([0.01] * 10_000)
    assert (latency.count, latency.percentile(50)) == (10_000, 0.01)
