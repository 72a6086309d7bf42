"""Normalised requests and publishes."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario.normalized_request import (
    NormalizedPath,
    normalize_path,
    normalize_publish,
    normalize_request,
    query_of,
)
from cometreel.wire import Headers, Request


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/api/v2/workbins", NormalizedPath(("api", "v2", "workbins"))),
        ("api/v2/workbins", NormalizedPath(("api", "v2", "workbins"))),
        ("/api/v2/workbins/", NormalizedPath(("api", "v2", "workbins"))),
        ("/api/v2//workbins", NormalizedPath(("api", "v2", "workbins"))),
        ("/api/v2/me/workbins", NormalizedPath(("api", "v2", "workbins"), me=True)),
        ("/api/v2/me", NormalizedPath(("api", "v2", "me"))),
        ("/api/v2/me/", NormalizedPath(("api", "v2", "me"))),
        ("/app/v2/me/x", NormalizedPath(("app", "v2", "me", "x"))),
        ("/api/v2/%77orkbins/a%20b", NormalizedPath(("api", "v2", "workbins", "a b"))),
        ("/api/v2/a%2Fb", NormalizedPath(("api", "v2", "a/b"))),
        ("/api/v2/caf%C3%A9", NormalizedPath(("api", "v2", "café"))),
        ("/api/v2/caf%E9", NormalizedPath(("api", "v2", "caf%E9"))),
        ("/api/v2/me;jsessionid=0AF3/x", NormalizedPath(("api", "v2", "x"), me=True)),
        ("/", NormalizedPath(())),
    ],
)
def test_path(text: str, path: NormalizedPath) -> None:
    """Trailing slashes, missing leading slashes, %-encoding and `/me` are normalised."""
    assert normalize_path(text) == path


@pytest.mark.parametrize("text", ["/", "/api/v2/me", "/api/v2/me/workbins", "/api/v2/a%2Fb", "/api/v2/100%25"])
def test_the_text_of_a_path_normalises_to_the_same_path(text: str) -> None:
    assert str(normalize_path(text)) == text


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", {}),
        ("fields=*&subresources=*", {"fields": "*", "subresources": "*"}),
        ("b=2&a=1", {"a": "1", "b": "2"}),
        ("workbinIds=a%2Cb", {"workbinIds": "a,b"}),
        ("a=1&b=x&a=2", {"a": ["1", "2"], "b": "x"}),
        ("flag", {"flag": ""}),
        ("q=a+b", {"q": "a b"}),
        ("q=%FF", {"q": "\\xff"}),
    ],
)
def test_query(text: str, query: dict[str, JSON]) -> None:
    assert query_of(text) == query


def test_compared_leaves_out_ids_chosen_by_the_client() -> None:
    request = Request(1, "post", "/x", body=b'{"operationId": "123", "data": {"id": 1}}')
    normalized = normalize_request(request, ("/operationId",))
    assert normalized.method == "POST"
    assert normalized.body == {"operationId": "123", "data": {"id": 1}}
    assert normalized.compared == {"data": {"id": 1}}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":1,"a":2}', b"NaN", b"[" * 5000, b"[" * 150 + b"]" * 150])
def test_a_body_that_is_no_json_is_bytes(body: bytes) -> None:
    """JSON that scenarios can't contain is treated as bytes."""
    normalized = normalize_request(Request(1, "POST", "/x", body=body))
    assert (normalized.is_json, normalized.body, normalized.content) == (False, None, body)


def test_a_publish_is_its_channel_data_and_ext() -> None:
    message: dict[str, JSON] = {"channel": "/service/x", "data": {"a": 1}, "id": "4", "clientId": "c"}
    normalized = normalize_publish(message)
    assert (normalized.channel, normalized.data, normalized.ext, normalized.message) == (
        "/service/x",
        {"a": 1},
        None,
        message,
    )


def test_a_request_shows_no_header_values() -> None:
    request = Request(1, "GET", "/", headers=Headers([("Authorization", "Basic c2VjcmV0")]))
    assert "c2VjcmV0" not in repr(normalize_request(request))


def test_equal_requests_of_a_client_are_the_same_object_with_its_own_header_fields() -> None:
    one, other = Headers([("X-Client", "one")]), Headers([("X-Client", "other")])
    first, second, third = [normalize_request(Request(1, "POST", "/same", "", one, b"{}")) for _ in range(3)]
    assert first is second is third
    assert first.headers is one
    again = [normalize_request(Request(1, "POST", "/same", "", other, b"{}")) for _ in range(3)]
    assert [request.headers for request in again] == [other, other, other]
    assert again[1] is again[2]
    assert normalize_request(Request(1, "POST", "/same", "", one, b"{}")).headers is one
    assert again[0].body is first.body
