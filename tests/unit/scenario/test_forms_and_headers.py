"""`form:` of requests and `reply_headers:` of files: reading, matching, near misses, and the tools that know them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cometreel.engine.request_journal import Call
from cometreel.engine.stub_suggestion import suggest_stub
from cometreel.errors import FileInvalid
from cometreel.lint import lint
from cometreel.recording.extending import extend_scenario
from cometreel.scenario import (
    CompiledScenario,
    Match,
    Mismatch,
    RenderContext,
    ReplySpec,
    ScenarioBlock,
    dump,
    load,
    loads,
    parse,
)
from cometreel.scenario.model import PublishBlock, RequestBlock
from cometreel.scenario.normalized_request import form_of
from cometreel.scenario.sources import read_source
from cometreel.show.scenario_reader import conversation_of_scenario
from cometreel.traffic.examples import example_request
from cometreel.traffic.openapi_summary import openapi_summary
from cometreel.verify.expected_values import SessionVariables
from cometreel.verify.request_building import BuiltRequest, build_request
from cometreel.wire import Request

LOGIN = """\
cometreel: 1
reply_headers: {Cache-Control: no-store, X-Base: {$t: "{{ request.base }}"}}
exchanges:
  - name: log in
    request: {method: POST, path: /login, form: {grant_type: password, user: {$any: string}, tag: [a, b], $$x: ""}}
    reply: {headers: {cache-control: private, ETag: '"1"'}, body: {n: 1}}
  - name: log out
    request: {method: POST, path: /login, form: {grant_type: none}}
  - name: plain
    request: {method: GET, path: /plain}
    reply: {headers: {X-Base: null}, text: x}
