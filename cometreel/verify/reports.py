"""Reports of a verdict: lines for the terminal, JSON, JUnit XML, and a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from cometreel.html_templates import html_template
from cometreel.jsonvalue import JSONObject
from cometreel.junit import JUnitCase, JUnitSuite
from cometreel.scenario.matchers import MISSING
from cometreel.verify.verdict import Drift, EqualCount, ExchangeOutcome, StepVerdict, Verdict, one_line

__all__ = ["html_report", "json_report", "junit_report", "report_lines"]


def html_report(verdict: Verdict) -> str:
    """Return the verdict as an HTML page without external resources."""
    return html_template("cometreel.verify", "report").render(verdict=verdict, one_line=one_line)


def junit_report(verdict: Verdict) -> str:
    """Return the verdict as a JUnit XML document."""
    suite = JUnitSuite(
        " ".join(verdict.scenario),
        [_test_case(step) for step in verdict.steps],
        sum(step.seconds for step in verdict.steps),
        "\n".join(verdict.notes) if verdict.notes else None,
        {
            "against": verdict.against,
            "exchanges equal": str(verdict.equal_exchanges),
            "notifications equal": str(verdict.equal_notifications),
        },
    )
    return suite.document(wrapped=True)


def _test_case(step: StepVerdict) -> JUnitCase:
    time, position = f"{step.seconds:.3f}", (step.position.file, step.position.line)
    if step.outcome is ExchangeOutcome.NOT_PLAYED:
        return JUnitCase(step.session, step.name, time, position, skipped=step.reason)
    if not step.drifts:
        return JUnitCase(step.session, step.name, time, position)
    number = len(step.drifts)
    message = str(step.drifts[0]) if number == 1 else f"{number} differences"
    return JUnitCase(step.session, step.name, time, position, message, "drift", "\n".join(step.lines()))


def report_lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Yield each line with its kind: `drift`, `not played`, `note`, `parity` or `summary`."""
    for step in verdict.steps:
        for line in step.lines():
            yield step.outcome.value, line
    for note in verdict.notes:
        yield "note", note
    yield "parity", verdict.parity()
    yield "summary", f"{', '.join(verdict.scenario)} against {verdict.against}: {verdict.summary()}"


def json_report(verdict: Verdict) -> JSONObject:
    """Return the verdict as JSON; a missing value has no member."""
    return {
        "scenario": list(verdict.scenario),
        "against": verdict.against,
        "same": verdict.same,
        "counts": {
            "same": verdict.count(ExchangeOutcome.SAME),
            "drift": verdict.count(ExchangeOutcome.DRIFT),
            "notPlayed": verdict.count(ExchangeOutcome.NOT_PLAYED),
            "differences": verdict.difference_count,
        },
        "parity": {
            "exchanges": _equal_count(verdict.equal_exchanges),
            "notifications": _equal_count(verdict.equal_notifications),
        },
        "exchanges": [_step(step) for step in verdict.steps],
        "notes": list(verdict.notes),
    }


def _equal_count(count: EqualCount) -> JSONObject:
    return {"equal": count.equal, "of": count.of}


def _step(step: StepVerdict) -> JSONObject:
    result: JSONObject = {
        "name": step.name,
        "session": step.session,
        "file": step.position.file,
        "line": step.position.line,
        "outcome": step.outcome.value,
    }
    if step.outcome is ExchangeOutcome.NOT_PLAYED:
        return {**result, "reason": step.reason}
    result["seconds"] = round(step.seconds, 3)
    result["notifications"] = _equal_count(step.notifications)
    return {**result, "differences": [_drift(drift) for drift in step.drifts]}


def _drift(drift: Drift) -> JSONObject:
    result: JSONObject = {
        "what": drift.kind,
        "pointer": drift.pointer,
        "file": drift.position.file,
        "line": drift.position.line,
    }
    for name, value in (("recorded", drift.recorded), ("live", drift.live)):
        if value is not MISSING:
            result[name] = value
    return result
