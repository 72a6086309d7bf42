"""Parses and formats durations: a number and its unit, such as `120ms`, `5s`, `1.5m`."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["DURATION_PATTERN", "LONGEST", "format_duration", "parse_duration"]

DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"
_DURATION = re.compile(DURATION_PATTERN)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST = 366 * 24 * 3600.0
"""The longest duration, in seconds: a year."""


@lru_cache(maxsize=4096)
def parse_duration(text: str) -> float:
    """Parse a duration into seconds.

    :raises ValueError: if the text isn't a number with one of the units ms, s, m, h, or is longer than a year.
    """
    found = _DURATION.match(text)
    if found is None or text.endswith("\n"):
        raise ValueError(f"{text!r} is not a duration")
    unit = found[2]
    number = float(text[: -len(unit)])
    seconds = number / 1000 if unit == "ms" else number * _SECONDS[unit]
    if seconds > LONGEST:
        raise ValueError(f"{text!r} is longer than a year")
    return seconds


def format_duration(seconds: float) -> str:
    """Format seconds as the shortest exact text, to the microsecond: 0.034 is `34ms`, 5.0 is `5s`, 120.0 is `2m`.

    :raises ValueError: if the number is negative or isn't finite.
    """
    if not 0 <= seconds <= LONGEST:
        raise ValueError(f"{seconds!r} is not a duration in seconds")
    micros = round(seconds * 1_000_000)
    if micros < 1_000_000:
        return f"{_plain(micros, 1_000)}ms" if micros else "0s"
    if micros % 3_600_000_000 == 0:
        return f"{micros // 3_600_000_000}h"
    if micros % 60_000_000 == 0:
        return f"{micros // 60_000_000}m"
    return f"{_plain(micros, 1_000_000)}s"


def _plain(number: int, divisor: int) -> str:
    whole, rest = divmod(number, divisor)
    digits = f"{rest:0{len(str(divisor)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
