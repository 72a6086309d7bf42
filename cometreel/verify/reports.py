"""The verdict as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from xml.etree import ElementTree as ET

import jinja2

from cometreel.jsonvalue import JSONObject
from cometreel.scenario.matchers import MISSING
from cometreel.verify.verdict import Drift, ExchangeOutcome, StepVerdict, Verdict, shown

__all__ = ["html_report", "json_report", "junit_report", "report_lines"]


def html_report(verdict: Verdict) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = shown
    text = files("cometreel.verify").joinpath("page.html.jinja").read_text("utf-8")
    return environment.from_string(text).render(verdict=verdict)


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_report(verdict: Verdict) -> str:
    """The whole document."""
    suite = ET.Element(
        "testsuite",
        name=_clean(" ".join(verdict.scenario)),
        tests=str(len(verdict.steps)),
        failures=str(verdict.count(ExchangeOutcome.DRIFT)),
        errors="0",
        skipped=str(verdict.count(ExchangeOutcome.NOT_PLAYED)),
        time=f"{sum(step.seconds for step in verdict.steps):.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", name="against", value=_clean(verdict.against))
    for step in verdict.steps:
        suite.append(_case(step))
    if verdict.notes:
        ET.SubElement(suite, "system-out").text = _clean("\n".join(verdict.notes))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _case(step: StepVerdict) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=_clean(step.part),
        name=_clean(step.name),
        file=_clean(step.position.file),
        line=str(step.position.line),
        time=f"{step.seconds:.3f}",
    )
    if step.outcome is ExchangeOutcome.NOT_PLAYED:
        ET.SubElement(case, "skipped", message=_clean(step.reason))
    elif step.findings:
        number = len(step.findings)
        message = _clean(str(step.findings[0])) if number == 1 else f"{number} differences"
        ET.SubElement(case, "failure", message=message, type="drift").text = _clean("\n".join(step.lines()))
    return case


def _clean(text: str) -> str:
    """XML 1.0 knows no control characters, not even escaped."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


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
            made[name] = value
    return made
