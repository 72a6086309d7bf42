"""JUnit XML: counts, elements and escaping."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from cometreel.junit import JUnitCase, JUnitSuite

CASES = [
    JUnitCase("c", "passed", "0.100", ("a.yaml", 3)),
    JUnitCase("c", "failed <b>\x01", failure="too slow", failure_type="drift", details="line 1\nline 2"),
    JUnitCase("c", "skipped", skipped="not sent"),
]


def test_a_suite_counts_its_cases_and_replaces_control_characters():
    text = JUnitSuite("s", CASES, 1.5, "a note\x00", {"against": "http://live"}).document(wrapped=True)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>')
    (suite,) = ET.fromstring(text)
    counts = {"tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    assert suite.attrib == {"name": "s", **counts, "time": "1.500"}
    passed, failed, skipped = suite.findall("testcase")
    assert (passed.attrib, list(passed)) == (
        {"classname": "c", "name": "passed", "file": "a.yaml", "line": "3", "time": "0.100"},
        [],
    )
    assert failed.get("name") == "failed <b>\ufffd"
    assert [(child.tag, child.attrib, child.text) for child in failed] == [
        ("failure", {"message": "too slow", "type": "drift"}, "line 1\nline 2")
    ]
    assert [(child.tag, child.get("message")) for child in skipped] == [("skipped", "not sent")]
    assert suite.findtext("system-out") == "a note\ufffd"


def test_the_root_is_the_suite_where_it_is_not_wrapped():
    assert ET.fromstring(JUnitSuite("s", [], 0.0).document(wrapped=False)).tag == "testsuite"
