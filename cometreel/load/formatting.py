"""Formats the values of a report: latencies, percentages, counts, rates and long names."""

from __future__ import annotations

__all__ = ["count", "percent", "rate", "seconds", "shortened"]


def seconds(value: float) -> str:
    """Format seconds with three digits: `0s`, `340µs`, `34.0ms`, `1.02s`, `125s`."""
    micros = value * 1_000_000
    if micros < 0.5:
        return "0s"
    if micros < 999.5:
        return f"{micros:.0f}µs"
    if micros < 999_500:
        return f"{_three(micros / 1_000)}ms"
    return f"{_three(value)}s"


def percent(value: float) -> str:
    """Format a percentage: `0%`, `0.01%`, `12.5%`, `100%`. Only exact values are written as `0%` or `100%`."""
    if 0 < value < 0.01:
        return "<0.01%"
    if 99.99 < value < 100:
        return ">99.99%"
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"


def count(value: int) -> str:
    """Format a whole number with thousands separators: `12,345`."""
    return f"{value:,}"


def rate(value: float) -> str:
    """Format requests per second: `98.5/s`."""
    return f"{value:,.1f}/s"


def shortened(text: str, width: int) -> str:
    """Shorten a text to `width` columns by replacing its middle with `…`."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _three(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
