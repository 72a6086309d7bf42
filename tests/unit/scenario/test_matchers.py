"""Matchers: agreements, differences, captures and representation."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario.matchers import MISSING, Difference, MatchContext, Missing, matcher, shortened
from cometreel.scenario.yaml_reader import read_yaml

ANY_KIND: list[tuple[str, list[object], list[object]]] = [
    ("string", ["", "x"], [1, None, True, [], {}]),
    ("number", [1, 1.5, -0.0], ["1", True, None]),
    ("integer", [1, 2.0, 10**30], [1.5, True, "1"]),
    ("boolean", [True, False], [0, 1, "true", None]),
    ("object", [{}, {"a": 1}], [[], "x"]),
    ("array", [[], [1]], [{}, "x"]),
    ("null", [None], [0, "", False, {}]),
    ("anything", [None, 0, "", [], {}], [MISSING]),
]


def compared(pattern: JSON, found: JSON | Missing, **bound: JSON) -> MatchContext:
    made = MatchContext(bound)
    matcher(pattern).compare(found, "", made)
    return made


@pytest.mark.parametrize(
    ("kind", "found", "fits"),
    [(kind, one, fits) for kind, yes, no in ANY_KIND for fits, all_ in ((True, yes), (False, no)) for one in all_],
)
def test_any(kind: str, found: JSON | Missing, fits: bool) -> None:
    assert (not compared({"$any": kind}, found).differences) is fits


@pytest.mark.parametrize(
    ("pattern", "found", "differences"),
    [
        (1, 1, []),
        (1, 1.0, []),
        (1, True, [Difference("", "1", "true")]),
        (True, 1, [Difference("", "true", "1")]),
        ("1", 1, [Difference("", '"1"', "1")]),
        (None, MISSING, [Difference("", "null", "nothing")]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"a": 1, "c/d": 2}, [Difference("/c~1d", "nothing", "2")]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, [Difference("/a/b", "x", '"y"')]),
        ({"a": 1}, {}, [Difference("/a", "1", "nothing")]),
        ({"a": 1}, [1], [Difference("", "{a: 1}", "[1]")]),
        ([1, 2], [1], [Difference("/1", "2", "nothing")]),
        ([1], [1, 3], [Difference("/1", "nothing", "3")]),
        (
            [1, {"$any": "string"}],
            [1, 2, 3],
            [Difference("/1", "{$any: string}", "2"), Difference("/2", "nothing", "3")],
        ),
        ({"$partial": {"a": 1}}, {"a": 1, "b": 2}, []),
        ({"$partial": {"a": {"b": 1}}}, {"a": {"b": 1, "c": 2}}, [Difference("/a/c", "nothing", "2")]),
        ({"$partial": {"a": 1}}, "x", [Difference("", "{$partial: {a: 1}}", "x")]),
        ({"$regex": "^Place\\d+$"}, "Place12", []),
        ({"$regex": "^Place\\d+$"}, "Place", [Difference("", "{$regex: ^Place\\d+$}", "Place")]),
        ({"$regex": "1"}, 1, [Difference("", '{$regex: "1"}', "1")]),
        ({"$one-of": ["a", {"$any": "number"}]}, 7, []),
        ({"$one-of": ["a", {"$any": "number"}]}, "b", [Difference("", "{$one-of: [a, {$any: number}]}", "b")]),
        ({"$csv": ["a", {"$any": "string"}]}, "a,b", []),
        ({"$csv": ["a"]}, "a,b", [Difference("/1", "nothing", "b")]),
        ({"$$any": "string"}, {"$any": "string"}, []),
        ({"$$any": "string"}, {"$any": "x"}, [Difference("/$any", "string", "x")]),
    ],
    ids=lambda value: "nothing" if value is MISSING else repr(value),
)
def test_compare(pattern: JSON, found: JSON | Missing, differences: list[Difference]) -> None:
    """Equality is JSON's: typed, exact unless $partial; differences are reported at the member or item."""
    expected = [Difference(one.where, one.expected, one.found.strip('"')) for one in differences]
    seen = [Difference(one.where, one.expected, one.found.strip('"')) for one in compared(pattern, found).differences]
    assert seen == expected


