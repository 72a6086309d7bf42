"""The limits as JUnit XML, for a build server: one test case for each limit."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from cometreel.load.load_report import Report, warnings

__all__ = ["junit_report"]

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_report(report: Report) -> str:
    """Write the verdicts as one `testsuite` (the schema of Jenkins and GitLab); warnings go to `system-out`."""
    failed = sum(not verdict.passed for verdict in report.verdicts)
    suite = ET.Element(
        "testsuite",
        name="cometreel load",
        tests=str(len(report.verdicts)),
        failures=str(failed),
        errors="0",
        skipped="0",
        time=f"{report.run.seconds:.3f}",
    )
    for verdict in report.verdicts:
        case = ET.SubElement(suite, "testcase", classname="limits", name=_clean(verdict.limit.text), time="0")
        if not verdict.passed:
            ET.SubElement(case, "failure", message=_clean(f"{verdict.limit.text}: found {verdict.found}"))
    ET.SubElement(suite, "system-out").text = _clean("\n".join(warnings(report)))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
