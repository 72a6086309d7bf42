"""The text report for a terminal, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from cometreel.load.formatting import count, percent, rate, seconds, shortened
from cometreel.load.load_report import (
    Report,
    ReportRow,
    both_latencies,
    capacity_text,
    headline,
    messages,
    rows,
    warnings,
)

__all__ = ["terminal_report"]

_WIDTH = 100
_MIN_NAME_WIDTH = 16
"""Minimum width of a column of names."""
_COUNTS = (
    "lost",
    "late",
    "late-after-lost",
    "duplicate",
    "wrong",
    "http error",
    "status error",
    "no reply",
    "abandoned",
)
_SHOWN = 5
_PERCENTILES = ("p50", "p99", "p99.99", "max")


def terminal_report(report: Report) -> str:
    """Return the report: counts, messages, latencies, slowest answers, limits and warnings."""
    whole = rows(report.tally)
    parts = [
        [f"load on {report.run.host} for {seconds(report.run.seconds)}", headline(report)],
        _counts(whole),
        _messages(report),
        _strays(report),
        _latencies(whole),
        _slowest(report),
        _trials(report),
        _limits(report),
        [line for text in warnings(report) for line in wrap(f"warning: {text}", _WIDTH, subsequent_indent="  ")],
    ]
    return "\n\n".join("\n".join(_cut(line) for line in part) for part in parts if part) + "\n"


def _counts(whole: Sequence[ReportRow]) -> list[str]:
    shown = [what for what in _COUNTS if any(row.failed(what) for row in whole)]
    body = []
    for row in whole:
        entry = row.entry
        counts = [entry.sent, entry.acknowledged, entry.expected, entry.answered, *(row.failed(what) for what in shown)]
        body.append([row.label, *map(count, counts)])
    return _table(["owner", "sent", "acked", "expected", "answered", *shown], body)


def _messages(report: Report) -> list[str]:
    found = messages(report)
    lines = [
        line
        for each in found
        for line in wrap(
            f"{each.label}, {each.failure} ({count(each.number)}): {each.message}", _WIDTH, subsequent_indent="  "
        )
    ]
    return ["first message of each failure", "-" * min(max(map(len, lines)), _WIDTH), *lines] if lines else []


def _strays(report: Report) -> list[str]:
    tally = report.tally
    lines = [f"{text}: {count(number)}" for text, number in sorted(tally.strays.items())]
    if tally.unsent:
        lines.append(f"due and never sent: {count(tally.unsent)}")
    if tally.lag.count:
        lines.append(f"schedule lag: p50 {seconds(tally.lag.percentile(50))}, p99 {seconds(tally.lag.percentile(99))}")
    for name, each in sorted(tally.workers.items()):
        if each["cpu_samples"]:
            mean, highest = each["cpu_total"] / each["cpu_samples"] / 10, each["cpu_highest"] / 10
            lines.append(
                f"CPU of {shortened(name, _WIDTH // 2)}: {percent(mean)} of one core, at most {percent(highest)}"
            )
    return lines


def _latencies(whole: Sequence[ReportRow]) -> list[str]:
    body = []
    for row in whole:
        for what, timing in (("ack", row.entry.ack), ("notification", row.entry.notification)):
            if timing.intended.count:
                both = both_latencies(timing)
                chosen = [both[place] for place in (0, 2, 4, 5)]
                intended, actual = [seconds(a[1]) for a, _ in chosen], [seconds(b[1]) for _, b in chosen]
                body.append([row.label, what, *intended, *actual])
    if not body:
        return []
    head = ["owner", "latency", *_PERCENTILES, *_PERCENTILES]
    gap, widths = _layout([head, *body], (0, 1))
    half = sum(widths[:6]) + 5 * len(gap)
    return [f"{'from the intended start'.rjust(half)}{gap}from the actual start", *_table(head, body, left=(0, 1))]


def _slowest(report: Report) -> list[str]:
    answers = report.tally.slowest.answers()[:_SHOWN]
    if not answers:
        return []
    body = [
        [seconds(each.micros / 1_000_000), each.entry, each.reference, each.agent, seconds(max(each.at, 0.0))]
        for each in answers
    ]
    return ["slowest answers", *_table(["latency", "entry", "referenceId", "agent", "due at"], body, left=(1, 3))]


def _trials(report: Report) -> list[str]:
    if report.capacity is None:
        return []
    body = [[rate(trial.step.rate), trial.reason or "held"] for trial in report.trials]
    end = f"capacity: {capacity_text(report.capacity)}; {report.capacity.stopped.value}"
    return [*_table(["rate", "limits"], body, left=(1,)), end]


def _limits(report: Report) -> list[str]:
    body = [["passed" if each.passed else "FAILED", each.limit.text, each.found] for each in report.limit_results]
    return _table(["", "limit", "found"], body, left=(0, 1, 2)) if body else []


def _table(head: Sequence[str], body: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return an aligned table: text to the left, figures to the right."""
    lines = [list(head), *map(list, body)]
    gap, widths = _layout(lines, left)
    made = [
        gap.join(
            shortened(cell, width).ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return [made[0], "-" * min(max(map(len, made)), _WIDTH), *made[1:]]


def _layout(lines: Sequence[Sequence[str]], left: Sequence[int]) -> tuple[str, list[int]]:
    """Return the gap between columns, and their widths. In a wide table the gap shrinks, then the widest text."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= _WIDTH else " "
    for column in sorted(left, key=lambda each: -widths[each]):
        excess = sum(widths) + len(gap) * (len(widths) - 1) - _WIDTH
        if excess > 0:
            widths[column] = max(widths[column] - excess, min(widths[column], _MIN_NAME_WIDTH))
    return gap, widths


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
