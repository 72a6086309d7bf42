"""The reports of a run: in the terminal, in Locust's HTML report, as JSON and JUnit XML; and the exit code."""

from __future__ import annotations

from pathlib import Path

from locust.env import Environment
from locust.html import get_html_report, process_html_filename

from cometreel.jsonvalue import encode
from cometreel.load import (
    Report,
    RunInfo,
    check_limits,
    figures,
    html_section,
    junit_report,
    terminal_report,
)
from cometreel.locust_agents.coordinator import Coordinator
from cometreel.locust_agents.event_loop import clock

__all__ = ["RunReports", "report_of", "with_report"]


class RunReports:
    """Writes the reports of each run."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._written: Coordinator | None = None
        self._report: Report | None = None

    def write(self, coordinator: Coordinator) -> None:
        """Write all reports of a run once, and set the exit code: 1 if a limit failed or nothing was sent."""
        if coordinator is self._written:
            return
        self._written, self._report = coordinator, report_of(coordinator)
        report = self._report
        print(f"\n{terminal_report(report)}", flush=True)  # noqa: T201  # this is what the run was for
        if coordinator.options.junit is not None:
            coordinator.options.junit.write_text(junit_report(report), "utf-8")
        if coordinator.options.json is not None:
            coordinator.options.json.write_bytes(encode(figures(report)))
        if not report.passed:
            self._environment.process_exit_code = 1
        elif report.limit_results or report.capacity is not None:
            self._environment.process_exit_code = 0  # if there are limits, they alone decide

    def write_page(self) -> None:
        """Write the page of `--html`. Locust's own page has no final figures; on SIGTERM Locust writes none."""
        options = self._environment.parsed_options
        if options is None or not options.html_file or self._report is None:
            return
        process_html_filename(options)
        page = Path(options.html_file)
        page.parent.mkdir(parents=True, exist_ok=True)
        locust_page = get_html_report(self._environment, show_download_link=False)
        page.write_text(with_report(locust_page, self._report), "utf-8")
        print(f"report: {page}")  # noqa: T201  # so that it is found


def with_report(locust_page: str, report: Report) -> str:
    """Return Locust's report page with our report before it."""
    head, body, rest = locust_page.partition("<body>")
    return f"{head}{body}{html_section(report)}{rest}"


def report_of(coordinator: Coordinator) -> Report:
    """Return the current report of a run."""
    options, now = coordinator.options, clock()
    tally = coordinator.tally()
    seconds = coordinator.elapsed(now)
    rate = coordinator.search.rate if coordinator.search else options.rate
    nominal = rate.volume(seconds) if rate is not None else 0.0
    search = coordinator.search.search if coordinator.search else None
    limit_results = check_limits(options.limits, tally) if search is None else []
    run = RunInfo(
        options.target.base,
        seconds,
        nominal,
        options.settings(),
        tuple(coordinator.lost),
        options.config.login != "open",
        coordinator.login_error,
    )
    return Report(
        run, tally, limit_results, search.trials if search else (), search.result_so_far() if search else None
    )
