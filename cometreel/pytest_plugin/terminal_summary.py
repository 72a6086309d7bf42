"""The section `recordings` of the terminal summary: the recorded files, and their differences from existing ones.

Lines are attached to test reports, because pytest-xdist sends these from its workers. Imported by every pytest run.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

__all__ = ["MESSAGES", "TerminalSummary"]

MESSAGES: pytest.StashKey[list[str]] = pytest.StashKey()
"""Lines that are not attached to a report yet."""

_REPORT_ATTRIBUTE = "cometreel_messages"


class TerminalSummary:
    """Collects the lines of all tests and prints them at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._pending = config.stash.setdefault(MESSAGES, [])
        self._lines: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the pending lines to a report."""
        report = yield
        if self._pending:
            setattr(report, _REPORT_ATTRIBUTE, [*self._pending])
            self._pending.clear()
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the lines of a report, also from another process."""
        self._lines += getattr(report, _REPORT_ATTRIBUTE, ())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the lines."""
        if self._lines:
            terminalreporter.section("recordings")
            for line in self._lines:
                terminalreporter.write_line(line)
