"""Data files: `{$file: …}` in requests, replies and events; their errors; edits; writing them back."""

from __future__ import annotations

import base64
import copy
import os
from pathlib import Path

import pytest

from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON
from cometreel.scenario import (
    CompiledScenario,
    Match,
    PublishReplySpec,
    RenderContext,
    ReplySpec,
    TemplateFailed,
    User,
    dump,
    load,
    loads,
    parse,
)
from cometreel.scenario.data_files import named_files
from cometreel.scenario.files import as_written
from cometreel.wire import Request

HEAD = "cometreel: 1\nexchanges:\n  - name: one\n"
ASK = f"{HEAD}    request: {{method: POST, path: /x}}\n"


def write(folder: Path, text: str, **files: str | bytes) -> Path:
    """Write `a.yaml` and its data files; `__` in a name is a slash, `_` a dot."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "a.yaml").write_text(text)
    return folder / "a.yaml"


def sent(scenario: CompiledScenario, user: str | None = None) -> tuple[JSON, bytes | None, list[JSON]]:
    """Return the body, the content and the event data of the first exchange."""
    exchange = scenario.exchanges[0]
    context = RenderContext(scenario.normalize_request(Request(1, "POST", "/x")), user=User(user))
    assert isinstance(exchange.reply, ReplySpec)
    reply = exchange.reply.render(context)
    return reply.body, reply.content, [event.render(context).message["data"] for event in exchange.events]


def problems(path: Path) -> list[str]:
    with pytest.raises(FileInvalid) as caught:
        load(path)
    return str(caught.value).replace(f"{path.parent}/", "").split("\n")


def test_bodies_and_data_come_from_files_beside_the_scenario(tmp_path: Path) -> None:
    text = f"{ASK}    reply: {{body: {{$file: a/body.json}}}}\n"
    text += "    events: [{channel: /c, data: {$file: a/data.json}}]\n"
    path = write(tmp_path, text, a__body_json='{"user": "kate", "rate": 1.50}', a__data_json="[1, 2]")
    assert sent(load(path)) == ({"user": "kate", "rate": 1.5}, None, [[1, 2]])


def test_a_file_can_be_a_part_of_a_body_and_contain_markers(tmp_path: Path) -> None:
    text = f"{ASK}    reply: {{body: {{code: 0, users: [{{$file: kate.json}}]}}}}\n"
    path = write(tmp_path, text, kate_json='{"name": {"$t": "{{ user.name }}"}, "$$t": 1}')
    assert sent(load(path), "kate")[0] == {"code": 0, "users": [{"name": "kate", "$t": 1}]}


def test_text_and_base64_are_the_file_itself_without_markers(tmp_path: Path) -> None:
    page = write(tmp_path, f"{ASK}    reply: {{text: {{$file: page.html}}}}\n", page_html="<p>\r\n{$t}</p>")
    assert sent(load(page))[1] == b"<p>\r\n{$t}</p>"
    logo = write(tmp_path, f"{ASK}    reply: {{base64: {{$file: logo.png}}}}\n", logo_png=b"\x89PNG\xff")
    assert sent(load(logo))[1] == b"\x89PNG\xff"
    verbatim = write(tmp_path, f"{ASK}    reply: {{text: {{$file: b.json}}}}\n", b_json='{"$t": "kept"}')
    assert sent(load(verbatim))[1] == b'{"$t": "kept"}'


@pytest.mark.parametrize(
    ("request_block", "content", "body"),
    [
        ("body: {$file: q.json}", '{"a": {"$any": "integer"}}', b'{"a": 5}'),
        ("body: {$partial: {$file: q.json}}", '{"a": 5}', b'{"a": 5, "b": 6}'),
        ("body: {$one-of: [1, {$file: q.json}]}", '{"a": 5}', b'{"a": 5}'),
        ("form: {$file: q.json}", '{"a": "5"}', b"a=5"),
        ("text: {$file: q.json}", "plain <text>", b"plain <text>"),
        ("base64: {$file: q.json}", "\x00\x01", b"\x00\x01"),
    ],
)
def test_requests_are_compared_with_the_content(tmp_path: Path, request_block: str, content: str, body: bytes) -> None:
    path = write(tmp_path, f"{HEAD}    request: {{method: POST, path: /x, {request_block}}}\n", q_json=content)
    scenario = load(path)
    assert isinstance(
        scenario.exchanges[0].match(scenario.normalize_request(Request(1, "POST", "/x", body=body)), {}), Match
    )
    other = scenario.normalize_request(Request(1, "POST", "/x", body=b"other"))
    assert not isinstance(scenario.exchanges[0].match(other, {}), Match)


def test_publishes_timelines_and_faults_use_files_too(tmp_path: Path) -> None:
    text = (
        f"{HEAD}    request: {{publish: /chat, data: {{$file: d.json}}}}\n    reply: {{data: {{$file: d.json}}}}\n"
        "timeline: [{channel: /c, data: {$file: d.json}}]\nfaults: [{exchange: one, delay: 1s}]\n"
    )
    scenario = load(write(tmp_path, text, d_json='{"text": "hello"}'))
    publish = scenario.normalize_publish({"channel": "/chat", "data": {"text": "hello"}})
    assert isinstance(scenario.exchanges[0].match(publish, {}), Match)
    reply = scenario.exchanges[0].reply
    assert isinstance(reply, PublishReplySpec)
    assert reply.render(RenderContext(publish)).members == {"data": {"text": "hello"}}
    assert scenario.timeline[0].event.render(RenderContext(publish)).message["data"] == {"text": "hello"}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a/none.json", "the data file a/none.json doesn't exist; expected {path} (looked for a/none.json)"),
        ("../secret.json", "the data file '../secret.json' is outside of the folder of the scenario; expected {path}"),
        ("a/../../x.json", "the data file 'a/../../x.json' is outside of the folder of the scenario; expected {path}"),
        ("/etc/passwd", "the data file '/etc/passwd' is outside of the folder of the scenario; expected {path}"),
        ("link.json", "the data file 'link.json' is outside of the folder of the scenario; expected {path}"),
        ("a", "the data file a can't be read: Is a directory; expected a readable file"),
        ("pipe", "the data file pipe isn't a regular file, but a pipe or a device; expected {path}"),
        ("5", "$file isn't text; expected {path}"),
        ("''", "the data file '' is outside of the folder of the scenario; expected {path}"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "secret.json").write_text("{}")
    folder = tmp_path / "scenarios"
    (folder / "a").mkdir(parents=True)
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    os.mkfifo(folder / "pipe")
    path = write(folder, f"{ASK}    reply: {{body: {{$file: {name}}}}}\n")
    expected = "the path of a file in the folder of the scenario, for example desktop/body-1.json"
    assert problems(path) == [f"a.yaml:5:27: {problem.format(path=expected)}"]


@pytest.mark.parametrize(
    ("key", "content", "problem"),
    [
        (
            "body",
            b'{\n  "a": }',
            (
                "b.json:2:8: the data file b.json isn't JSON: Expecting value; expected one JSON value (write "
                "`text: {$file: …}` for text in another format, `base64: {$file: …}` for any bytes; used in "
                "a.yaml:5:27)"
            ),
        ),
        (
            "text",
            b"one\n\xff",
            (
                "b.json:2:1: the data file b.json isn't UTF-8 text; expected UTF-8 text (write `base64: {$file: …}` "
                "for any bytes; used in a.yaml:5:27)"
            ),
        ),
        (
            "body",
            b"[" * 95 + b"]" * 95,
            "a.yaml:5:27: the data file b.json is nested more than 90 levels deep; expected fewer levels",
        ),
        (
            "body",
            b'{\n  "a": {"$tt": "x"}}',
            "b.json:2:9: unknown marker $tt; expected one of $csv, $entries, $id, $t (did you mean '$t'?)",
        ),
        ("body", b'{"$file": "c.json"}', None),
    ],
)
def test_an_error_in_a_file_has_its_position(tmp_path: Path, key: str, content: bytes, problem: str | None) -> None:
    path = write(tmp_path, f"{ASK}    reply: {{{key}: {{$file: b.json}}}}\n", b_json=content)
    found = problems(path)
    if problem is None:
        assert len(found) == 1
        assert "$file isn't possible here: the text 'c.json'" in found[0]
    else:
        assert found == [problem]


def test_a_template_that_fails_names_its_line_in_the_data_file(tmp_path: Path) -> None:
    path = write(
        tmp_path, f"{ASK}    reply: {{body: {{$file: b.json}}}}\n", b_json='{\n  "a": {"$t": "{{ 1 / 0 }}"}\n}'
    )
    with pytest.raises(TemplateFailed) as caught:
        sent(load(path))
    assert "b.json:2:" in str(caught.value)


@pytest.mark.parametrize(
    "place", ["query: {a: {$file: b.json}}", "headers: {A: {$file: b.json}}", "path: {$file: b.json}"]
)
def test_other_keys_cannot_be_in_a_file(tmp_path: Path, place: str) -> None:
    fields = place if place.startswith("path") else f"path: /x, {place}"
    path = write(tmp_path, f"{HEAD}    request: {{method: GET, {fields}}}\n", b_json='"x"')
    assert "$file isn't possible here" in problems(path)[0]


def test_a_scenario_without_a_folder_has_no_data_files() -> None:
    with pytest.raises(FileInvalid, match=r"b\.json can't be found: this scenario is text without a folder"):
        loads(f"{ASK}    reply: {{body: {{$file: b.json}}}}\n")


def test_an_escaped_key_is_no_marker(tmp_path: Path) -> None:
    assert sent(load(write(tmp_path, f"{ASK}    reply: {{body: {{$$file: b.json}}}}\n")))[0] == {"$file": "b.json"}


def test_the_keys_of_wiremock_get_a_hint(tmp_path: Path) -> None:
    path = write(tmp_path, f"{ASK}    reply: {{bodyFileName: b.json}}\n")
    assert "(write `body: {$file: NAME}`, `text: {$file: NAME}` or `base64: {$file: NAME}`)" in problems(path)[0]


def test_a_file_is_written_back_with_its_markers_unless_a_value_was_changed(tmp_path: Path) -> None:
    text = """# yaml-language-server: $schema=scenario.schema.json
