"""`cometreel.markers`: a function for each marker of the format."""

from __future__ import annotations

from typing import get_args

import pytest

from cometreel import markers
from cometreel.jsonvalue import JSON
from cometreel.scenario import builders as build
from cometreel.scenario.python_values import Marker, ReplyMarker, RequestMarker
from cometreel.scenario.value_markers import ANY_KINDS, MATCHED, RENDERED

EXAMPLES: dict[str, tuple[Marker, JSON]] = {
    "any": (markers.any("string"), {"$any": "string"}),
    "capture": (markers.capture("session.place"), {"$capture": "session.place"}),
    "csv": (markers.csv("a", markers.any("string")), {"$csv": ["a", {"$any": "string"}]}),
    "entries": (
        markers.entries(("a", 1), (markers.template("{{ ref }}"), None)),
        {"$entries": [["a", 1], [{"$t": "{{ ref }}"}, None]]},
    ),
    "file": (markers.file("a.json"), {"$file": "a.json"}),
    "id": (markers.id("place-1"), {"$id": "place-1"}),
    "one_of": (markers.one_of(1, markers.any("null")), {"$one-of": [1, {"$any": "null"}]}),
    "partial": (markers.partial({"a": markers.regex("b")}), {"$partial": {"a": {"$regex": "b"}}}),
    "regex": (markers.regex("^a$"), {"$regex": "^a$"}),
    "template": (markers.template("{{ ref }}"), {"$t": "{{ ref }}"}),
}


def test_each_marker_of_the_format_has_a_function():
    assert {marker.key for marker, _ in EXAMPLES.values()} == MATCHED | RENDERED | {"$file"}
    assert set(markers.__all__) == {*EXAMPLES, "literal"}


@pytest.mark.parametrize(("marker", "written"), EXAMPLES.values(), ids=list(EXAMPLES))
def test_a_marker_is_written_as_in_yaml(marker: Marker, written: JSON):
    if marker.key == "$file":
        assert (marker.key, marker.argument) == ("$file", "a.json")
    elif isinstance(marker, RequestMarker):
        assert build.post("/", body=[marker]).body == [written]
    else:
        assert isinstance(marker, ReplyMarker)
        assert build.reply([marker]).body == [written]


@pytest.mark.parametrize(("marker", "_"), EXAMPLES.values(), ids=list(EXAMPLES))
def test_the_type_of_a_marker_says_where_it_is_allowed(marker: Marker, _: JSON):
    assert isinstance(marker, RequestMarker) == (marker.key in MATCHED | {"$file"})
    assert isinstance(marker, ReplyMarker) == (marker.key in RENDERED | {"$file"})


def test_any_accepts_the_types_of_the_format():
    assert get_args(markers.KindOfValue) == ANY_KINDS


def test_literal_escapes_keys_that_start_with_a_dollar_sign():
    value = {"$any": ("string", {"$$t": 1}), "a": None}
    assert markers.literal(value) == {"$$any": ["string", {"$$$t": 1}], "a": None}
