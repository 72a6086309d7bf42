"""The reports of a run: in the terminal, in Locust's HTML report, as JSON and JUnit XML; and the exit code."""

from __future__ import annotations

from pathlib import Path

from locust.env import Environment

from cometreel.jsonvalue import encode
from cometreel.load import (
    Report,
    RunInfo,
    check_limits,
    figures,
    html_report,
    html_section,
    junit_report,
    terminal_report,
)
from cometreel.locust_agents.coordinator import Coordinator
from cometreel.locust_agents.event_loop import clock

__all__ = ["RunReports"]


class RunReports:
    """Writes the reports when Locust quits."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def write(self, coordinator: Coordinator) -> None:
        """Write all reports and set the exit code: 1 if a limit failed or nothing was sent."""
        report = report_of(coordinator)
        print(f"\n{terminal_report(report)}", flush=True)  # noqa: T201  # this is what the run was for
        if coordinator.options.junit is not None:
            coordinator.options.junit.write_text(junit_report(report), "utf-8")
        if coordinator.options.json is not None:
            coordinator.options.json.write_bytes(encode(figures(report)))
        self._into_page(report)
        if not report.passed:
            self._environment.process_exit_code = 1
        elif report.limit_results or report.capacity is not None:
            self._environment.process_exit_code = 0  # if there are limits, they alone decide

    def _into_page(self, report: Report) -> None:
        """Add the report to the HTML page that `--html` has written."""
        options = self._environment.parsed_options
        if options is None or not options.html_file:
            return
        page = Path(options.html_file)
        if page.is_file():  # Locust writes none if it is ended by SIGTERM
            before, body, after = page.read_text("utf-8").rpartition("</body>")
            page.write_text(f"{before}{html_section(report)}{body}{after}", "utf-8")
        else:
            page.write_text(html_report(report), "utf-8")
        print(f"report: {page}")  # noqa: T201  # so that it is found


def report_of(coordinator: Coordinator) -> Report:
    """Return the current report of a run."""
    options, now = coordinator.options, clock()
    tally = coordinator.tally()
    seconds = coordinator.elapsed(now)
    rate = coordinator.search.rate if coordinator.search else options.rate
    nominal = rate.volume(seconds) if rate is not None else 0.0
    search = coordinator.search.search if coordinator.search else None
    limit_results = check_limits(options.limits, tally) if search is None else []
    run = RunInfo(options.target.base, seconds, nominal, options.settings(), tuple(coordinator.lost))
    return Report(
        run, tally, limit_results, search.trials if search else (), search.result_so_far() if search else None
    )
