"""Durations: a number and its unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.scenario.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("34ms", 0.034),
        ("1.5ms", 0.0015),
        ("5s", 5.0),
        ("1.25s", 1.25),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("8784h", 366 * 86400.0),
    ],
)
def test_a_duration_is_formatted_as_the_shortest_text_and_parsed_again(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
    assert format_duration(seconds) == text


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "-5s", "5S", "1e3s", "5s\n", "8785h", "9000h", ".5s", "٣s"])
def test_an_invalid_duration_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|year"):
        parse_duration(text)


@given(st.integers(0, 10**12))
def test_microseconds_are_kept_when_a_duration_is_formatted(micros: int) -> None:
    assert round(parse_duration(format_duration(micros / 1_000_000)) * 1_000_000) == micros


@pytest.mark.parametrize("seconds", [-0.001, float("inf"), float("nan")])
def test_only_finite_durations_can_be_formatted(seconds: float) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        format_duration(seconds)