cometreel: 1

exchanges:
  - name: one
    request:
      method: POST
      path: /x
    reply:
      body: {$file: b.json}
    events:
      - channel: /c
        data:
          a:
            - {$file: b.json}
"""
    path = write(tmp_path, text, b_json='{"a": [1]}')
    file = parse(path)
    assert dump(file) == text
    assert file.exchanges is not None
    changed = copy.deepcopy(as_written(file.exchanges[0]))
    assert dump(type(file).model_validate({"exchanges": [changed]})) == text, "a copy is still the content of the file"
    changed["reply"]["body"]["a"].append(2)  # type: ignore[index,call-overload,union-attr]  # the blocks above
    assert "$file" not in dump(type(file).model_validate({"exchanges": [changed]})).partition("events")[0]


def test_the_named_files_are_found_in_each_way_of_writing(tmp_path: Path) -> None:
    text = 'a: {$file: b.json}\nb:\n  $file: \'c d.json\'\nc: {"$file": "e.json"}\nd: {$file: ../f.json}\n'
    assert [path.name for path in named_files(write(tmp_path, text))] == ["b.json", "c d.json", "e.json"]


def test_base64_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, f"{ASK}    reply: {{base64: {{$file: l.bin}}}}\n", l_bin=b"\xfb\xff")
    exchange = (parse(path).exchanges or [])[0]
    assert exchange.reply is not None
    assert exchange.reply.base64 == base64.b64encode(b"\xfb\xff").decode()
