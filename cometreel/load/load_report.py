"""The report of a run as figures, with its warnings: the source of the terminal, HTML, JSON and JUnit reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.junit import JUnitCase, JUnitSuite
from cometreel.load.capacity import CapacityResult, CapacityTrial
from cometreel.load.formatting import count, percent, rate, seconds
from cometreel.load.latency import Latency, Point
from cometreel.load.limits import LimitResult
from cometreel.load.owner_kinds import OwnerKind
from cometreel.load.tally import BUSY_PERCENT, COUNTED, Entry, Tally, Timing, count_of, count_sent, overloaded

__all__ = [
    "PERCENTILES",
    "Report",
    "ReportRow",
    "RunInfo",
    "both_latencies",
    "capacity_text",
    "figures",
    "headline",
    "junit_report",
    "messages",
    "rows",
    "verdict",
    "warnings",
]

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99, 100.0)
"""The percentiles of each latency; the last is the maximum."""

_HIGH_LAG = 0.05
_LOCKED_OUT = ("HTTP 401", "HTTP 403")
_MOST_SENT = 0.98


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The settings of a run. They are shown as they are and must not contain secrets."""

    host: str
    seconds: float
    """Time in which requests were due, without the wait for the last answers."""
    nominal: float
    """Number of requests that the rate made due in this time; 0 in a closed loop."""
    settings: tuple[tuple[str, str], ...] = ()
    lost: tuple[str, ...] = ()
    """Names of lost workers."""
    logged_in: bool = True
    """False if the agents don't log in."""
    login_error: str = ""
    """Error of the last failed login; empty if none failed."""


