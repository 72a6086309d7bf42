"""An example is a value that the pattern accepts; where none can be made up, that is said."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import RequestBlock
from cometreel.scenario.matchers import MatchContext, matcher
from cometreel.traffic.examples import NoExample, example, example_request, needs_example

PATTERNS: list[tuple[JSON, JSON]] = [
    (1, 1),
    ({"a": [1, "x"]}, {"a": [1, "x"]}),
    ({"$any": "string"}, "text"),
    ({"$any": "integer"}, 1),
    ({"$any": "null"}, None),
    ({"$any": "anything"}, "anything"),
    ({"$one-of": ["a", "b"]}, "a"),
    ({"$capture": "place"}, "place"),
    ({"$capture": "session.place"}, "place"),
    ({"$id": "user-1"}, "user-1"),
    ({"$csv": ["a", {"$id": "b"}]}, "a,b"),
    ({"$partial": {"a": {"$any": "boolean"}}}, {"a": True}),
    ({"$$t": "literal"}, {"$t": "literal"}),
    ({"$regex": r"^Place\d+$"}, "Place1"),
    ({"$regex": r"^/api/v2/.*$"}, "/api/v2/"),
]


@pytest.mark.parametrize(("pattern", "made"), PATTERNS, ids=[str(pattern) for pattern, _ in PATTERNS])
def test_a_pattern_accepts_its_example(pattern: JSON, made: JSON):
    assert example(pattern) == made
    trial = MatchContext()
    matcher(pattern).compare(made, "", trial)
    assert trial.differences == []


def test_a_regular_expression_that_is_not_simple_has_none():
    with pytest.raises(NoExample, match=r"no example of \{\$regex: \^\(a\|b\)\{3\}\$\} is known"):
        example({"deep": [{"$regex": "^(a|b){3}$"}]})


def test_a_request_is_spelt_as_a_client_would():
    block = RequestBlock.model_validate(
        {
            "method": "POST",
            "path": ["api", {"$any": "string"}, "a b"],
            "query": {"fields": "*", "id": ["1", "2"]},
            "headers": {"X-A": {"$any": "string"}},
            "body": {"a": 1},
        }
    )
    assert example_request(block) == (
        "/api/text/a%20b",
        "fields=*&id=1&id=2",
        [("X-A", "text"), ("Content-Type", "application/json;charset=UTF-8")],
        b'{"a":1}',
    )
    assert needs_example(block)


@pytest.mark.parametrize(
    ("body", "sent", "kind"),
    [
        ({}, b"", None),
        ({"text": "hello"}, b"hello", "text/plain;charset=UTF-8"),
        ({"base64": "AAE="}, b"\x00\x01", "application/octet-stream"),
        ({"body": None}, b"null", "application/json;charset=UTF-8"),
    ],
)
def test_each_way_to_write_a_body_has_its_own_type(body: dict[str, JSON], sent: bytes, kind: str | None):
    block = RequestBlock.model_validate({"method": "POST", "path": "/a", **body})
    path, query, headers, content = example_request(block)
    assert (path, query, content, dict(headers).get("Content-Type")) == ("/a", "", sent, kind)
    assert not needs_example(block)
