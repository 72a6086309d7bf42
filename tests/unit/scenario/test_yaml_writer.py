"""Writing YAML that every parser reads in the same way."""

from __future__ import annotations

from typing import TypeAlias

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON, decode, encode
from cometreel.scenario.yaml_reader import read_yaml
from cometreel.scenario.yaml_writer import block, inline

Strategy: TypeAlias = st.SearchStrategy[JSON]

NASTY = [
    *["No", "on", "y", "0123", "12:30:45", "1e3", ".inf", "-.INF", "~", "", "null", "=", "<<", "2026-11-23", "0x1F"],
    *["1_000", "0o7", "+1", "-", "--- a", "...", "?", "? a", "- a", ":", "a: b", "a:", "a #b", "#a", "&a", "*a", "!a"],
    *["|", ">", "%a", "@a", "`a", "'", '"', "\\", "{a", "[a", "a, b", "a]", " a", "a ", "\ta", "a\t", "\n", "a\n"],
    *[
        "a\nb",
        "a\n\nb\n\n",
        "a\n b\n",
        " a\nb",
        "\na",
        "a \nb",
        "a\r\nb",
        "a\x85b",
        "a\u2028b",
        "\ufeffa",
        "\x00",
        "\x1b",
    ],
    *[
        "\x7f",
        "\uffff",
        "😀",
        "Grüße",
        "a" * 3000,
        "word " * 500,
        "{{ ref }}",
        "^Place\\d+$",
        "86164e12",
        "1:2",
        "a\n\tb",
    ],
    *["-1", "1.", ".", "..", "N", "nUlL", "$t", "$$t", "0", "00", "1,000", "x" * 1100, "a\n#b", "a\n---\nb", "true\n"],
]
text: st.SearchStrategy[str] = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]))
scalars: Strategy = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values: Strategy = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20)


def written(value: JSON) -> str:
    return "\n".join(block(value)) + "\n"


@pytest.mark.parametrize("nasty", NASTY)
def test_a_text_is_the_same_for_yaml_11_and_yaml_12_readers(nasty: str) -> None:
    value: JSON = {"key": nasty, nasty: ["x", nasty, {"in": {nasty: nasty}}]}
    assert read_yaml(written(value), "f").value == value
    assert yaml.safe_load(written(value)) == value


@given(st.dictionaries(text, values, min_size=1))
@example({"a": {}, "b": [], "c": [[], [[1]], {}], "d": {"$any": "string"}, "e": {"$partial": {"x": 1}}})
@example({"a": [{"b": [{"c": "x\ny\n"}]}], "d": 1e16, "e": -0.0, "f": 5e-324, "g": 10**30})
def test_any_json_is_read_back_unchanged(value: JSON) -> None:
    """YAML 1.1 readers agree too, so that any tool can read a scenario."""
    assert read_yaml(written(value), "f").value == value
    assert read_yaml(f"- {inline(value)}", "f").value == [value]
    assert yaml.safe_load(written(value)) == value


def test_style() -> None:
    """Block style; markers on one line; long texts in one piece; several lines as a literal block."""
    value: JSON = {
        "name": "stats of place Place1",
        "id": "0123",
        "owner": {"$id": "place-1"},
        "pattern": {"$regex": "^Place\\d+$"},
        "body": {"operationName": "RequestAgentStats", "list": [1, {"a": 1, "b": 2}], "none": []},
        "text": "first\n  second\n",
        "long": "word " * 40 + "end",
    }
    assert written(value).split("\n") == [
        "name: stats of place Place1",
        'id: "0123"',
        "owner: {$id: place-1}",
        "pattern: {$regex: ^Place\\d+$}",
        "body:",
        "  operationName: RequestAgentStats",
        "  list:",
        "    - 1",
        "    - a: 1",
        "      b: 2",
        "  none: []",
        "text: |",
        "  first",
        "    second",
        "long: " + "word " * 40 + "end",
        "",
    ]


@pytest.mark.parametrize(
    "number", ["485690.3866338789319252", "1e-400", "-0", "1.50", "1E5", "1e+16", "1.0e+16", "-2e7"]
)
def test_a_number_is_read_back_with_its_text(number: str) -> None:
    value = decode(f'{{"a":{number},"b":[{number}]}}')
    for text in (written(value), f"x: {inline(value)}"):
        assert f'"a":{number},"b":[{number}]'.encode() in encode(read_yaml(text, "f").value)
