"""Sampling and printing for the benchmarks: alternating samples, one ratio per pair.

The speed of a shared machine drifts, so two candidates are always measured A B A B …, and the ratio of each pair is
reported. Nothing is asserted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum of the samples."""

    samples: tuple[float, ...]

    def __str__(self) -> str:
        low, middle, high = min(self.samples), median(self.samples), max(self.samples)
        return f"{_figure(low)} / {_figure(middle)} / {_figure(high)}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def heading(title: str) -> None:
    """Print the title of a benchmark."""
    print(f"\n{title}\n{'-' * len(title)}\n{'':<52}min / median / max", flush=True)


def row(name: str, samples: Sequence[float], unit: str = "") -> None:
    """Print one line: name, spread and unit."""
    print(f"{name:<52}{Spread(tuple(samples))} {unit}".rstrip(), flush=True)


def in_turn(
    names: tuple[str, str], measures: tuple[Callable[[], float], Callable[[], float]], unit: str, *, turns: int = 5
) -> None:
    """Measure two candidates alternately (without counting the first pair); print both and the ratio first : second."""
    first, second = [], []
    for turn in range(turns + 1):
        one, other = (measures[0](), measures[1]()) if turn % 2 else (measures[1](), measures[0]())[::-1]
        if turn:
            first.append(one)
            second.append(other)
    row(names[0], first, unit)
    row(names[1], second, unit)
    row(f"ratio {names[0]} : {names[1]}", [one / other for one, other in zip(first, second, strict=True)])