@dataclass(frozen=True, slots=True)
class Report:
    """A run and its results."""

    run: RunInfo
    tally: Tally
    limit_results: Sequence[LimitResult] = ()
    trials: Sequence[CapacityTrial] = ()
    capacity: CapacityResult | None = None

    @property
    def passed(self) -> bool:
        """True if a request was sent and every limit was met; a search for capacity must also have found a rate."""
        sent = any(entry.sent for entry in self.tally.entries.values())
        return (
            sent
            and all(result.passed for result in self.limit_results)
            and (self.capacity is None or self.capacity.rate > 0)
        )


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The figures of one entry, or of all entries under the label `All`."""

    label: str
    entry: Entry

    def failed(self, what: str) -> int:
        """Return the number of one of `COUNTED` in this row."""
        return sum(number for text, number in self.entry.failures.items() if COUNTED[what].matches(text))


def rows(tally: Tally) -> list[ReportRow]:
    """Return a row for each kind in the order of `OwnerKind`, then for other entries, then for all together."""
    labels = {kind.entry: kind.label for kind in OwnerKind}
    named = [name for name in labels if name in tally.entries]
    named += sorted(tally.entries.keys() - labels.keys())
    whole = Entry()
    for name in named:
        whole.merge(tally.entries[name].state())
    return [*(ReportRow(labels.get(name, name), tally.entries[name]) for name in named), ReportRow("All", whole)]


class FailureMessage(NamedTuple):
    """The first message of the server for one failure of one entry."""

    label: str
    failure: str
    number: int
    message: str


def messages(report: Report) -> list[FailureMessage]:
    """Return the first message of each failure, in the order of `rows`."""
    return [
        FailureMessage(row.label, failure, row.entry.failures[failure], first["message"])
        for row in rows(report.tally)[:-1]
        for failure, first in sorted(row.entry.messages.items())
    ]


def both_latencies(timing: Timing) -> list[tuple[Point, Point]]:
    """Return pairs of the latency from the intended and from the actual start, for each of `PERCENTILES`."""
    return list(zip(timing.intended.percentiles(PERCENTILES), timing.actual.percentiles(PERCENTILES), strict=True))


def warnings(report: Report) -> list[str]:
    """Return a sentence for each fact that makes the figures less reliable than they seem."""
    tally, run = report.tally, report.run
    sent = sum(entry.sent for entry in tally.entries.values())
    found: list[str] = []
    if not sent:
        found.append("no request was sent, so there are no results")
    if run.login_error:
        found.append(run.login_error)
    refused = [] if run.logged_in else [sum(e.failures[text] for e in tally.entries.values()) for text in _LOCKED_OUT]
    if sum(refused):
        number = count(sum(refused))
        found.append(f"requests refused with HTTP 401 or 403: {number}; the server requires a login: add --reel-users")
    found += [
        f"{name} was lost: its requests in progress, and those due until other workers took over, are in no figure"
        for name in run.lost
    ]
    for name, gauges in sorted(tally.workers.items()):
        if overloaded(gauges):
            part = percent(100 * gauges["cpu_busy"] / gauges["cpu_samples"])
            highest = f"CPU {gauges['cpu_highest'] / 10:.0f}%"
            found.append(
                f"the load generator was the limit: {highest} on {name}, above {BUSY_PERCENT:.0f}% in {part} of samples"
            )
    if sent < _MOST_SENT * run.nominal - 3 * math.sqrt(run.nominal):  # random arrivals vary by this much
        part = percent(100 * sent / run.nominal)
        found.append(f"only {part} of the due requests were sent: {count(sent)} of {count(round(run.nominal))}")
    lag = tally.lag.percentile(99)
    if lag > _HIGH_LAG:
        found.append(
            f"requests waited before they were sent, p99 {seconds(lag)}: they queued behind slow replies, or the "
            "generator was late; compare both latencies"
        )
    abandoned = count_of(tally, "abandoned")
    if abandoned:
        found.append(f"{count(abandoned)} exchanges were abandoned: their agents were stopped before the answer")
    waiting = sum(gauges["in_flight"] for gauges in tally.workers.values())
    if waiting:
        found.append(f"the counts aren't final: {count(waiting)} exchanges were still in progress")
    return found


def verdict(report: Report) -> str:
    """Return the result of the run in one line: passed or failed, and why."""
    limits, broken = len(report.limit_results), sum(not each.passed for each in report.limit_results)
    failed = count_of(report.tally, "error")
    if not count_sent(report.tally):
        return "Failed: no request was sent"
    if report.capacity is not None:
        return f"{'Passed' if report.passed else 'Failed'}: capacity {capacity_text(report.capacity)}"
    if broken:
        return f"Failed: {broken} of {limits} limits broken"
    if limits:
        return f"Passed: {'all ' if limits > 1 else ''}{limits} {'limits hold' if limits > 1 else 'limit holds'}"
    return f"No limits were set; {count(failed)} requests failed" if failed else "No limits were set; no request failed"


def capacity_text(capacity: CapacityResult) -> str:
    """Return the highest rate that held, else `below` the lowest one that did not, else `unknown`."""
    if capacity.rate:
        return rate(capacity.rate)
    return "unknown" if capacity.broken is None else f"below {rate(capacity.broken)}"


def headline(report: Report) -> str:
    """Return the most important figures in one line: due, sent and answered."""
    sent, expected, answered = _totals(report.tally)
    run = report.run
    due = f"{rate(run.nominal / run.seconds)} due, " if run.nominal and run.seconds else ""
    real = rate(sent / run.seconds) if run.seconds else rate(0.0)
    return f"{due}{real} sent; {count(answered)} of {count(expected)} expected notifications came"


def figures(report: Report) -> JSONObject:
    """Return the report as JSON, with latencies in seconds. Names are stable; new ones may be added."""
    sent, expected, answered = _totals(report.tally)
    run, tally = report.run, report.tally
    strays: dict[str, JSON] = {what: count_of(tally, what) for what in ("unexpected", "session lost", "unsent")}
    workers: dict[str, JSON] = {
        name: {
            "cpu_mean": each["cpu_total"] / each["cpu_samples"] / 10 if each["cpu_samples"] else None,
            "cpu_highest": each["cpu_highest"] / 10 if each["cpu_samples"] else None,
        }
        for name, each in sorted(tally.workers.items())
    }
    return {
        "cometreel_load": 1,
        "host": run.host,
        "settings": dict(run.settings),
        "seconds": run.seconds,
        "due": round(run.nominal),
        "sent": sent,
        "expected": expected,
        "answered": answered,
        "strays": strays,
        "entries": {row.label: _row_figures(row) for row in rows(tally)},
        "lag": _latency_figures(tally.lag),
        "slowest": [answer._asdict() for answer in tally.slowest.answers()],
        "workers": workers,
        "limits": [
            {"limit": each.limit.text, "found": each.found, "passed": each.passed} for each in report.limit_results
        ],
        "capacity": _capacity_figures(report),
        "warnings": [*warnings(report)],
        "passed": report.passed,
    }


def junit_report(report: Report) -> str:
    """Return the limits as JUnit XML, one test case each. Warnings and messages are the `system-out`."""
    cases = [
        JUnitCase(
            "limits",
            result.limit.text,
            failure="" if result.passed else f"{result.limit.text}: found {result.found}",
        )
        for result in report.limit_results
    ]
    notes = [*warnings(report), *(f"{each.label}, {each.failure}: {each.message}" for each in messages(report))]
    suite = JUnitSuite("cometreel load", cases, report.run.seconds, "\n".join(notes))
    return suite.document(wrapped=False)


def _totals(tally: Tally) -> tuple[int, int, int]:
    entries = tally.entries.values()
    return sum(e.sent for e in entries), sum(e.expected for e in entries), sum(e.answered for e in entries)


def _row_figures(row: ReportRow) -> JSONObject:
    entry = row.entry
    return {
        "sent": entry.sent,
        "acknowledged": entry.acknowledged,
        "expected": entry.expected,
        "answered": entry.answered,
        "failures": dict(sorted(entry.failures.items())),
        "messages": {failure: first["message"] for failure, first in sorted(entry.messages.items())},
        "ack": {"intended": _latency_figures(entry.ack.intended), "actual": _latency_figures(entry.ack.actual)},
        "notification": {
            "intended": _latency_figures(entry.notification.intended),
            "actual": _latency_figures(entry.notification.actual),
        },
    }


def _latency_figures(latency: Latency) -> JSONObject | None:
    if not latency.count:
        return None
    at: dict[str, JSON] = {f"p{percentile:g}": value for percentile, value in latency.percentiles(PERCENTILES[:-1])}
    return {"count": latency.count, "mean": latency.mean, "min": latency.lowest, **at, "max": latency.highest}


def _capacity_figures(report: Report) -> JSON:
    if report.capacity is None:
        return None
    return {
        "rate": report.capacity.rate,
        "broken": report.capacity.broken,
        "stopped": report.capacity.stopped.value,
        "trials": [{"rate": trial.step.rate, "held": trial.held} for trial in report.trials],
    }
