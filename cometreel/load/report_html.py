"""The HTML report: a section of a page, without scripts or external resources."""

from __future__ import annotations

from cometreel import __version__
from cometreel.html_templates import html_template
from cometreel.load.charts import latency_curve, run_chart
from cometreel.load.formatting import count, percent, rate, seconds
from cometreel.load.load_report import (
    PERCENTILES,
    Report,
    both_latencies,
    capacity_text,
    headline,
    messages,
    rows,
    verdict,
    warnings,
)
from cometreel.load.tally import COUNTED

__all__ = ["html_section"]


def html_section(report: Report) -> str:
    """Return the report as an HTML section for another page: first the result. All values are escaped.

    Its style doesn't affect the rest of the page.
    """
    return html_template("cometreel.load", "section").render(_context(report))


def _context(report: Report) -> dict[str, object]:
    """Return the variables of the templates."""
    whole = rows(report.tally)
    everything = whole[-1].entry
    failures = [what for what in COUNTED if what not in ("error", "unsent") and any(row.failed(what) for row in whole)]
    return {
        "version": __version__,
        "report": report,
        "verdict": verdict(report),
        "headline": headline(report),
        "capacity_text": capacity_text,
        "warnings": warnings(report),
        "rows": whole,
        "messages": messages(report),
        "failures": failures,
        "percentiles": [f"p{each:g}" for each in PERCENTILES[:-1]] + ["max"],
        "both_latencies": both_latencies,
        "curve": latency_curve(
            [
                ("notification, from the intended start", everything.notification.intended),
                ("notification, from the actual start", everything.notification.actual),
                ("ack, from the intended start", everything.ack.intended),
            ]
        ),
        "owners_curve": latency_curve((row.label, row.entry.notification.intended) for row in whole[:-1]),
        "run_chart": run_chart(report.tally.time_series),
        "slowest": report.tally.slowest.answers(),
        "count": count,
        "percent": percent,
        "rate": rate,
        "seconds": seconds,
    }