"""


def posted(scenario: CompiledScenario, body: bytes) -> list[str]:
    """Return the names of the exchanges that match a POST with this body."""
    request = scenario.normalize_request(Request(1, "POST", "/login", body=body))
    groups = scenario.index.groups(request)
    return [group.exchanges[0].name for group in groups if isinstance(group.match(request, {}), Match)]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"grant_type=password&user=kate&tag=a&tag=b&%24x=", ["log in"]),
        (b"tag=a&%24x=&user=a%20b&tag=b&grant_type=password", ["log in"]),
        (b"grant_type=password&user=kate&tag=b&tag=a&%24x=", []),
        (b"grant_type=password&user=kate&tag=a&%24x=", []),
        (b"grant_type=password&user=kate&tag=a&tag=b&%24x=&more=1", []),
        (b"grant_type=none", ["log out"]),
        (b'{"grant_type":"none"}', []),
        (b"", []),
        (b"\xff=\xfe", []),
    ],
)
def test_a_form_matches_in_any_order_with_repeated_fields(body: bytes, names: list[str]) -> None:
    assert posted(loads(LOGIN), body) == names


def test_a_form_is_decoded_as_utf_8_else_as_latin_1() -> None:
    assert form_of("name=Jörg&a=%C3%A4".encode()) == {"name": "Jörg", "a": "ä"}
    assert form_of("name=Jörg".encode("latin-1")) == {"name": "Jörg"}


def test_a_near_miss_names_the_fields_and_hides_secrets() -> None:
    text = "cometreel: 1\nexchanges:\n  - {name: a, request: {method: POST, path: /x, form: {op: go, password: p}}}\n"
    scenario = loads(text)
    request = scenario.normalize_request(Request(1, "POST", "/x", body=b"op=stop&password=hunter2&user=kate"))
    found = scenario.exchanges[0].match(request, {})
    assert isinstance(found, Mismatch)
    shown = {difference.where: difference.found for difference in found.differences}
    assert shown == {"/form/op": "stop", "/form/password": "[hidden]", "/form/user": "[hidden]"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("form: {a: 1}", "the number 1; expected text (quote it: query values are text)"),
        ("form: [a]", "a list; expected a mapping of names to texts"),
        ("form: {a: b}, body: 1", "form can't be combined with body; expected one of body, form, text, base64"),
    ],
)
def test_an_invalid_form_is_a_problem_with_its_position(text: str, problem: str) -> None:
    with pytest.raises(FileInvalid) as error:
        loads(f"cometreel: 1\nexchanges:\n  - {{name: a, request: {{method: POST, path: /x, {text}}}}}\n", "f.yaml")
    assert str(error.value).startswith("f.yaml:3:")
    assert problem in str(error.value)


def fields(scenario: CompiledScenario) -> dict[str, list[tuple[str, str]]]:
    """Return the header fields of each reply."""
    request = scenario.normalize_request(Request(1, "GET", "/"))
    context = RenderContext(request, base="http://replay:1")
    return {
        each.name: [*each.reply.render(context).headers]
        for each in scenario.exchanges
        if isinstance(each.reply, ReplySpec)
    }


def test_header_fields_of_all_replies_can_be_replaced_or_left_out() -> None:
    assert fields(loads(LOGIN)) == {
        "log in": [("cache-control", "private"), ("ETag", '"1"'), ("X-Base", "http://replay:1")],
        "log out": [("Cache-Control", "no-store"), ("X-Base", "http://replay:1")],
        "plain": [("Cache-Control", "no-store")],
    }


def test_they_apply_to_the_replies_of_their_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(
            f"cometreel: 1\nreply_headers: {{X-File: {name}}}\n"
            f"exchanges:\n  - {{name: {name}, request: {{method: GET, path: /{name}}}}}\n"
        )
    assert fields(load(tmp_path)) == {"a": [("X-File", "a")], "b": [("X-File", "b")]}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{X: 1}", "f.yaml:2:20: the number 1; expected text or a template"),
        ("{X: null}", "f.yaml:2:20: nothing (null); expected text or a template"),
        ('{"a b": x}', "f.yaml:2:17: the text 'a b'; expected the name of a header field"),
        ("{X: {$t: '{{ nothing }}'}}", "f.yaml:2:25: the template '{{ nothing }}' uses the undefined name 'nothing'"),
        ("{X: {$id: a-1}}", "f.yaml:2:26: no request binds {$id: a-1}"),
    ],
)
def test_invalid_header_fields_are_problems_with_their_position(written: str, problem: str) -> None:
    with pytest.raises(FileInvalid) as error:
        loads(f"cometreel: 1\nreply_headers: {written}\n", "f.yaml")
    assert problem in str(error.value)


def test_the_tools_know_forms_and_header_fields(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(LOGIN)
    assert dump(parse(file)) == dump(parse(file))
    shown = conversation_of_scenario(file).exchanges
    assert shown[0].request == {"grant_type": "password", "user": {"$any": "string"}, "tag": ["a", "b"], "$$x": ""}
    assert shown[0].headers == {"cache-control": "private", "ETag": '"1"', "X-Base": {"$t": "{{ request.base }}"}}
    assert shown[2].headers == {"Cache-Control": "no-store"}
    summary, _ = openapi_summary(file)
    paths: Any = summary["paths"]
    login = paths["/login"]["post"]
    content = login["requestBody"]["content"]
    assert list(content) == ["application/x-www-form-urlencoded"]
    responses = login["responses"]["200"]["headers"]
    assert sorted(responses) == ["Cache-Control", "ETag", "X-Base", "cache-control"]
    _, _, headers, body = example_request(parse(file).exchanges[0].request)  # type: ignore[index,arg-type]  # it has one
    assert posted(loads(LOGIN), body) == ["log in"]
    assert ("Content-Type", "application/x-www-form-urlencoded") in headers


def test_verify_sends_a_form() -> None:
    block = parse_request("{method: POST, path: /x, form: {a: [b, 'c d'], $$e: ''}}")
    built = build_request(block, SessionVariables({}))
    assert isinstance(built, BuiltRequest)
    assert built.body == b"a=b&a=c%20d&%24e="
    assert built.headers == (("Content-Type", "application/x-www-form-urlencoded"),)


def parse_request(text: str) -> RequestBlock | PublishBlock:
    """Return the block of a request."""
    source = read_source(f"cometreel: 1\nexchanges:\n  - {{name: a, request: {text}}}\n", "f")
    return source.exchanges[0][1].request


def test_a_suggested_exchange_for_a_form_has_its_fields() -> None:
    scenario = loads(LOGIN)
    body = b"grant_type=x&password=hunter2&tag=a&tag=b&name=pin&value=hunter2"
    call = Call(0.0, 1, None, None, "POST", "/login", body, None, "missed", 1, 404, None, "", scenario.profile)
    assert "form:\n" in suggest_stub(call, scenario)
    text = f"cometreel: 1\nexchanges:\n{suggest_stub(call, scenario)}"
    assert "hunter2" not in text
    assert posted(loads(text), body) == ["POST /login"]


def test_lint_finds_a_form_that_another_covers_and_ageing_header_fields(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "cometreel: 1\n"
        "reply_headers: {Last-Modified: 'Mon, 23 Nov 2026 10:00:00 GMT'}\n"
        "exchanges:\n"
        "  - {name: any, request: {method: POST, path: /x, form: {op: {$any: string}}}}\n"
        "  - {name: go, request: {method: POST, path: /x, form: {op: go}}}\n"
    )
    found = {(issue.rule.id, issue.line) for issue in lint(file)}
    assert ("unreachable", 5) in found
    assert ("ageing", 2) in found


def test_exchanges_added_to_a_file_keep_their_own_header_fields() -> None:
    existing = (
        "cometreel: 1\nreply_headers: {a: '1', b: '2'}\nexchanges:\n  - {name: x, request: {method: GET, path: /x}}\n"
    )
    recorded = (
        "cometreel: 1\nreply_headers: {a: '1', c: '3'}\nexchanges:\n  - {name: y, request: {method: GET, path: /y}}\n"
    )
    file = extend_scenario(written(existing), loads(existing), written(recorded))
    assert file is not None
    assert fields(loads(dump(file)))["y"] == [("c", "3"), ("a", "1")]


def written(text: str) -> ScenarioBlock:
    """Return a file as written."""
    return read_source(text, "f").file()
