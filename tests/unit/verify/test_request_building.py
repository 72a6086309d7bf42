"""Building a request from a pattern, or the reason why it cannot be built."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import CompiledScenario, PublishBlock, RequestBlock, loads
from cometreel.verify.expected_values import SessionVariables
from cometreel.verify.request_building import (
    BuiltPublish,
    BuiltRequest,
    RequestNotBuildable,
    build_request,
    match_request,
)

JSON_TYPE = (("Content-Type", "application/json"),)
KNOWN = SessionVariables(
    option_values={"workbin": "w/1", "place-1": "Place 1"}, ids={"user-1": "u1"}, captures={"chat": "c1"}
)

BUILT: dict[str, tuple[dict[str, JSON], BuiltRequest]] = {
    "a path is unchanged": ({"method": "get", "path": "/api/v2/me/"}, BuiltRequest("GET", "/api/v2/me/")),
    "a path that is encoded": ({"method": "GET", "path": "/a%20b/ü"}, BuiltRequest("GET", "/a%20b/%C3%BC")),
    "segments": (
        {"method": "GET", "path": ["api", {"$capture": "workbin"}, {"$id": "user-1"}]},
        BuiltRequest("GET", "/api/w%2F1/u1"),
    ),
    "a query": (
        {"method": "GET", "path": "/w", "query": {"fields": "*", "ids": "a,b", "n": ["1", "2"], "q": "a b&c"}},
        BuiltRequest("GET", "/w", "fields=*&ids=a,b&n=1&n=2&q=a%20b%26c"),
    ),
    "any query is none": ({"method": "GET", "path": "/w", "query": {"$any": "object"}}, BuiltRequest("GET", "/w")),
    "a partial query": (
        {"method": "GET", "path": "/w", "query": {"$partial": {"a": {"$csv": ["x", {"$id": "user-1"}]}}}},
        BuiltRequest("GET", "/w", "a=x,u1"),
    ),
    "a body": (
        {"method": "POST", "path": "/w", "body": {"$$any": 1, "a": [{"$capture": "session.chat"}, True]}},
        BuiltRequest("POST", "/w", "", JSON_TYPE, b'{"$any":1,"a":["c1",true]}'),
    ),
    "a partial body": (
        {"method": "POST", "path": "/w", "body": {"$partial": {"a": {"$id": "place-1"}}}},
        BuiltRequest("POST", "/w", "", JSON_TYPE, b'{"a":"Place 1"}'),
    ),
    "the first buildable alternative": (
        {"method": "POST", "path": "/w", "body": {"$one-of": [{"$any": "string"}, "b", "c"]}},
        BuiltRequest("POST", "/w", "", JSON_TYPE, b'"b"'),
    ),
    "null is a body": (
        {"method": "POST", "path": "/w", "body": None},
        BuiltRequest("POST", "/w", "", JSON_TYPE, b"null"),
    ),
    "a text": (
        {"method": "POST", "path": "/w", "text": "hé"},
        BuiltRequest("POST", "/w", "", (("Content-Type", "text/plain;charset=UTF-8"),), "hé".encode()),
    ),
    "bytes": (
        {"method": "PUT", "path": "/w", "base64": "AAE="},
        BuiltRequest("PUT", "/w", "", (("Content-Type", "application/octet-stream"),), b"\0\1"),
    ),
    "headers with a content type": (
        {"method": "POST", "path": "/w", "headers": {"content-type": "text/json", "A": "b"}, "body": 1},
        BuiltRequest("POST", "/w", "", (("content-type", "text/json"), ("A", "b")), b"1"),
    ),
}


@pytest.mark.parametrize(("written", "expected"), BUILT.values(), ids=BUILT.keys())
def test_build_request(written: dict[str, JSON], expected: BuiltRequest) -> None:
    assert build_request(RequestBlock.model_validate(written), KNOWN) == expected


def test_build_publish() -> None:
    block = PublishBlock.model_validate({"publish": "/service/x", "data": {"a": {"$capture": "chat"}}, "ext": {"b": 1}})
    assert build_request(block, KNOWN) == BuiltPublish("/service/x", {"a": "c1"}, {"b": 1})


NOT_BUILDABLE: dict[str, tuple[dict[str, JSON], str]] = {
    "any text": (
        {"method": "POST", "path": "/w", "body": {"a": {"b": [{"$any": "string"}]}}},
        "the scenario does not contain the value of {$any: string} in its body/a/b/0",
    ),
    "any object as body": (
        {"method": "POST", "path": "/w", "body": {"$any": "object"}},
        "the scenario does not contain the value of {$any: object} in its body",
    ),
    "an expression": (
        {"method": "GET", "path": {"$regex": "/a.*"}},
        "the scenario does not contain the value of {$regex: /a.*} in its path",
    ),
    "an unknown capture": (
        {"method": "GET", "path": "/w", "query": {"a": {"$capture": "session.who"}}},
        "the value of {$capture: session.who} in its query/a is unknown (set it with --value who=…)",
    ),
    "an unknown identifier": (
        {"method": "GET", "path": ["w", {"$id": "w-1"}]},
        "the value of {$id: w-1} in its path is unknown (set it with --value w-1=…)",
    ),
    "alternatives that are not buildable": (
        {"method": "POST", "path": "/w", "body": {"$one-of": [{"$any": "string"}, {"$id": "w-1"}]}},
        "the scenario does not contain the value of {$any: string} in its body",
    ),
    "a header": (
        {"method": "GET", "path": "/w", "headers": {"A": {"$any": "string"}}},
        "the scenario does not contain the value of {$any: string} in its header A",
    ),
}


@pytest.mark.parametrize(("written", "reason"), NOT_BUILDABLE.values(), ids=NOT_BUILDABLE.keys())
def test_request_with_unknown_values(written: dict[str, JSON], reason: str) -> None:
    with pytest.raises(RequestNotBuildable) as refused:
        build_request(RequestBlock.model_validate(written), KNOWN)
    assert str(refused.value) == reason


def _scenario() -> CompiledScenario:
    return loads(
        "cometreel: 1\nexchanges:\n"
        "  - {name: a, request: {method: GET, path: [w, {$capture: session.w}], query: {n: {$regex: '^[0-9]+$'}}}}\n"
    )


def test_match_request_returns_captures() -> None:
    scenario = _scenario()
    _, match = match_request(scenario, scenario.exchanges[0], BuiltRequest("GET", "/w/7", "n=1"), {})
    assert (match.captures, match.session_captures) == ({}, {"w": "7"})


def test_request_that_its_exchange_does_not_match() -> None:
    scenario = _scenario()
    with pytest.raises(RequestNotBuildable) as refused:
        match_request(scenario, scenario.exchanges[0], BuiltRequest("GET", "/w/7", "n=x"), {})
    assert str(refused.value) == ('the built request has x at /query/n; the exchange expects {$regex: "^[0-9]+$"}')
