"""JSON Pointers, with `*` for every member."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario.json_pointer import escape, find, parse_pointer, remove, replace

BODY: JSON = {"ref": 1, "refs": {"a": 2, "b/c": 3}, "list": [{"ref": 4}, {"ref": 5}, "x"]}


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", [("", BODY)]),
        ("/ref", [("/ref", 1)]),
        ("/refs/*", [("/refs/a", 2), ("/refs/b~1c", 3)]),
        ("/list/*/ref", [("/list/0/ref", 4), ("/list/1/ref", 5)]),
        ("/list/1", [("/list/1", {"ref": 5})]),
        ("/list/3", []),
        ("/list/9", []),
        ("/list/²", []),
        ("/ref/deeper", []),
        ("/none", []),
    ],
)
def test_find_returns_every_pointer_and_its_value(pointer: str, found: list[tuple[str, JSON]]) -> None:
    assert find(BODY, pointer) == found


def test_replace_returns_a_new_document() -> None:
    changed = replace(BODY, "/list/*/ref", lambda value: f"was {value}")
    assert find(changed, "/list/*/ref") == [("/list/0/ref", "was 4"), ("/list/1/ref", "was 5")]
    assert find(BODY, "/list/*/ref") == [("/list/0/ref", 4), ("/list/1/ref", 5)]


@pytest.mark.parametrize(
    ("document", "pointer", "left"),
    [
        ({"id": 1, "x": 2}, "/id", {"x": 2}),
        ({"a": {"id": 1, "x": 2}, "b": {"id": 3}}, "/*/id", {"a": {"x": 2}, "b": {}}),
        ([{"id": 1}, {"id": 2}], "/*/id", [{}, {}]),
        ({"a": 1}, "/*", {}),
        ([1, 2], "/0", [1, 2]),
        ({"x": 1}, "/id", {"x": 1}),
        (5, "", 5),
    ],
)
def test_remove_removes_members_and_keeps_items(document: JSON, pointer: str, left: JSON) -> None:
    assert remove(document, pointer) == left


def test_a_pointer_starts_with_a_slash() -> None:
    with pytest.raises(ValueError, match="must start with '/'"):
        parse_pointer("referenceId")


@pytest.mark.parametrize("name", ["a", "a/b", "~", "~1", "", "*"])
def test_an_escaped_name_is_read_back(name: str) -> None:
    assert parse_pointer(f"/{escape(name)}") == (name,)
