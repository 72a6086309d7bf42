"""The rate of a run as a function of time: constant, ramp, steps, spike or soak.

A rate is a sequence of linear pieces. It computes both the number of requests due up to a time and the time at which
the n-th request is due, so a schedule doesn't drift: a request that is sent late keeps its intended start.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from cometreel.errors import OptionInvalid
from cometreel.scenario.durations import DURATION_PATTERN, parse_duration

__all__ = ["Piece", "Rate", "parse_rate"]

_OPTION = "--reel-rate"
_FORMS = "100, 'ramp 10..200 in 60s', 'steps 50,100,150 of 30s', 'spike 50..500 at 60s for 10s' or 'soak 80 for 8h'"


@dataclass(frozen=True, slots=True)
class Piece:
    """A period in which the rate changes linearly from one value to another, in requests per second."""

    seconds: float
    first: float
    last: float

    def volume(self, after: float) -> float:
        """Return the number of requests due in the first `after` seconds of the piece."""
        slope = (self.last - self.first) / self.seconds
        return self.first * after + slope * after * after / 2

    def when(self, volume: float) -> float:
        """Return the number of seconds after which `volume` requests are due; infinite if they never are."""
        if self.first == self.last:
            return volume / self.first if self.first else math.inf
        slope = (self.last - self.first) / self.seconds
        rates = self.first + math.sqrt(
            max(self.first**2 + 2 * slope * volume, 0.0)
        )  # the sum of the rate at the start and at this time
        return 2 * volume / rates if rates else 0.0


class Rate:
    """Consecutive pieces, each longer than 0 seconds, then the constant rate `held`.

    `ends` is the time in seconds at which the run ends by itself, or None. No request is due after it, so that each run
    sends the same requests.
    """

    def __init__(self, pieces: Iterable[Piece], held: float, ends: float | None = None, text: str = "") -> None:
        self.pieces = tuple(pieces)
        self.held = held
        self.ends = ends
        self._text = text
        self._all = (*self.pieces, Piece(math.inf, held, held))
        self._times, self._volumes = [0.0], [0.0]
        for piece in self.pieces:
            self._times.append(self._times[-1] + piece.seconds)
            self._volumes.append(self._volumes[-1] + piece.volume(piece.seconds))

    def at(self, seconds: float) -> float:
        """Return the rate at a time since the start of the run, in requests per second."""
        number = self._number(self._times, seconds)
        piece, after = self._all[number], seconds - self._times[number]
        return (
            piece.last
            if piece.first == piece.last
            else piece.first + (piece.last - piece.first) * after / piece.seconds
        )

    def volume(self, seconds: float) -> float:
        """Return the number of requests due up to a time."""
        number = self._number(self._times, seconds)
        return self._volumes[number] + self._all[number].volume(seconds - self._times[number])

    def when(self, volume: float) -> float:
        """Return the time at which this many requests are due; infinite if they never are."""
        number = self._number(self._volumes, volume)
        return self._times[number] + self._all[number].when(volume - self._volumes[number])

    def changed(self, seconds: float, per_second: float) -> Rate:
        """Return a copy that has a new constant rate from a time on. The volume up to this time stays the same."""
        before: list[Piece] = []
        start = 0.0
        for piece in self._all:
            span = min(piece.seconds, seconds - start)
            if span <= 0:
                break
            before.append(Piece(span, piece.first, piece.last if span == piece.seconds else self.at(seconds)))
            start += span
        return Rate(before, per_second, self.ends)

    def __str__(self) -> str:
        return self._text or f"{self.held:g}"

    @staticmethod
    def _number(starts: list[float], value: float) -> int:
        return max(bisect_right(starts, value) - 1, 0)


_N = r"(\d+(?:\.\d+)?)"
_D = f"({DURATION_PATTERN.strip('^$').replace('(', '(?:')})"
_PATTERNS = {
    "constant": re.compile(rf"{_N}"),
    "ramp": re.compile(rf"ramp {_N}\.\.{_N} in {_D}"),
    "steps": re.compile(rf"steps ({_N}(?:,{_N})*) of {_D}"),
    "spike": re.compile(rf"spike {_N}\.\.{_N} at {_D} for {_D}"),
    "soak": re.compile(rf"soak {_N} for {_D}"),
}


def parse_rate(text: str) -> Rate:
    """Parse a rate in requests per second, over all workers: a number or one of the shapes.

    | text | meaning |
    |---|---|
    | `100` | 100 per second until the end of the run |
    | `ramp 10..200 in 60s` | from 10 to 200 within a minute, then 200 |
    | `steps 50,100,150 of 30s` | three steps of 30 seconds, then the run ends |
    | `spike 50..500 at 60s for 10s` | 50, but 500 from second 60 to second 70 |
    | `soak 80 for 8h` | 80 for eight hours, then the run ends |

    :raises OptionInvalid: if it is none of these, or no request would ever be due.
    """
    words = " ".join(text.split())
    for shape, pattern in _PATTERNS.items():
        found = pattern.fullmatch(words)
        if found:
            rate = _build(shape, [group for group in found.groups() if group is not None], words)
            if not (rate.held or any(piece.first or piece.last for piece in rate.pieces)):
                raise OptionInvalid(_OPTION, f"{text!r} never sends a request", "a rate above 0")
            return rate
    raise OptionInvalid(_OPTION, repr(text), _FORMS)


def _build(shape: str, groups: list[str], text: str) -> Rate:
    if shape == "constant":
        return Rate([], float(groups[0]), text=text)
    if shape == "ramp":
        first, last = float(groups[0]), float(groups[1])
        return Rate([Piece(_positive_seconds(groups[2]), first, last)], last, text=text)
    if shape == "steps":
        each, rates = _positive_seconds(groups[-1]), [float(part) for part in groups[0].split(",")]
        return Rate([Piece(each, rate, rate) for rate in rates], 0.0, each * len(rates), text)
    if shape == "spike":
        low, high = float(groups[0]), float(groups[1])
        at, lasts = _positive_seconds(groups[2]), _positive_seconds(groups[3])
        return Rate([Piece(at, low, low), Piece(lasts, high, high)], low, text=text)
    seconds, rate = _positive_seconds(groups[1]), float(groups[0])
    return Rate([Piece(seconds, rate, rate)], 0.0, seconds, text)


def _positive_seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise OptionInvalid(_OPTION, str(error), "a shorter time") from None
    if not seconds:
        raise OptionInvalid(_OPTION, f"{text!r} is no time", "a duration above 0")
    return seconds
