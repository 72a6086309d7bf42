"""What the plugin says at the end of a run: where recordings lie, and how they differ from what was there.

Lines travel on the reports of tests, so that pytest-xdist carries them from its workers. Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

__all__ = ["MESSAGES", "TerminalSummary"]

MESSAGES: pytest.StashKey[list[str]] = pytest.StashKey()
"""What is to be said and lies on no report yet."""

_ON_REPORT = "cometreel_said"


class TerminalSummary:
    """Gathers what was said about each test."""

    def __init__(self, config: pytest.Config) -> None:
        self._waiting = config.stash.setdefault(MESSAGES, [])
        self._said: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what was said since the last report on this one."""
        report = yield
        if self._waiting:
            setattr(report, _ON_REPORT, [*self._waiting])
            self._waiting.clear()
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what was said from a report, also of another process."""
        self._said += getattr(report, _ON_REPORT, ())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say it."""
        if self._said:
            terminalreporter.section("recordings")
            for line in self._said:
                terminalreporter.write_line(line)
