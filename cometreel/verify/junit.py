"""The verdict as JUnit XML, as build servers read it: an exchange is a test case, drift a failure."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from cometreel.verify.verdict import Outcome, StepVerdict, Verdict

__all__ = ["junit"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(verdict: Verdict) -> str:
    """The whole document."""
    suite = ET.Element(
        "testsuite",
        name=_clean(" ".join(verdict.scenario)),
        tests=str(len(verdict.steps)),
        failures=str(verdict.count(Outcome.DRIFT)),
        errors="0",
        skipped=str(verdict.count(Outcome.NOT_PLAYED)),
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
    if step.outcome is Outcome.NOT_PLAYED:
        ET.SubElement(case, "skipped", message=_clean(step.reason))
    elif step.findings:
        number = len(step.findings)
        message = _clean(str(step.findings[0])) if number == 1 else f"{number} differences"
        ET.SubElement(case, "failure", message=message, type="drift").text = _clean("\n".join(step.lines()))
    return case


def _clean(text: str) -> str:
    """XML 1.0 knows no control characters, not even escaped."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
