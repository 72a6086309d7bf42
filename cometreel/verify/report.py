"""The verdict as lines of text, and as JSON. Lines are for people and for grep: one for each difference."""

from __future__ import annotations

from collections.abc import Iterator

from cometreel.jsonvalue import JSONObject
from cometreel.scenario.matchers import MISSING
from cometreel.verify.verdict import Finding, Outcome, StepVerdict, Verdict

__all__ = ["as_json", "lines"]


def lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Each line with the kind that it is of: `drift`, `not played`, `note`, `summary`."""
    for step in verdict.steps:
        for line in step.lines():
            yield step.outcome.value, line
    for note in verdict.notes:
        yield "note", note
    yield "summary", f"{', '.join(verdict.scenario)} against {verdict.against}: {verdict.summary()}"


def as_json(verdict: Verdict) -> JSONObject:
    """The verdict as one JSON value; a value that isn't there has no member."""
    return {
        "scenario": list(verdict.scenario),
        "against": verdict.against,
        "same": verdict.same,
        "counts": {
            "same": verdict.count(Outcome.SAME),
            "drift": verdict.count(Outcome.DRIFT),
            "notPlayed": verdict.count(Outcome.NOT_PLAYED),
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
    if step.outcome is Outcome.NOT_PLAYED:
        return {**made, "reason": step.reason}
    return {**made, "seconds": round(step.seconds, 3), "differences": [_finding(each) for each in step.findings]}


def _finding(finding: Finding) -> JSONObject:
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
