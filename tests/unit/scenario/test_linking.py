"""The contents of a loaded scenario: references, times, names of captures, faults and the session cookie."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import loads
from cometreel.scenario.compiled import DropEvent, DuplicateEvent

EXCHANGE = "exchanges: [{name: a, request: {method: GET, path: /x}"


@pytest.mark.parametrize(("reference", "highest"), [(7, 7), (True, 0), ("7", 0), (None, 0)])
def test_only_a_number_is_a_reference_number(reference: JSON, highest: int) -> None:
    body = encode({"referenceId": reference}).decode()
    assert loads(f"cometreel: 1\ncorrelation: gws-v2\n{EXCHANGE}, reply: {{body: {body}}}}}]").highest_ref == highest


@pytest.mark.parametrize(
    ("written", "hour"), [("2026-11-23T10:00:00Z", 10), ("2026-11-23T10:00:00", 10), ("2026-11-23T10:00:00+02:00", 8)]
)
def test_the_recorded_time_has_its_zone_or_is_in_utc(written: str, hour: int) -> None:
    scenario = loads(f"cometreel: 1\nsource: {{recorded: '{written}'}}\n{EXCHANGE}}}]")
    assert scenario.recorded == datetime(2026, 11, 23, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "cookie"), [("{}", "JSESSIONID"), ("{cookie: sid}", "sid"), ("{cookie: none}", None)]
)
def test_a_scenario_has_a_session_cookie_unless_it_is_none(written: str, cookie: str | None) -> None:
    assert loads(f"cometreel: 1\nsession: {written}\n{EXCHANGE}}}]").session.cookie == cookie


@pytest.mark.parametrize(("written", "number"), [("true", None), ("1", 1)])
def test_a_fault_drops_or_duplicates_one_event_or_all(written: str, number: int | None) -> None:
    kinds = "".join(f"  - {{exchange: a, {kind}-event: {written}}}\n" for kind in ("drop", "duplicate"))
    scenario = loads(f"cometreel: 1\n{EXCHANGE}, events: [{{channel: /a}}, {{channel: /b}}]}}]\nfaults:\n{kinds}")
    assert [fault.action for fault in scenario.faults] == [DropEvent(number), DuplicateEvent(number)]


def test_the_groups_of_a_regular_expression_are_captures() -> None:
    path, body = "{$regex: '^/x/(?P<item>.+)$'}", "{$t: '{{ item }}'}"
    text = f"exchanges: [{{name: a, request: {{method: GET, path: {path}}}, reply: {{body: {body}}}}}]"
    assert loads(f"cometreel: 1\n{text}").exchanges[0].name == "a"


def test_a_bound_value_may_be_captured_for_the_session() -> None:
    session = "session: {bind: [{from: $response.body#/id, in: [$request.path.id]}]}"
    text = "exchanges: [{name: a, request: {method: GET, path: [x, {$capture: session.id}]}}]"
    assert [rule.name for rule in loads(f"cometreel: 1\n{session}\n{text}").session.bind] == ["id"]
