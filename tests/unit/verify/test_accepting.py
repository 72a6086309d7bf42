"""Accepting drift: the new scenario is the old one with what differed, and nothing differs from it any more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import dump
from cometreel.verify import updated_files
from tests.unit.verify.fake_run import TOPIC, FakeRun

Begin = Callable[..., FakeRun]

TEXT = """correlation: gws-v2
exchanges:
  - name: pull
    request: {method: POST, path: /w/1, body: {operationName: PullWorkitem}}
    reply:
      after: 30ms
      headers: {Allow: GET}
      body: {statusCode: 0, referenceId: 1, user: {userName: bapo}, tags: [a, b, c]}
    events:
      - {after: 50ms, channel: /v2/me/workbins, data: {referenceId: 1, kind: first, a: 1, b: 2}}
      - {after: 70ms, channel: /v2/me/workbins, data: {referenceId: 1, kind: second, c: 3, $$d: 4}}
"""
BODY: dict[str, JSON] = {"statusCode": 0, "referenceId": 9, "user": {"userName": "ann"}, "tags": ["a", "b", "c"]}
FIRST: dict[str, JSON] = {"referenceId": 9, "kind": "first", "a": 1, "b": 2}
SECOND: dict[str, JSON] = {"referenceId": 9, "kind": "second", "c": 3, "$d": 4}
BOTH: list[tuple[str, JSON]] = [(TOPIC, FIRST), (TOPIC, SECOND)]


def play(run: FakeRun, body: JSON, heard: list[tuple[str, JSON]], status: int = 200, **headers: str) -> FakeRun:
    run.connects().at(0.1).replies(0, body, status, **{"allow": "GET", **headers})
    for number, (channel, data) in enumerate(heard):
        run.at(0.2 + number / 100).notifies(data, channel)
    return run


DRIFT: dict[str, tuple[JSON, list[tuple[str, JSON]], int]] = {
    "a status": (BODY, BOTH, 201),
    "values and types": ({**BODY, "statusCode": 4, "user": {"userName": 7}}, BOTH, 200),
    "fields and items": ({"statusCode": 0, "user": {}, "tags": ["b"], "new": {"$x": [1]}}, BOTH, 200),
    "more items": ({**BODY, "tags": ["a", "x", "b", "c", "d"]}, BOTH, 200),
    "a name": ({**BODY, "labels": BODY["tags"], "tags": BODY["tags"]}, [(TOPIC, {**FIRST}), (TOPIC, SECOND)], 200),
    "a reference of another type": (
        {**BODY, "referenceId": "9"},
        [(TOPIC, {**FIRST, "referenceId": "9"}), (TOPIC, {**SECOND, "referenceId": "9"})],
        200,
    ),
    "no JSON": ("gone", [(TOPIC, {**FIRST, "referenceId": 1}), (TOPIC, SECOND)], 200),
    "a notification's values": (BODY, [(TOPIC, {**FIRST, "a": None}), (TOPIC, {**SECOND, "$d": 5})], 200),
    "a channel": (BODY, [("/v2/me/other", FIRST), (TOPIC, SECOND)], 200),
    "one less": (BODY, [(TOPIC, SECOND)], 200),
    "one twice": (BODY, [*BOTH, (TOPIC, SECOND)], 200),
    "one more": (BODY, [*BOTH, (TOPIC, {"referenceId": 9, "$new": 1})], 200),
    "the order": (BODY, BOTH[::-1], 200),
}


@pytest.mark.parametrize(("body", "heard", "status"), DRIFT.values(), ids=DRIFT.keys())
def test_from_the_new_scenario_nothing_differs(
    stage: Begin, tmp_path: Path, body: JSON, heard: list[tuple[str, JSON]], status: int
) -> None:
    run = play(stage(TEXT), body, heard, status)
    verdict = run.verdict()
    assert verdict.difference_count > 0
    ((path, file),) = updated_files(verdict, run.script.sources, run.script.scenario.profile)
    assert path == str(tmp_path / "s.yaml")
    new = dump(file).partition("cometreel: 1\n")[2]
    again = play(stage(new), body, heard, status)
    assert again.lines() == []


def test_only_what_differs_is_changed(stage: Begin) -> None:
    old = stage(TEXT)
    before = dump(old.script.sources[0].file())
    run = play(stage(TEXT), {**BODY, "statusCode": 4}, BOTH)
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    changed = [(a, b) for a, b in zip(before.splitlines(), dump(file).splitlines(), strict=True) if a != b]
    assert changed == [("        statusCode: 0", "        statusCode: 4")]


def test_a_field_with_a_new_name_keeps_its_place(stage: Begin) -> None:
    live = {("code" if name == "statusCode" else name): value for name, value in BODY.items()}
    run = play(stage(TEXT), live, BOTH)
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    assert file.exchanges is not None
    assert file.exchanges[0].reply is not None
    body = file.exchanges[0].reply.body
    assert isinstance(body, dict)
    assert list(body) == ["code", "referenceId", "user", "tags"]


def test_in_another_order_the_moments_stay_where_they_are(stage: Begin) -> None:
    run = play(stage(TEXT), BODY, BOTH[::-1])
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    events = (file.exchanges or [])[0].events or []
    found = [(event.after, event.data["kind"]) for event in events if isinstance(event.data, dict)]
    assert found == [("50ms", "second"), ("70ms", "first")]


def test_what_is_new_is_redacted(stage: Begin) -> None:
    run = play(stage(TEXT), {**BODY, "firstName": "Ann", "uri": "http://10.1.2.3/a"}, BOTH)
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    assert [word for word in ("Ann", "10.1.2.3") if word in dump(file)] == []


def test_without_drift_there_is_nothing_to_write(stage: Begin) -> None:
    run = play(stage(TEXT), BODY, BOTH)
    assert list(updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)) == []
