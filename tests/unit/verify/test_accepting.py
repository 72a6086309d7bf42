"""Accepting differences: the new scenario is the old one with the live values, and has no differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cometreel.jsonvalue import JSON, decode
from cometreel.recording import write_scenario
from cometreel.scenario import dump
from cometreel.verify import proposals, updated_files
from tests.unit.verify.fake_run import TOPIC, FakeRun

StartRun = Callable[..., FakeRun]

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


def play(run: FakeRun, body: JSON, received: list[tuple[str, JSON]], status: int = 200, **headers: str) -> FakeRun:
    run.connects().at(0.1).replies(0, body, status, **{"allow": "GET", **headers})
    for number, (channel, data) in enumerate(received):
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
    "one more between": (BODY, [BOTH[0], (TOPIC, {"referenceId": 9, "$new": 1}), BOTH[1]], 200),
    "two more first": (
        BODY,
        [(TOPIC, {"referenceId": 9, "$new": 1}), (TOPIC, {"referenceId": 9, "$new": 2}), *BOTH],
        200,
    ),
    "one more for one less": (BODY, [(TOPIC, {"referenceId": 9, "$new": 1}), BOTH[1]], 200),
    "one more and one twice": (BODY, [BOTH[0], BOTH[0], (TOPIC, {"referenceId": 9, "$new": 1}), BOTH[1]], 200),
    "the order": (BODY, BOTH[::-1], 200),
}


@pytest.mark.parametrize(("body", "received", "status"), DRIFT.values(), ids=DRIFT.keys())
def test_accepted_scenario_has_no_differences(
    start_run: StartRun, tmp_path: Path, body: JSON, received: list[tuple[str, JSON]], status: int
) -> None:
    run = play(start_run(TEXT), body, received, status)
    verdict = run.verdict()
    assert verdict.difference_count > 0
    ((path, file),) = updated_files(verdict, run.script.sources, run.script.scenario.profile)
    assert path == str(tmp_path / "s.yaml")
    new = dump(file).partition("cometreel: 1\n")[2]
    again = play(start_run(new), body, received, status)
    assert again.lines() == []


def test_only_different_values_are_changed(start_run: StartRun) -> None:
    old = start_run(TEXT)
    before = dump(old.script.sources[0].file())
    run = play(start_run(TEXT), {**BODY, "statusCode": 4}, BOTH)
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    changed = [(a, b) for a, b in zip(before.splitlines(), dump(file).splitlines(), strict=True) if a != b]
    assert changed == [("        statusCode: 0", "        statusCode: 4")]


def test_renamed_field_keeps_its_place(start_run: StartRun) -> None:
    live = {("code" if name == "statusCode" else name): value for name, value in BODY.items()}
    run = play(start_run(TEXT), live, BOTH)
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    assert file.exchanges is not None
    assert file.exchanges[0].reply is not None
    body = file.exchanges[0].reply.body
    assert isinstance(body, dict)
    assert list(body) == ["code", "referenceId", "user", "tags"]


def test_delays_keep_their_places_when_the_order_changes(start_run: StartRun) -> None:
    run = play(start_run(TEXT), BODY, BOTH[::-1])
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    events = (file.exchanges or [])[0].events or []
    found = [(event.after, event.data["kind"]) for event in events if isinstance(event.data, dict)]
    assert found == [("50ms", "second"), ("70ms", "first")]


def test_new_values_are_redacted(start_run: StartRun) -> None:
    run = play(start_run(TEXT), {**BODY, "firstName": "Ann", "uri": "http://10.1.2.3/a"}, BOTH)
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    assert [word for word in ("Ann", "10.1.2.3") if word in dump(file)] == []


def test_no_file_is_updated_without_differences(start_run: StartRun) -> None:
    run = play(start_run(TEXT), BODY, BOTH)
    assert list(updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)) == []


def test_accepted_header_fields_of_all_replies_are_changed_in_the_reply(start_run: StartRun) -> None:
    """The other replies of the file keep them."""
    live = {"content-language": "de"}
    text = "reply_headers: {Content-Language: en, X-Node: a}\n" + TEXT
    run = play(start_run(text), BODY, BOTH, 200, **live)
    verdict = run.verdict()
    ((_, file),) = updated_files(verdict, run.script.sources, run.script.scenario.profile)
    assert file.reply_headers == {"Content-Language": "en", "X-Node": "a"}
    reply = (file.exchanges or [])[0].reply
    assert reply is not None
    assert reply.headers == {"Allow": "GET", "Content-Language": "de", "X-Node": None}
    assert (
        play(start_run(dump(file).partition("cometreel: 1\n")[2]), BODY, BOTH, 200, **live).verdict().difference_count
        == 0
    )


def test_values_of_data_files_are_written_to_new_data_files(start_run: StartRun, tmp_path: Path) -> None:
    (tmp_path / "first.json").write_text('{"referenceId": 1, "kind": "first", "a": 1, "b": 2}')
    (tmp_path / "second.json").write_text('{"referenceId": 1, "kind": "second", "c": 3, "$$d": 4}')
    lines = TEXT.splitlines()
    for name in ("first", "second"):
        (number,) = (at for at, line in enumerate(lines) if f"kind: {name}" in line)
        lines[number] = lines[number].partition("data:")[0] + f"data: {{$file: {name}.json}}}}"
    run = play(start_run("\n".join(lines)), BODY, [(TOPIC, {**FIRST, "a": 5}), (TOPIC, SECOND)])
    assert run.verdict().difference_count == 1
    ((path, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    text = write_scenario(file, Path(path), inline_limit=0).path.read_text()
    assert "data: {$file: s/first-1.json}" in text
    assert "data: {$file: second.json}" in text
    assert decode((tmp_path / "s/first-1.json").read_bytes()) == {"referenceId": 1, "kind": "first", "a": 5, "b": 2}
    assert '"a": 1' in (tmp_path / "first.json").read_text()


# --- proposals ----------------------------------------------------------------------------------------------
COMMENTED = """correlation: gws-v2

