"""Limits the log of a replay: equal lines are written once a second at most, with the number of repetitions.

An application that repeats an unmatched request would fill the log otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cometreel.wire import Log

__all__ = ["LogLimiter"]

_SECONDS = 1.0
_MAX_LINES = 100
_LEFT_OUT = Log("warning", f"a log line is left out: more than {_MAX_LINES} different ones within a second")


@dataclass(slots=True)
class _Line:
    """A line that was written less than a second ago, or that was repeated since."""

    log: Log
    next_at: float
    repetitions: int = 0


class LogLimiter:
    """Writes a line at once, and its repetitions as one line a second. It takes `now`, in seconds."""

    def __init__(self, write: Callable[[Log], None]) -> None:
        self._write = write
        self._lines: dict[Log, _Line] = {}
        self.deadline: float | None = None
        """The time of the next call to `advance`; None if no line was repeated."""

    def add(self, log: Log, now: float) -> None:
        """Write a line, or count it if an equal line was written less than a second ago."""
        if log not in self._lines and len(self._lines) >= _MAX_LINES:
            self._lines = {key: line for key, line in self._lines.items() if line.repetitions or line.next_at > now}
            log = log if len(self._lines) < _MAX_LINES else _LEFT_OUT
        line = self._lines.get(log)
        if line is None or (not line.repetitions and line.next_at <= now):
            self._put(log, now)
            self._write(log)
        else:
            line.repetitions += 1
            self.deadline = line.next_at if self.deadline is None else min(line.next_at, self.deadline)

    def advance(self, now: float) -> None:
        """Write the repetitions of each line whose second is over."""
        self._summarize([line for line in self._lines.values() if line.next_at <= now], now)

    def flush(self, now: float) -> None:
        """Write all repetitions, before the replay stops."""
        self._summarize([*self._lines.values()], now)

    def _summarize(self, lines: list[_Line], now: float) -> None:
        for line in lines:
            del self._lines[line.log]
            if line.repetitions:
                self._put(line.log, now)
                times = "once" if line.repetitions == 1 else f"{line.repetitions} times"
                self._write(Log(line.log.level, f"{times} more: {line.log.text}"))
        self.deadline = min((line.next_at for line in self._lines.values() if line.repetitions), default=None)

    def _put(self, log: Log, now: float) -> None:
        self._lines[log] = _Line(log, now + _SECONDS)
