"""The page as text: complete, with a strict content security policy and safe embedding."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.show import FIRST_LINE, compare, page, read_conversation
from tests.unit.show.journal_texts import Written, notification, three_agents

HOSTILE = "</script><!--<script>alert(1)</script> \u2028\u2029 &quot;'"


def embedded(text: str) -> JSONObject:
    (found,) = re.findall(r'<script type="application/json" id="conversation">(.*?)</script>', text, re.DOTALL)
    value = json.loads(found)
    assert isinstance(value, dict)
    return value


def sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.fixture
def drawn(tmp_path: Path) -> str:
    return page(read_conversation(three_agents().path(tmp_path)))


def test_a_page_starts_with_its_first_line(drawn: str):
    assert drawn.startswith(FIRST_LINE + "\n<html")


def test_the_policy_allows_only_its_own_script_and_style(drawn: str):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', drawn)
    (style,) = re.findall(r"<style>(.*?)</style>", drawn, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", drawn, re.DOTALL)
    assert policy == (
        f"default-src 'none'; script-src '{sha256(script)}'; style-src '{sha256(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_the_page_has_no_external_references(drawn: str):
    own = drawn.replace("http://www.w3.org/2000/svg", "")  # the name of a namespace, which nobody loads
    assert not re.search(r"https?://|@import|url\(|src=", own)
    assert re.findall(r'href="([^"]*)"', own) == ["data:,"]


def test_the_script_never_parses_markup(drawn: str):
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|Function\(", drawn)


def test_recorded_data_cannot_leave_the_data_element(tmp_path: Path):
    made = Written()
    body: JSON = {"operationName": HOSTILE, HOSTILE: [HOSTILE]}
    made.call(0.0, "ann", "POST", "/api/v2/x", body, reply={HOSTILE: HOSTILE})
    made.poll(0.1, 0.2, "ann", {"channel": HOSTILE, "data": {"messageType": HOSTILE}})
    text = page(read_conversation(made.path(tmp_path, "evil")))
    assert text.count("</script") == 2
    assert text.count("<!--") == 1
    assert not set(text) & set("\u2028\u2029")
    assert embedded(text)["unsolicited"] == [
        {"at": 0.2, "lane": 0, "channel": HOSTILE, "kind": HOSTILE, "data": 3},
    ]


def test_a_placeholder_in_recorded_data_is_text(tmp_path: Path):
    made = Written()
    made.call(
        0.0, "ann", "GET", "/api/v2/x", reply={"a": "@CONVERSATION@ /*@SCRIPT@*/ /*@STYLE@*/ @POLICY@ @FIRST_LINE@"}
    )
    text = page(read_conversation(made.path(tmp_path)))
    (line,) = [body for body in _bodies(text) if "@POLICY@" in body]
    assert line == '{"a":"@CONVERSATION@ /*@SCRIPT@*/ /*@STYLE@*/ @POLICY@ @FIRST_LINE@"}'


def test_a_body_is_embedded_once_and_numbers_are_unchanged(tmp_path: Path):
    made = Written()
    for at in range(3):
        made.call(at, "ann", "GET", "/api/v2/x", reply={"n": 12345678901234567890, "f": 1.10})
    text = page(read_conversation(made.path(tmp_path)))
    assert _bodies(text) == ["", '{"n":12345678901234567890,"f":1.1}']


def test_empty_fields_of_an_exchange_are_left_out(tmp_path: Path):
    made = Written()
    made.stats(1.0, "ann", 67, "Place1", "Place", after=0.034)
    made.poll(0.5, 1.12, "ann", notification(67))
    made.request(2.0, "ann", "GET", "/api/v2/me")
    assert embedded(page(read_conversation(made.path(tmp_path))))["exchanges"] == [
        {
            "name": "stats of place Place1",
            "lane": 0,
            "at": 0.5,
            "method": "POST",
            "target": "/api/v2/workbins",
            "operation": "RequestAgentStats",
            "ownerType": "Place",
            "status": "200",
            "replyAt": 0.534,
            "request": 2,
            "reply": 3,
            "notifications": [
                {"at": 0.62, "lane": 0, "channel": "/v2/me/workbins", "kind": "WorkbinStatsMessage", "data": 1}
            ],
        },
        {
            "name": "GET /api/v2/me",
            "lane": 0,
            "at": 1.5,
            "method": "GET",
            "target": "/api/v2/me",
            "operation": "GET",
            "faults": ["no reply when the recording ended"],
        },
    ]


def test_a_comparison_contains_states_changes_and_previous_times(tmp_path: Path):
    before, after = Written(), Written()
    for made, notified in ((before, 0.1), (after, 0.5)):
        made.stats(0.0, "ann", 67, after=0.03)
        made.poll(0.0, notified, "ann", notification(67))
    shown = compare(read_conversation(before.path(tmp_path, "a")), read_conversation(after.path(tmp_path, "b")))
    found = embedded(page(shown))
    assert (found["title"], found["compared"]) == ("a → b", {"before": "a (journal)", "after": "b (journal)"})
    (exchange,) = _list(found["exchanges"])
    assert isinstance(exchange, dict)
    assert (exchange["state"], exchange["before"]) == ("changed", {"replyAt": 0.03, "notifications": [0.1]})
    assert exchange["changes"] == [{"what": "notified after 500 ms, before 100 ms", "lines": []}]


def _bodies(text: str) -> list[str]:
    return [str(body) for body in _list(embedded(text)["bodies"])]


def _list(value: JSON) -> list[JSON]:
    assert isinstance(value, list)
    return value