exchanges: # all of them
  # the pull
  - name: pull # its name
    request: {method: POST, path: /w/1, body: {operationName: PullWorkitem}} # one line
    reply:
      after: 30ms
      body:
        statusCode: 0 # fine
        # the reference
        referenceId: 1
    events:
      # first
      - {after: 50ms, channel: /v2/me/workbins, data: {referenceId: 1, kind: first, a: 1, b: 2}}
      # second
      - {after: 70ms, channel: /v2/me/workbins, data: {referenceId: 1, kind: second, c: 3, $$d: 4}}
  # the rest
  - {name: rest,   request: {method: GET, path: /rest},   reply: {body: 1}}
"""


def proposal(run: FakeRun) -> str:
    ((_, text),) = proposals(run.verdict(), run.script.sources, run.script.scenario.profile)
    return text


def test_proposal_has_the_differences_above_the_exchange_and_keeps_the_rest(start_run: StartRun) -> None:
    run = play(start_run(COMMENTED), {"statusCode": 4, "referenceId": 9}, [(TOPIC, {**FIRST, "a": 5}), (TOPIC, SECOND)])
    assert proposal(run.replies(1, 1)).splitlines() == [
        "cometreel: 1",
        "correlation: gws-v2",
        "",
        "exchanges: # all of them",
        "  # the pull",
        "  # verify: value changed at /reply/body/statusCode: recorded 0, live 4",
        "  # verify: value changed at /events/0/data/a: recorded 1, live 5",
        *[
            line.replace("statusCode: 0", "statusCode: 4").replace("a: 1,", "a: 5,")
            for line in COMMENTED.splitlines()[4:]
        ],
    ]


def test_comments_of_an_earlier_proposal_are_replaced(start_run: StartRun) -> None:
    first = proposal(play(start_run(COMMENTED), {"statusCode": 4, "referenceId": 9}, BOTH).replies(1, 1))
    again = start_run(first.partition("cometreel: 1\n")[2])
    second = proposal(play(again, {"statusCode": 5, "referenceId": 9}, BOTH).replies(1, 1))
    assert [line for line in second.splitlines() if "verify:" in line] == [
        "  # verify: value changed at /reply/body/statusCode: recorded 4, live 5"
    ]


@pytest.mark.parametrize(("body", "received", "status"), DRIFT.values(), ids=DRIFT.keys())
def test_proposal_loads_and_has_no_differences(
    start_run: StartRun, body: JSON, received: list[tuple[str, JSON]], status: int
) -> None:
    text = "# mine\n" + TEXT
    new = proposal(play(start_run(text), body, received, status))
    assert "\n# mine\n" in new
    assert play(start_run(new.partition("cometreel: 1\n")[2]), body, received, status).lines() == []


def test_proposal_is_formatted_anew_if_a_changed_value_is_used_twice(start_run: StartRun) -> None:
    text = """# mine
exchanges:
  - {name: one, request: {method: GET, path: /1}, reply: {body: &both {n: 1}}}
  - {name: two, request: {method: GET, path: /2}, reply: {body: *both}}
