"""Reports as lines, JSON, JUnit XML and HTML, all with the same content."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cometreel.jsonvalue import JSON
from cometreel.verify import Verdict, html_report, json_report, junit_report, report_lines
from tests.unit.verify.fake_run import FakeRun

TEXT = """cometreel: 1
exchanges:
  - {name: same, request: {method: GET, path: /a}, reply: {body: {n: 1}}}
  - {name: "drift <b>&\\u0001", request: {method: GET, path: /b}, reply: {body: {k: 1, gone: x}}}
  - {name: not sent, request: {method: GET, path: [{$any: string}]}}
"""


@pytest.fixture
def verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """Return a verdict with one exchange of each outcome, and a relative path of the scenario."""
    monkeypatch.chdir(tmp_path)
    run = FakeRun(Path(), TEXT)
    return run.replies(0, {"n": 1}).replies(1, {"k": 2, "new": "<i>"}).verdict()


CHANGED = "value changed at /reply/body/k: recorded 1, live 2"
REASON = "the scenario does not contain the value of {$any: string} in its path"


def test_lines(verdict: Verdict) -> None:
    assert list(report_lines(verdict)) == [
        ("drift", f"s.yaml:4: drift <b>&\x01: {CHANGED}"),
        ("drift", "s.yaml:4: drift <b>&\x01: field removed at /reply/body/gone: recorded x, live nothing"),
        ("drift", "s.yaml:4: drift <b>&\x01: field added at /reply/body/new: recorded nothing, live <i>"),
        ("not played", f"s.yaml:5: not sent: not played: {REASON}"),
        ("parity", "1 of 3 exchanges and 0 of 0 notifications are equal"),
        ("summary", "s.yaml against http://live: 1 same, 1 drifted, 1 not played: 3 differences"),
    ]


def test_json(verdict: Verdict) -> None:
    where = {"session": "everybody", "file": "s.yaml"}
    place = {"file": "s.yaml", "line": 4}
    nothing = {"equal": 0, "of": 0}
    assert json_report(verdict) == {
        "scenario": ["s.yaml"],
        "against": "http://live",
        "same": False,
        "counts": {"same": 1, "drift": 1, "notPlayed": 1, "differences": 3},
        "parity": {"exchanges": {"equal": 1, "of": 3}, "notifications": nothing},
        "exchanges": [
            {
                "name": "same",
                **where,
                "line": 3,
                "outcome": "same",
                "seconds": 0.0,
                "notifications": nothing,
                "differences": [],
            },
            {
                "name": "drift <b>&\x01",
                **where,
                "line": 4,
                "outcome": "drift",
                "seconds": 0.0,
                "notifications": nothing,
                "differences": [
                    {"what": "value changed", "pointer": "/reply/body/k", **place, "recorded": 1, "live": 2},
                    {"what": "field removed", "pointer": "/reply/body/gone", **place, "recorded": "x"},
                    {"what": "field added", "pointer": "/reply/body/new", **place, "live": "<i>"},
                ],
            },
            {"name": "not sent", **where, "line": 5, "outcome": "not played", "reason": REASON},
        ],
        "notes": [],
    }


def test_junit(verdict: Verdict) -> None:
    (suite,) = ET.fromstring(junit_report(verdict))
    counts = {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")}
    assert counts == {"name": "s.yaml", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert properties == {
        "against": "http://live",
        "exchanges equal": "1 of 3",
        "notifications equal": "0 of 0",
    }
    same, drift, not_played = suite.findall("testcase")
    assert (same.get("name"), list(same)) == ("same", [])
    (failure,), (skipped,) = drift, not_played
    assert (drift.get("name"), drift.get("file"), drift.get("line")) == ("drift <b>&\ufffd", "s.yaml", "4")
    assert failure.get("message") == "3 differences"
    assert (failure.text or "").splitlines()[0] == f"s.yaml:4: drift <b>&\ufffd: {CHANGED}"
    assert skipped.get("message") == REASON


class _Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_self_contained(verdict: Verdict) -> None:
    page = _Page(html_report(verdict))
    assert page.tags & {"script", "link", "img", "iframe", "b", "i"} == set()
    assert re.findall(r"url\(|@import|https?://(?!live)", html_report(verdict)) == []
    text = " ".join(page.text.split())
    assert "The server has drifted" in text
    assert "1 of 3 exchanges and 0 of 0 notifications are equal" in text
    assert "value changed/reply/body/k412" in text.replace(" ", "").replace("valuechanged", "value changed")
    assert f"not played: {REASON}" in text


def test_html_without_differences(start_run: Callable[..., FakeRun]) -> None:
    run = start_run("exchanges:\n  - {name: same, request: {method: GET, path: /a}, reply: {body: {n: 1}}}\n")
    assert "The server still answers as recorded" in html_report(run.replies(0, {"n": 1}).verdict())


def test_reports_have_no_personal_data(start_run: Callable[..., FakeRun]) -> None:
    text = "exchanges:\n  - {name: me, request: {method: GET, path: /a}, reply: {body: {user: {firstName: Bapo}}}}\n"
    live: JSON = {
        "user": {"firstName": ["Ann"], "lastName": "Archer", "uri": "http://10.1.2.3/x"},
        "secureKey": "k3y-k3y-k3y",
    }
    verdict = start_run(text).replies(0, live).verdict()
    text = f"{list(report_lines(verdict))}{json_report(verdict)}{junit_report(verdict)}{html_report(verdict)}"
    assert [word for word in ("Ann", "Archer", "10.1.2.3", "k3y") if word in text] == []
    assert verdict.difference_count == 4
