"""Changes of values in the text of a YAML file: what differs is replaced, comments and formatting elsewhere stay."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.yaml_editing import ItemChange, edit_items
from cometreel.scenario.yaml_reader import read_yaml
from cometreel.scenario.yaml_writer import block, inline

TEXT = """\
# head
exchanges: # list
  # first
  - name: a # its name
    body: {n: 1, m: [1, 2]} # flow
  # second
  - name: b

    tags: # block
      # x
      - x # after x
      - y
      # z
      - z
    nested:
      one: |
        text
        more
      # two
      two: 2 # after two
# end
"""
A: JSONObject = {"name": "a", "body": {"n": 1, "m": [1, 2]}}
NESTED: JSONObject = {"one": "text\nmore\n", "two": 2}
B: JSONObject = {"name": "b", "tags": ["x", "y", "z"], "nested": {**NESTED}}


def changed(number: int, new: JSON, text: str = TEXT) -> list[str]:
    """Return the lines that differ, `-` and `+`."""
    old = (A, B)[number]
    before, after = text.splitlines(), edit_items(text, "exchanges", {number: ItemChange(old, new)}).splitlines()
    return [f"-{line}" for line in before if line not in after] + [f"+{line}" for line in after if line not in before]


CHANGES: list[tuple[int, dict[str, Any], list[str]]] = [
    (0, {**A, "name": "c"}, ["-  - name: a # its name", "+  - name: c # its name"]),
    (
        0,
        {**A, "body": {"n": 1, "m": [1, 3, 2]}},
        ["-    body: {n: 1, m: [1, 2]} # flow", "+    body: {n: 1, m: [1, 3, 2]} # flow"],
    ),
    (
        0,
        {**A, "body": {"m": [1, 2]}},
        ["-    body: {n: 1, m: [1, 2]} # flow", "+    body: {m: [1, 2]} # flow"],
    ),
    (
        0,
        {**A, "body": {"k": 1, "m": [1, 2]}},
        ["-    body: {n: 1, m: [1, 2]} # flow", "+    body: {k: 1, m: [1, 2]} # flow"],
    ),
    (
        0,
        {**A, "body": {"n": 1, "m": [1, 2], "k": {"j": "a: b"}}},
        ["-    body: {n: 1, m: [1, 2]} # flow", '+    body: {n: 1, m: [1, 2], k: {j: "a: b"}} # flow'],
    ),
    (0, {**A, "body": None}, ["-    body: {n: 1, m: [1, 2]} # flow", "+    body: null # flow"]),
    (1, {**B, "tags": ["x", "z"]}, ["-      - y"]),
    (1, {**B, "tags": ["x", "y"]}, ["-      # z", "-      - z"]),
    (1, {**B, "tags": ["w", "x", "y", "z"]}, ["+      - w"]),
    (1, {**B, "tags": ["x", {"k": 1, "j": 2}, "y", "z"]}, ["+      - k: 1", "+        j: 2"]),
    (1, {**B, "nested": {"two": 2}}, ["-      one: |", "-        text", "-        more"]),
    (1, {**B, "nested": {**NESTED, "three": [3]}}, ["+      three:", "+        - 3"]),
    (
        1,
        {**B, "nested": {"one": "text", "two": 2}},
        ["-      one: |", "-        text", "-        more", "+      one: text"],
    ),
]


@pytest.mark.parametrize(("number", "new", "lines"), CHANGES)
def test_only_what_differs_is_replaced(number: int, new: JSON, lines: list[str]) -> None:
    assert changed(number, new) == lines


def test_comments_are_written_above_the_item() -> None:
    changes = {0: ItemChange(A, A, ["one", "two"]), 1: ItemChange(B, B, ["three"])}
    new = edit_items(TEXT, "exchanges", changes)
    assert new.splitlines()[2:6] == ["  # first", "  # one", "  # two", "  - name: a # its name"]
    assert new.splitlines()[7:10] == ["  # second", "  # three", "  - name: b"]


def test_comments_in_a_list_on_one_line_are_written_on_their_own_lines() -> None:
    new = edit_items("exchanges: [{n: 1}, {n: 2}]", "exchanges", {1: ItemChange({"n": 2}, {"n": 3}, ["why"])})
    assert new == "exchanges: [{n: 1}, \n    # why\n    {n: 3}]"


def test_line_ends_stay() -> None:
    text = "exchanges:\r\n- n: 1\r\n  m: 2\r\n"
    change = ItemChange({"n": 1, "m": 2}, {"n": 3, "m": 2, "k": 4}, ["why"])
    assert edit_items(text, "exchanges", {0: change}) == "exchanges:\r\n# why\r\n- n: 3\r\n  m: 2\r\n  k: 4\r\n"


@pytest.mark.parametrize("text", ["exchanges: 1", "other: [1]", "[]", "exchanges: []"])
def test_a_file_without_the_item_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="the file has no list 'exchanges' with these items"):
        edit_items(text, "exchanges", {0: ItemChange(1, 2)})


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "a", "b: c", "# d", "e\nf\n", "'\"", "- g", "ö"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["k", "l", "m", "n: o", "$p", "#q"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(old=VALUES, new=VALUES, flow=st.booleans())
def test_the_result_has_the_new_value(old: JSON, new: JSON, *, flow: bool) -> None:
    document: JSON = {"exchanges": [{"first": 1}, {"value": old}, {"last": 1}]}
    text = inline(document) if flow else "\n".join(block(document)) + "\n"
    change = ItemChange({"value": old}, {"value": new}, ["why"])
    result = edit_items(text, "exchanges", {1: change})
    assert read_yaml(result, "s.yaml").value == {"exchanges": [{"first": 1}, {"value": new}, {"last": 1}]}
    assert "# why" in result
