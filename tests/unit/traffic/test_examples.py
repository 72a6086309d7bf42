"""Example values match their pattern; a pattern without an example raises an error."""

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


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS, ids=[str(pattern) for pattern, _ in PATTERNS])
def test_a_pattern_accepts_its_example(pattern: JSON, expected: JSON):
    assert example(pattern) == expected
    context = MatchContext()
    matcher(pattern).compare(expected, "", context)
    assert context.differences == []


def test_a_regular_expression_that_is_not_simple_has_no_example():
    with pytest.raises(NoExample, match=r"no example can be created for \{\$regex: \^\(a\|b\)\{3\}\$\}"):
        example({"deep": [{"$regex": "^(a|b){3}$"}]})


def test_an_example_request_is_encoded_like_one_of_a_client():
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
def test_the_content_type_follows_the_kind_of_body(body: dict[str, JSON], sent: bytes, kind: str | None):
    block = RequestBlock.model_validate({"method": "POST", "path": "/a", **body})
    path, query, headers, content = example_request(block)
    assert (path, query, content, dict(headers).get("Content-Type")) == ("/a", "", sent, kind)
    assert not needs_example(block)
