"""JSON Schemas of values and patterns, and of several values together."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.traffic.openapi_summary import join_shapes, shape_of

TEXT: JSONObject = {"type": "string"}
WHOLE: JSONObject = {"type": "integer"}

SHAPES: list[tuple[JSON, JSONObject]] = [
    (None, {"type": "null"}),
    (True, {"type": "boolean"}),
    (1, WHOLE),
    (1.5, {"type": "number"}),
    ("a", TEXT),
    ([], {"type": "array"}),
    ([1, 2], {"type": "array", "items": WHOLE}),
    ([1, "a"], {"type": "array", "items": {"anyOf": [WHOLE, TEXT]}}),
    ({"b": 1, "a": "x"}, {"type": "object", "properties": {"b": WHOLE, "a": TEXT}, "required": ["a", "b"]}),
    ({"$any": "string"}, TEXT),
    ({"$any": "anything"}, {}),
    ({"$regex": "^a"}, {"type": "string", "pattern": "^a"}),
    ({"$one-of": ["a", 1]}, {"anyOf": [TEXT, WHOLE]}),
    ({"$partial": {"a": 1}}, {"type": "object", "properties": {"a": WHOLE}, "required": ["a"]}),
    ({"$csv": ["a"]}, TEXT),
    ({"$entries": []}, {"type": "object"}),
    ({"$t": "{{ uuid() }}"}, {}),
]


@pytest.mark.parametrize(("value", "shape"), SHAPES, ids=[str(value) for value, _ in SHAPES])
def test_a_value_shows_a_shape(value: JSON, shape: JSONObject):
    assert shape_of(value) == shape


VALUES: list[tuple[JSON, JSON]] = [
    ({"a": 1}, {"a": 1, "b": "x"}),
    ({"a": 1}, {"a": None}),
    ([1], [1.5]),
    ([], [{"a": 1}]),
    (1, 1.5),
    ("a", {"a": 1}),
    ({"a": {"b": [1]}}, {"a": {"b": ["x"]}}),
]


@pytest.mark.parametrize(("one", "other"), VALUES)
def test_both_values_fit_what_they_show_together(one: JSON, other: JSON):
    schema = join_shapes(shape_of(one), shape_of(other))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert [*validator.iter_errors(one), *validator.iter_errors(other)] == []


def test_what_only_one_has_is_not_required():
    assert join_shapes(shape_of({"a": 1}), shape_of({"a": 2, "b": 1}))["required"] == ["a"]


def test_the_same_again_adds_nothing():
    assert join_shapes(join_shapes(TEXT, WHOLE), TEXT) == {"anyOf": [TEXT, WHOLE]}
