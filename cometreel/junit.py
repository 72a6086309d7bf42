"""JUnit XML: one test suite with its cases, in the schema that Jenkins and GitLab read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

__all__ = ["JUnitCase", "JUnitSuite"]

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class JUnitCase:
    """One test case. It is a failure if `failure` is set, skipped if `skipped` is set, and else it passed."""

    classname: str
    name: str
    time: str = "0"
    """Seconds."""
    position: tuple[str, int] | None = None
    """File and line."""
    failure: str = ""
    failure_type: str = ""
    details: str = ""
    """The text of the failure."""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class JUnitSuite:
    """A test suite. `system_out` is left out of the document if it is None."""

    name: str
    cases: Sequence[JUnitCase]
    seconds: float
    system_out: str | None = None
    properties: Mapping[str, str] | None = None

    def document(self, *, wrapped: bool) -> str:
        """Return the document. Its root is `testsuites` if `wrapped` is true, else `testsuite`."""
        suite = ET.Element(
            "testsuite",
            name=_clean(self.name),
            tests=str(len(self.cases)),
            failures=str(sum(bool(case.failure) for case in self.cases)),
            errors="0",
            skipped=str(sum(bool(case.skipped) for case in self.cases)),
            time=f"{self.seconds:.3f}",
        )
        if self.properties is not None:
            properties = ET.SubElement(suite, "properties")
            for name, value in self.properties.items():
                ET.SubElement(properties, "property", name=name, value=_clean(value))
        suite.extend(map(_case, self.cases))
        if self.system_out is not None:
            ET.SubElement(suite, "system-out").text = _clean(self.system_out)
        root = suite
        if wrapped:
            root = ET.Element("testsuites")
            root.append(suite)
        ET.indent(root)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(case: JUnitCase) -> ET.Element:
    position = {"file": _clean(case.position[0]), "line": str(case.position[1])} if case.position else {}
    element = ET.Element(
        "testcase", {"classname": _clean(case.classname), "name": _clean(case.name), **position, "time": case.time}
    )
    if case.skipped:
        ET.SubElement(element, "skipped", message=_clean(case.skipped))
    elif case.failure:
        kind = {"type": case.failure_type} if case.failure_type else {}
        ET.SubElement(element, "failure", {"message": _clean(case.failure), **kind}).text = _clean(case.details)
    return element


def _clean(text: str) -> str:
    """Replace the characters that XML 1.0 doesn't allow, not even escaped."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
