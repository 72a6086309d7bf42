"""Rates: shapes as functions of time, and their inverse."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cometreel.errors import OptionInvalid
from cometreel.load import Piece, Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rates", "ends"),
    [
        ("100", {0: 100, 1000: 100}, None),
        ("0.5", {0: 0.5}, None),
        ("ramp 10..200 in 1m", {0: 10, 30: 105, 60: 200, 500: 200}, None),
        ("ramp 200..0 in 60s", {0: 200, 30: 100, 60: 0, 500: 0}, None),
        ("steps 50,100,150 of 30s", {0: 50, 29.9: 50, 30: 100, 60: 150, 89: 150, 90: 0}, 90.0),
        ("spike 50..500 at 60s for 10s", {0: 50, 59.9: 50, 60: 500, 69.9: 500, 70: 50, 1000: 50}, None),
        (" soak  80 for 8h ", {0: 80, 100: 80, 28_801: 0}, 28_800.0),
    ],
)
def test_shapes_are_parsed(text: str, rates: dict[float, float], ends: float | None):
    rate = parse_rate(text)
    assert {at: rate.at(at) for at in rates} == pytest.approx(rates)
    assert rate.ends == ends
    assert str(rate) == " ".join(text.split())


FORMS = (
    "expected 100, 'ramp 10..200 in 60s', 'steps 50,100,150 of 30s', 'spike 50..500 at 60s for 10s' or 'soak 80 for 8h'"
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fast", f"--reel-rate: 'fast'; {FORMS}"),
        ("-5", f"--reel-rate: '-5'; {FORMS}"),
        ("ramp 10..200 in 60", f"--reel-rate: 'ramp 10..200 in 60'; {FORMS}"),
        ("0", "--reel-rate: '0' never sends a request; expected a rate above 0"),
        ("steps 0,0 of 5s", "--reel-rate: 'steps 0,0 of 5s' never sends a request; expected a rate above 0"),
        ("soak 5 for 0s", "--reel-rate: '0s' is no time; expected a duration above 0"),
        ("soak 5 for 9000h", "--reel-rate: '9000h' is longer than a year; expected a shorter time"),
    ],
)
def test_an_invalid_rate_is_refused(text: str, sentence: str):
    with pytest.raises(OptionInvalid) as refused:
        parse_rate(text)
    assert str(refused.value) == sentence


PIECES = st.lists(
    st.builds(Piece, st.floats(0.01, 100), st.floats(0, 1000), st.floats(0, 1000)).filter(
        lambda piece: piece.first + piece.last > 0.1
    ),
    max_size=5,
)


@given(PIECES, st.floats(0.1, 1000), st.floats(0, 1_000))
@example([Piece(60.0, 0.0, 10.0)], 1.0, 0.0).via("a ramp from nothing, at its beginning")
def test_when_is_the_inverse_of_volume(pieces: list[Piece], held: float, seconds: float):
    rate = Rate(pieces, held)
    volume = rate.volume(seconds)
    assert rate.volume(rate.when(volume)) == pytest.approx(volume, rel=1e-6, abs=1e-4)


@given(PIECES, st.floats(0.1, 1000), st.floats(0, 500), st.floats(0.1, 1000))
def test_a_changed_rate_keeps_the_volume_before_the_change(pieces: list[Piece], held: float, at: float, new: float):
    rate = Rate(pieces, held)
    changed = rate.changed(at, new)
    assert changed.volume(at) == pytest.approx(rate.volume(at), rel=1e-6, abs=1e-6)
    assert changed.volume(at / 2) == pytest.approx(rate.volume(at / 2), rel=1e-6, abs=1e-6)
    assert changed.volume(at + 10) == pytest.approx(rate.volume(at) + 10 * new, rel=1e-6)


def test_no_request_is_due_at_rate_0():
    rate = parse_rate("ramp 10..0 in 2s")
    assert (rate.volume(100), rate.when(10), rate.when(10.5)) == (10.0, math.inf, math.inf)


def test_the_text_of_a_changed_rate():
    assert str(parse_rate("10").changed(5, 20)) == "20"