def test_captures_are_stored_for_the_exchange_or_for_the_session() -> None:
    pattern: JSON = {"id": {"$capture": "id"}, "user": {"$capture": "session.user"}, "p": {"$regex": "(?P<n>\\d+)"}}
    made = compared(pattern, {"id": 5, "user": {"name": "x"}, "p": "Place12"})
    assert made.captures == {"id": 5, "n": "12"}
    assert made.session_captures == {"user": {"name": "x"}}
    assert made.agreed == ["/id", "/user", "/p"]


def test_only_the_alternative_that_matches_captures() -> None:
    pattern: JSON = {"$one-of": [{"a": {"$capture": "x"}, "b": 1}, {"a": {"$capture": "y"}, "b": 2}]}
    made = compared(pattern, {"a": 7, "b": 2})
    assert (made.captures, made.differences) == ({"y": 7}, [])


def test_an_alternative_that_matches_binds_ids_and_captures_for_the_session() -> None:
    made = compared(
        {"$one-of": ["x", {"a": {"$id": "place-1"}, "b": {"$capture": "session.user"}}]}, {"a": "P", "b": 7}
    )
    assert (made.ids, made.session_captures, made.captures) == ({"place-1": "P"}, {"user": 7}, {})


@pytest.mark.parametrize("second", [{"$id": "place-1"}, {"$one-of": [{"$id": "place-1"}, "x"]}])
def test_an_id_has_one_value_in_a_request(second: JSON) -> None:
    pattern: JSON = {"a": {"$id": "place-1"}, "b": second}
    assert compared(pattern, {"a": "P", "b": "P"}).differences == []
    assert [one.where for one in compared(pattern, {"a": "P", "b": "Q"}).differences] == ["/b"]


def test_a_missing_value_is_not_captured() -> None:
    made = compared({"a": {"$capture": "x"}}, {})
    assert (made.captures, made.differences) == ({}, [Difference("/a", "{$capture: x}", "nothing")])


@pytest.mark.parametrize(("length", "cut"), [(199, False), (200, False), (201, True)])
def test_only_a_long_text_is_shortened(length: int, cut: bool) -> None:
    assert shortened("x" * length) == "x" * min(length, 200) + "…" * cut


@pytest.mark.parametrize(
    ("bound", "found", "ids", "difference"),
    [
        ({}, "Place1", {"place-1": "Place1"}, None),
        ({"place-1": "Place1"}, "Place1", {}, None),
        ({"place-1": "Place1"}, "Place2", {}, ("{$id: place-1}, which is Place1 in this session", "Place2")),
        ({"place-2": "Place1"}, "Place1", {}, ("{$id: place-1}", "Place1, which is {$id: place-2} in this session")),
        ({}, None, {}, ("{$id: place-1}", "null")),
        ({}, True, {}, ("{$id: place-1}", "true")),
    ],
)
def test_an_id_is_bound_once_and_different_ids_have_different_values(
    bound: dict[str, JSON], found: JSON, ids: dict[str, JSON], difference: tuple[str, str] | None
) -> None:
    made = MatchContext(bound)
    matcher({"$id": "place-1"}).compare(found, "/owner", made)
    assert made.ids == ids
    assert made.differences == ([Difference("/owner", *difference)] if difference else [])


@pytest.mark.parametrize(
    "pattern",
    [
        "Place1",
        {"a": 1, "b": [True, None, {"$any": "string"}]},
        {"$partial": {"a": {"$id": "x"}, "$$b": 1}},
        {"$one-of": ["a", {"$regex": "^a: b$"}]},
        {"$capture": "session.user"},
        {"$csv": [{"$id": "w-1"}, "x"]},
    ],
)
def test_the_repr_of_a_matcher_is_its_yaml(pattern: JSON) -> None:
    assert read_yaml(repr(matcher(pattern)), "f").value == pattern


def test_fifty_differences_are_enough() -> None:
    members: JSON = {str(number): number for number in range(60)}
    assert len(compared({}, members).differences) == 50
    assert len(compared([], [*range(60)]).differences) == 50
