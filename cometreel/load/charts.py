"""The charts of a report as coordinates: latency by percentile, and requests over time. Templates draw them as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cometreel.load.formatting import count, seconds
from cometreel.load.latency import Latency
from cometreel.load.time_series import TimeSeries

__all__ = ["Chart", "ChartLine", "Tick", "latency_curve", "run_chart"]

WIDTH, HEIGHT = 860.0, 240.0
_NINES = 4.0
_CURVE = tuple(100 * (1 - 10 ** -(step / 16)) for step in range(int(_NINES * 16) + 1))
"""Percentiles from 0 to 99.99 on a logarithmic scale: 90, 99, 99.9 and 99.99 are evenly spaced."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: its position in pixels and its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A line: its name, its points in SVG syntax (`x,y x,y`), and its colour, a number from 1 or `bad`."""

    label: str
    points: str
    tone: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A line chart of `width` by `height` pixels, with the origin at the upper left, and the ticks of both axes."""

    lines: tuple[ChartLine, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    width: float = WIDTH
    height: float = HEIGHT


def latency_curve(named: Iterable[tuple[str, Latency]]) -> Chart | None:
    """Return latency over percentile, as in HdrHistogram's plotter; None if there are no values."""
    measured = [(name, latency.percentiles(_CURVE)) for name, latency in named if latency.count]
    if not measured:
        return None
    top = _round_up(max(points[-1][1] for _, points in measured))
    lines = []
    for number, (name, points) in enumerate(measured, 1):
        places = [(WIDTH * step / (len(_CURVE) - 1), value) for step, (_, value) in enumerate(points)]
        lines.append(ChartLine(name, _points(places, top), str(number)))
    across = tuple(Tick(WIDTH * n / _NINES, text) for n, text in enumerate(("0", "p90", "p99", "p99.9", "p99.99")))
    return Chart(tuple(lines), across, _up(top, seconds))


def run_chart(time_series: TimeSeries) -> Chart | None:
    """Return the sent, answered and failed requests per second; None if there are none."""
    intervals = {interval.at // time_series.width: interval for interval in time_series.intervals()}
    if not intervals:
        return None
    end = max(intervals) + 1
    rows = [(number, intervals.get(number)) for number in range(end)]
    counted = {
        "sent": [(number, interval.sent if interval else 0) for number, interval in rows],
        "answered": [(number, interval.answered if interval else 0) for number, interval in rows],
        "failed": [(number, interval.failed if interval else 0) for number, interval in rows],
    }
    top = _round_up(max(value for points in counted.values() for _, value in points) / time_series.width)
    lines = tuple(
        ChartLine(
            name, _points([(WIDTH * (n + 0.5) / end, value / time_series.width) for n, value in points], top), tone
        )
        for (name, points), tone in zip(counted.items(), ("1", "2", "bad"), strict=True)
    )
    across = tuple(Tick(WIDTH * part / 4, seconds(end * time_series.width * part / 4)) for part in range(5))
    return Chart(lines, across, _up(top, lambda value: f"{value:g}/s" if value < 1000 else f"{count(round(value))}/s"))


def _points(places: Sequence[tuple[float, float]], top: float) -> str:
    return " ".join(f"{x:.1f},{HEIGHT - HEIGHT * value / top:.1f}" for x, value in places)


def _up(top: float, write: Callable[[float], str]) -> tuple[Tick, ...]:
    return tuple(Tick(HEIGHT - HEIGHT * part / 4, write(top * part / 4)) for part in range(5))


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 8 or 10 times a power of ten, so that the ticks are round numbers."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return power * next((step for step in (1, 2, 4, 8) if value <= step * power), 10)