"""
    assert proposal(start_run(text).replies(0, {"n": 2}).replies(1, {"n": 1})).splitlines()[1:] == [
        "cometreel: 1",
        "",
        "exchanges:",
        "  # verify: value changed at /reply/body/n: recorded 1, live 2",
        "  - name: one",
        "    request:",
        "      method: GET",
        "      path: /1",
        "    reply:",
        "      body:",
        '        "n": 2',
        "",
        "  - name: two",
        "    request:",
        "      method: GET",
        "      path: /2",
        "    reply:",
        "      body:",
        '        "n": 1',
    ]


def test_proposal_escapes_control_characters_in_comments(start_run: StartRun) -> None:
    text = 'exchanges:\n  - {name: one, request: {method: GET, path: /1}, reply: {body: {"a\\nb": 1}}}\n'
    assert (
        "  # verify: value changed at /reply/body/a\\u000ab: recorded 1, live 2"
        in proposal(start_run(text).replies(0, {"a\nb": 2})).splitlines()
    )


def test_proposal_without_a_value_to_accept_has_the_comment_only(start_run: StartRun) -> None:
    text = "exchanges:\n  - {name: one, request: {method: GET, path: /1}, reply: {body: 1}}\n"
    assert proposal(start_run(text).does_not_answer(0)).splitlines()[1:] == [
        "exchanges:",
        "  # verify: reply missing at /reply: recorded a reply, live no reply within 10 s",
        "  - {name: one, request: {method: GET, path: /1}, reply: {body: 1}}",
    ]


def test_proposal_has_no_personal_data_of_the_server(start_run: StartRun) -> None:
    new = proposal(
        play(start_run(TEXT), {**BODY, "firstName": "Ann", "uri": "http://10.1.2.3/a", "password": "s3"}, BOTH)
    )
    assert [word for word in ("Ann", "10.1.2.3", "s3") if word in new] == []


def test_no_proposal_without_differences(start_run: StartRun) -> None:
    run = play(start_run(TEXT), BODY, BOTH)
    assert list(proposals(run.verdict(), run.script.sources, run.script.scenario.profile)) == []


def test_several_missing_notifications_are_removed(start_run: StartRun) -> None:
    third: dict[str, JSON] = {"referenceId": 9, "kind": "third", "e": 5}
    text = TEXT + "      - {after: 90ms, channel: /v2/me/workbins, data: {referenceId: 1, kind: third, e: 5}}\n"
    run = play(start_run(text), BODY, [(TOPIC, third)])
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    new = dump(file).partition("cometreel: 1\n")[2]
    assert [kind for kind in ("first", "second", "third") if f"kind: {kind}" in new] == ["third"]
    assert play(start_run(new), BODY, [(TOPIC, third)]).lines() == []


def test_the_values_of_the_first_session_are_accepted(start_run: StartRun) -> None:
    text = (
        "roles: {a: {}, b: {}}\nexchanges:\n"
        "  - {name: me, as: [a, b], request: {method: GET, path: /me}, reply: {body: {x: 1}}}\n"
    )
    run = start_run(text).replies(0, {"x": 2}).replies(1, {"x": 3})
    ((_, file),) = updated_files(run.verdict(), run.script.sources, run.script.scenario.profile)
    assert "x: 2" in dump(file)


@pytest.mark.parametrize("receivers", [("b",), ("a", "b"), ("b", "a")])
def test_the_sessions_that_received_a_notification_are_accepted(
    start_run: StartRun, receivers: tuple[str, ...]
) -> None:
    text = """correlation: gws-v2
roles: {a: {}, b: {}}
exchanges:
  - name: ask
    as: a
    request: {method: POST, path: /ask}
    reply: {body: {referenceId: 1}}
    events: [{after: 50ms, channel: /c, data: {referenceId: 1, x: 1}}]
  - name: other
    as: b
    request: {method: POST, path: /other}
    reply: {body: {referenceId: 2}}
    events: [{channel: /c, data: {referenceId: 2, x: 2}}]
"""

    def played(text: str) -> FakeRun:
        run = start_run(text, patience_seconds=1).connects("a").connects("b").replies(0, {"referenceId": 9})
        for session in receivers:
            run.notifies({"referenceId": 9, "x": 1}, "/c", session)
        return run.at(5).connects("b").replies(1, {"referenceId": 8}).notifies({"referenceId": 8, "x": 2}, "/c", "b")

    new = proposal(played(text))
    assert ["# verify:" in line for line in new.splitlines() if "deliver: b" in line].count(False) == 1
    assert played(new.partition("cometreel: 1\n")[2]).lines() == []
