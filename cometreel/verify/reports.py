"""The verdict as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from cometreel.html_templates import html_template
from cometreel.jsonvalue import JSONObject
from cometreel.junit import JUnitCase, JUnitSuite
from cometreel.scenario.matchers import MISSING
from cometreel.verify.verdict import Drift, ExchangeOutcome, StepVerdict, Verdict, shown

__all__ = ["html_report", "json_report", "junit_report", "report_lines"]


def html_report(verdict: Verdict) -> str:
    """The whole page."""
    return html_template("cometreel.verify", "report").render(verdict=verdict, shown=shown)


def junit_report(verdict: Verdict) -> str:
    """The whole document."""
    suite = JUnitSuite(
        " ".join(verdict.scenario),
        [_case(step) for step in verdict.steps],
        sum(step.seconds for step in verdict.steps),
        "\n".join(verdict.notes) if verdict.notes else None,
        {"against": verdict.against},
    )
    return suite.document(wrapped=True)


def _case(step: StepVerdict) -> JUnitCase:
    time, position = f"{step.seconds:.3f}", (step.position.file, step.position.line)
    if step.outcome is ExchangeOutcome.NOT_PLAYED:
        return JUnitCase(step.part, step.name, time, position, skipped=step.reason)
    if not step.findings:
        return JUnitCase(step.part, step.name, time, position)
    number = len(step.findings)
    message = str(step.findings[0]) if number == 1 else f"{number} differences"
    return JUnitCase(step.part, step.name, time, position, message, "drift", "\n".join(step.lines()))


def report_lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Each line with the kind that it is of: `drift`, `not played`, `note`, `summary`."""
    for step in verdict.steps:
        for line in step.lines():
            yield step.outcome.value, line
    for note in verdict.notes:
        yield "note", note
    yield "summary", f"{', '.join(verdict.scenario)} against {verdict.against}: {verdict.summary()}"


def json_report(verdict: Verdict) -> JSONObject:
    """The verdict as one JSON value; a value that isn't there has no member."""
    return {
        "scenario": list(verdict.scenario),
        "against": verdict.against,
        "same": verdict.same,
        "counts": {
            "same": verdict.count(ExchangeOutcome.SAME),
            "drift": verdict.count(ExchangeOutcome.DRIFT),
            "notPlayed": verdict.count(ExchangeOutcome.NOT_PLAYED),
            "differences": verdict.differences,
        },
        "exchanges": [_step(step) for step in verdict.steps],
        "notes": list(verdict.notes),
    }


def _step(step: StepVerdict) -> JSONObject:
    made: JSONObject = {
        "name": step.name,
        "session": step.part,
        "file": step.position.file,
        "line": step.position.line,
        "outcome": step.outcome.value,
    }
    if step.outcome is ExchangeOutcome.NOT_PLAYED:
        return {**made, "reason": step.reason}
    return {**made, "seconds": round(step.seconds, 3), "differences": [_finding(each) for each in step.findings]}


def _finding(finding: Drift) -> JSONObject:
    made: JSONObject = {
        "what": finding.what,
        "pointer": finding.pointer,
        "file": finding.position.file,
        "line": finding.position.line,
    }
    for name, value in (("recorded", finding.recorded), ("live", finding.live)):
        if value is not MISSING:
            made[name] = value  # type: ignore[assignment]  # not MISSING is JSON
    return made
