"""Real processes, told apart by process id: started, awaited by a line that they print, stopped. Nothing of CometD."""

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

PATIENCE = 30.0
"""Seconds until something that always happens is taken to have failed; a busy machine is slow."""


class ProcessFailed(Exception):
    """A process that ended too early, said nothing, or would not end; the message holds the end of what it printed."""


class Process:
    """One running program. What it prints lands in `NAME.out` and `NAME.err` of a folder, and stays there."""

    def __init__(self, name: str, command: Sequence[str | Path], folder: Path) -> None:
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self._popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder
            )

    def await_line(self, pattern: str, seconds: float = PATIENCE) -> re.Match[str]:
        """Wait until it has printed a line in which the pattern is found.

        :raises ProcessFailed: if it ends before, or the time is over.
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

    def await_end(self, seconds: float = 2 * PATIENCE) -> str:
        """Wait until it ends by itself, and return what it printed.

        :raises ProcessFailed: if it ends with another code than 0, or doesn't end.
        """
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self._failed(f"did not end within {seconds} s") from None
        if code != 0:
            raise self._failed(f"ended with code {code}")
        return self.out.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ask it to end, and wait for that; one that has ended already is left alone.

        :raises ProcessFailed: if it doesn't end; it is killed then.
        """
        if self._popen.poll() is not None:
            return
        self._popen.send_signal(number)
        try:
            self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(PATIENCE)
            raise self._failed(f"did not end on {number.name}") from None

    def end_of_logs(self, lines: int = 40, width: int = 240) -> str:
        """The last lines of what it printed, for a person who looks for a cause."""
        parts = [
            (path.name, [line[:width] for line in path.read_text(errors="replace").splitlines()[-lines:]])
            for path in (self.out, self.err)
            if path.exists()  # a folder for one test only may be gone already
        ]
        return "\n".join(f"--- {name}\n" + "\n".join(said) for name, said in parts if said)

    def _failed(self, what: str) -> ProcessFailed:
        return ProcessFailed(f"{self.name} (process {self._popen.pid}) {what}\n{self.end_of_logs()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
