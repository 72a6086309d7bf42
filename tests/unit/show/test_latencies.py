"""Latencies: nearest-rank percentiles, and bars for the same times in every row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.show import ConversationExchange, ConversationNotification, Latencies, Times, latencies_of
from cometreel.show.latencies import BOUNDS_SECONDS


def exchange(operation: str, owner_type: str, ack: float | None, *notified: float) -> ConversationExchange:
    notifications = tuple(ConversationNotification(1.0 + after, 0, "/c", "") for after in notified)
    reply_at = None if ack is None else 1.0 + ack
    return ConversationExchange(
        "x", 0, 1.0, "POST", "/", operation, owner_type, reply_at=reply_at, notifications=notifications
    )


def test_rows_are_by_operation_and_owner_type_in_their_order():
    rows = latencies_of(
        [exchange("Stats", "Place", 0.5, 0.25), exchange("Add", "", None), exchange("Stats", "Place", 0.25, 0.5, 2.0)]
    )
    assert rows == (
        Latencies("Add", "", 1, Times(()), Times(())),
        Latencies("Stats", "Place", 2, Times((0.25, 0.5)), Times((0.25, 0.5, 2.0))),
    )


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 2.0), (0.51, 3.0), (0.95, 4.0), (1.0, 4.0)])
def test_a_percentile_is_a_time_that_was_measured(share: float, expected: float):
    assert Times((1.0, 2.0, 3.0, 4.0)).percentile(share) == expected


def test_a_time_is_in_the_bar_of_the_first_bound_that_it_does_not_exceed():
    bars = Times((0.001, 0.0011, 30.0, 31.0)).histogram
    assert bars == (1, 1, *[0] * 11, 1, 1)


@given(st.lists(st.floats(0, 1000), max_size=50))
def test_every_time_is_in_one_bar(seconds: list[float]):
    bars = Times(tuple(sorted(seconds))).histogram
    assert (sum(bars), len(bars)) == (len(seconds), len(BOUNDS_SECONDS) + 1)
