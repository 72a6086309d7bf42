"""Reading exchanges one at a time: the same values, positions and scenarios as reading the whole file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cometreel.errors import FileInvalid
from cometreel.jsonvalue import encode
from cometreel.scenario import CompiledScenario, load, loads
from cometreel.scenario.data_files import lines_of
from cometreel.scenario.exchange_reader import NotSeparable, SeparatedFile, separate
from cometreel.scenario.linking import link, link_separated
from cometreel.scenario.sources import SourceFile, read_source
from cometreel.scenario.yaml_reader import read_yaml

SCENARIOS = sorted(Path(__file__).parents[3].glob("scenarios/*.yaml"))
TEXT = next(path for path in SCENARIOS if path.stem == "request_agent_stats").read_text()

USUAL = """name request reply events method path headers body data channel after status a b-1 x.y "1" """
ODD = """/v2 1 01 true null ~ '1' "2" 'it' $t $any é 1.5 << "$t" ".5" +1 - a:b"""
SCALARS = """
a 1 -1 -0 +7 01 1.50 1e3 1e999 .5 -.inf .nan 0x1F 0o17 true No null ~ - -- --- ... : :a a:b a: #a a#b &x *x !a | 'a' 'a
"a" {} [] ? a? -a -1.5 $a <a> 12:30:45 2026-11-23 (a) ^a$ a\\b = a{b} a] @a %a `a é 'it''s' "a\\n\\"b" "\\x41"
"""
usual = st.sampled_from(USUAL.split())
odd = st.sampled_from([*ODD.split(), '"a b"', "'a: b'", '"a: b"', "'a: c'", "a b"])
words = st.one_of(usual, usual, usual, usual, odd)
scalars = st.sampled_from(
    [
        *SCALARS.split(),
        *["a b", "a  b ", "a: b", "a #b", "a\tb", '"a" b', "'a' #c", "a, b", "? a", "- a", "", " ", "{a: 1}", "[1, 2]"],
        *["{$t: a}", "{ }", "é ü", "a\xa0b", "a\x85b", "a\u2028b", "\U0001f600", "9" * 400, "a\rb", "a\r"],
        *["|\n        x", ">-\n        x\n\n        y", "a\n         b"],
    ]
)
indents = st.sampled_from([0, 1, 2, 3, 4, 4, 6, 6, 6, 8, 8, 10])
lines = st.one_of(
    st.builds(lambda indent, key, value: f"{' ' * indent}{key}: {value}", indents, words, scalars),
    st.builds(lambda indent, key: f"{' ' * indent}{key}:", indents, words),
    st.builds(lambda indent, value: f"{' ' * indent}- {value}", indents, scalars),
    st.builds(lambda indent, key, value: f"{' ' * indent}- {key}: {value}", indents, words, scalars),
    st.sampled_from(["", "  ", "# a", "      # a", "  - name: a", "  - name: b", "---", "...", "timeline:", "\t"]),
)
odd_lines = st.lists(lines, max_size=6).map("\n".join)
some = st.one_of(st.just("a"), st.just("'b'"), scalars)
exchange = st.builds(
    lambda name, inner: "\n".join([f"  - name: {name}", *inner]),
    some,
    st.lists(
        st.one_of(
            st.builds(lambda key, value: f"    {key}: {value}", words, some),
            st.builds(lambda key, name, value: f"    {key}:\n      {name}: {value}", words, words, some),
            st.builds(
                lambda key, name, value: f"    {key}:\n      - {name}: {value}\n        z: 1", words, words, some
            ),
            st.builds(lambda key, value, other: f"    {key}:\n      - {value}\n      - {other}", words, some, some),
            st.builds(lambda key, name, inner: f"    {key}:\n      {name}:\n{inner}", words, words, lines),
            lines,
        ),
        max_size=3,
    ),
)


def separated(text: str) -> SeparatedFile | None:
    try:
        return separate(lines_of([text.encode(errors="surrogatepass")]), "f", None)
    except NotSeparable:
        return None


heads = st.one_of(
    st.sampled_from(["cometreel: 1\n", "---\ntitle: a\n", "", "# a\n"]),
    st.sampled_from(["", "x: &x 1\n", 'title: "a\n', "%TAG ! a:\n---\n"]),
)
tails = st.one_of(
    st.sampled_from(["", "timeline: []\n", "title: a\n", "...\n"]),
    st.sampled_from(["", "x: *x\n", '"\n', "- a\n", "exchanges: []\n"]),
)


@given(heads, st.lists(st.one_of(exchange, exchange, exchange, odd_lines), min_size=1, max_size=3), tails)
@example("", ["  - name: a\n    b: |+\n      c\n\n"], "")
@example("x: &x 1\n", ["  - name: &x a", "  - name: b"], "y: *x\n")
@example("%TAG ! tag:yaml.org,2002:\n---\n", ["  - name: !str a"], "")
@example("", ["  - name: a\n    b: {c: 1,", "  - d: 2}"], "")
@example("", ["  # \x85  - name: b", "  - name: a"], "")
@example("", ["  # \x00", "  - name: a"], "")
@example("", ["  # a\r  - name: b\n  - name: a"], "")
@example("", ["  - name: a\r\n    b: |\r\n      c\r\n\r\n    d: 'e\r\n      f'\r"], "title: a\r\n")
@example("", ["  - name: a\n    'b: c': 1\n    'b: d'", "  - name: a\n    'b: c': 1\n    x:\n      - 'b: d'"], "")
def test_any_exchanges_are_read_as_in_the_whole_file(head: str, exchanges: list[str], tail: str) -> None:
    text = f"{head}exchanges:\n" + "".join(f"{each}\n" for each in exchanges) + tail
    file = separated(text)
    if file is None:
        return
    try:
        found = list(file.exchanges())
    except NotSeparable:
        return
    whole = read_yaml(text, "f")
    assert isinstance(whole.value, dict)
    items = whole.value.pop("exchanges")
    assert isinstance(items, list)
    assert encode([written.value for written in found]) == encode(items)
    assert encode(file.source.document.value) == encode(whole.value)
    for number, written in enumerate(found):
        for path in (
            (),
            ("name",),
            ("reply",),
            ("events",),
            ("events", 0),
            ("events", 1),
            ("request", "path"),
            ("x", 0),
        ):
            assert written.position(path) == SourceFile.position(_source(text), ("exchanges", number, *path))


def _source(text: str) -> SourceFile:
    document = read_yaml(text, "f")
    head = read_source("cometreel: 1\n", "f").head
    return SourceFile(document, head, [], [], [], [])


def facts(scenario: CompiledScenario) -> dict[str, object]:
    """Return everything in a scenario but the index, which is created from the groups."""
    return {field.name: getattr(scenario, field.name) for field in fields(scenario) if field.name != "index"}


def read_as_a_whole(text: str, folder: Path | None = None) -> CompiledScenario:
    return link([read_source(text, "f", folder)])


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(TEXT)),
            st.integers(0, 12),
            st.text(alphabet="\n\t :-{}[]#&*!|>'\"%@`$x1~?,é", max_size=4),
        ),
        max_size=3,
    )
)
def test_any_edit_of_a_shipped_file_gives_the_same_scenario(edits: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for start, length, put in edits:
        text = text[:start] + put + text[start + length :]
    try:
        file = separate(lines_of([text.encode()]), "f", None)
        scenario = link_separated([file])
    except NotSeparable:
        return
    assert facts(scenario) == facts(read_as_a_whole(text))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_each_included_scenario_is_read_one_exchange_at_a_time(path: Path) -> None:
    text = path.read_text()
    file = separate(lines_of([text.encode()]), "f", path.parent)
    assert facts(link_separated([file])) == facts(read_as_a_whole(text, path.parent))


WRITTEN = """
cometreel: 1
reply_headers: {X-A: {$t: "{{ ref }}"}}
exchanges:

  # The first one.
  - name: 'log in'
    as: agent
    request:
      method: GET
      path: /api/v2/me
    reply:
      headers: {X-B: [a, b]}
      body:
        referenceId: 7
        text: |
          a
            b
  - name: "second: one"
    when: {after: log in}
    request: {method: POST, path: /a, body: {place: {$capture: place}}}
    events:
      - channel: /a
        deliver: agent
        data: {$t: "{{ place }}"}
      -   channel: /b
          data: {referenceId: 9}
roles:
  agent: {}
correlation: gws-v2
timeline:
  - since: second
    channel: /c
    data: {referenceId: 12}
faults: []
""".lstrip().replace("since: second", "since: 'second: one'")


def test_blocks_after_the_exchanges_apply_to_them():
    scenario = loads(WRITTEN, "f")
    assert facts(scenario) == facts(link_separated([separate(lines_of([WRITTEN.encode()]), "f", None)]))
    assert facts(scenario) == facts(read_as_a_whole(WRITTEN))
    assert scenario.highest_ref == 12
    assert [(exchange.name, exchange.position.line) for exchange in scenario.exchanges] == [
        ("log in", 6),
        ("second: one", 18),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("as: agent", "as: agnet"),
        ("after: log in", "after: log on"),
        ("deliver: agent", "deliver: agnet"),
        ("{{ place }}", "{{ plaec }}"),
        ("{{ ref }}", "{{ rfe }}"),
        ("'second: one'\n", "'third: one'\n"),
        ('name: "second: one"', "name: log in"),
        ('name: "second: one"', "name: connect"),
        ("method: GET", "methd: GET"),
        ("{referenceId: 9}", "{$id: place}"),
        ("cometreel: 1", "cometreel: 2"),
        ("gws-v2", "gws-v9"),
        ("/api/v2/me", '"a'),
        ("agent: {}", "agent: {x: 1}"),
    ],
)
def test_an_error_is_the_same_as_in_the_whole_file(tmp_path: Path, old: str, new: str) -> None:
    text = WRITTEN.replace(old, new)
    assert text != WRITTEN
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(FileInvalid) as whole:
        link([read_source(text, str(path))])
    with pytest.raises(FileInvalid) as loaded:
        load(path)
    assert loaded.value.problems == whole.value.problems


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_a_text_in_parts_of_any_size_gives_the_same_scenario(size: int) -> None:
    text = WRITTEN.encode()
    parts = lines_of(text[start : start + size] for start in range(0, len(text), size))
    assert b"".join(parts) == text
    assert all(part.endswith(b"\n") for part in parts)
    assert facts(link_separated([separate(parts, "f", None)])) == facts(read_as_a_whole(WRITTEN))


def test_comments_and_line_ends_of_windows_are_read():
    text = WRITTEN.replace("# The first one.", "# Größe: €").replace("\n", "\r\n")
    found = link_separated([separate(lines_of([text.encode()]), "f", None)])
    assert facts(found) == facts(read_as_a_whole(text)) == facts(read_as_a_whole(WRITTEN))


def test_references_between_files(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(
        "cometreel: 1\nexchanges:\n  - name: a\n    as: agent\n    when: {before: b}\n"
        "    request: {method: GET, path: /a}\n"
    )
    second.write_text(
        "cometreel: 1\nexchanges:\n  - name: b\n    request:\n      method: GET\n      path: /b\nroles: {agent: {}}\n"
    )
    scenario = load(tmp_path)
    assert [exchange.name for exchange in scenario.exchanges] == ["a", "b"]
    assert facts(scenario) == facts(link([read_source(path.read_text(), str(path)) for path in (first, second)]))
    second.write_text(second.read_text().replace("name: b", "name: a"))
    with pytest.raises(FileInvalid, match="the name 'a' is used twice"):
        load(tmp_path)
