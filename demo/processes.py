"""Starts processes, waits for a line of their output, and stops them."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Process", "ProcessFailed"]

TIMEOUT = 30.0
"""Timeout in seconds, long enough for a busy machine."""


class ProcessFailed(Exception):
    """A process ended too early, printed nothing, or did not end; the message contains the end of its output."""


class Process:
    """A running program. Its output is written to `NAME.out` and `NAME.err` in a folder and kept."""

    def __init__(self, name: str, command: Sequence[str | Path], folder: Path) -> None:
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self._popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder
            )

    def await_line(self, pattern: str, seconds: float = TIMEOUT) -> re.Match[str]:
        """Wait until the program prints a line that contains the pattern.

        :raises ProcessFailed: if it ends first, or after the timeout.
        """
        end = time.monotonic() + seconds
        while True:
            ended = self._popen.poll() is not None
            for line in self.out.read_text().splitlines():
                if found := re.search(pattern, line):
                    return found
            if ended:
                raise self._failed(f"ended with code {self._popen.returncode} before it printed {pattern!r}")
            if time.monotonic() > end:
                raise self._failed(f"did not print {pattern!r} within {seconds} s")
            time.sleep(0.02)

    def await_end(self, seconds: float = 2 * TIMEOUT, *, expected: int = 0) -> str:
        """Wait until the program ends, and return its output.

        :raises ProcessFailed: if it ends with another exit code than expected, or not within the timeout.
        """
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self._failed(f"did not end within {seconds} s") from None
        if code != expected:
            raise self._failed(f"ended with code {code}")
        return self.out.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal and wait for the end of the program; do nothing if it has ended.

        :raises ProcessFailed: if it doesn't end; it is killed then.
        """
        if self._popen.poll() is not None:
            return
        self._popen.send_signal(number)
        try:
            self._popen.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(TIMEOUT)
            raise self._failed(f"did not end on {number.name}") from None

    def end_of_logs(self, lines: int = 40, width: int = 240) -> str:
        """Return the last lines of the output, for error messages."""
        parts = [
            (path.name, [line[:width] for line in path.read_text(errors="replace").splitlines()[-lines:]])
            for path in (self.out, self.err)
            if path.exists()  # the folder of a test may already be deleted
        ]
        return "\n".join(f"--- {name}\n" + "\n".join(tail) for name, tail in parts if tail)

    def _failed(self, what: str) -> ProcessFailed:
        return ProcessFailed(f"{self.name} (process {self._popen.pid}) {what}\n{self.end_of_logs()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
