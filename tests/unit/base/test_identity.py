"""The rule that assigns requests to sessions: its order, and credentials."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cometreel.identity import (
    PRECEDENCE,
    IdentityKind,
    RequestCredentials,
    TokenHash,
    client_address,
    client_ids_of,
    credentials_of,
    credentials_of_message,
    first_known,
)
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.wire import Headers, Request


def test_the_first_known_identity_decides() -> None:
    known: dict[IdentityKind, str] = {}

    def find(kind: IdentityKind) -> Callable[[], str | None]:
        return lambda: known.get(kind)

    finders: dict[IdentityKind, Callable[[], str | None]] = {kind: find(kind) for kind in reversed(PRECEDENCE)}
    assert first_known(finders) is None
    for kind in ("credentials", "bound", "client", "browser", "cookie"):
        known[kind] = f"by {kind}"
        assert first_known(finders) == f"by {kind}"


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("Authorization", "Basic YW5uOnNlY3JldA==", RequestCredentials("ann")),
        ("authorization", "basic  YW5uOg==", RequestCredentials("ann")),
        ("Authorization", "Basic OnNlY3JldA==", None),
        ("Authorization", "Bearer", None),
        ("Authorization", "Bearer abc", RequestCredentials(token="abc")),
        ("Authorization", "OAuth abc", RequestCredentials(token="abc")),
        ("Authorization", "Token  abc ", RequestCredentials(token="abc")),
        ("Authorization", 'OAuth realm="x", oauth_token="abc"', RequestCredentials()),
        ("Authorization", 'Digest username="ann", response="abc"', RequestCredentials()),
        ("Authorization", "Negotiate abc", RequestCredentials()),
        ("x-api-key", "k", RequestCredentials()),
        ("Cookie", "a=b", None),
    ],
)
def test_credentials_of_a_request(name: str, value: str, found: RequestCredentials | None) -> None:
    assert credentials_of(Headers([(name, value)])) == found


def test_the_login_headers_of_gws_name_the_user_of_another_header() -> None:
    assert credentials_of(Headers([("ssid", "s"), ("RNUSERNAME", "ann")])) == RequestCredentials("ann")


@pytest.mark.parametrize(
    ("ext", "found"),
    [
        ({"token": "abc"}, RequestCredentials(token="abc")),
        ({"access_token": "abc"}, RequestCredentials(token="abc")),
        ({"authToken": "abc"}, RequestCredentials(token="abc")),
        ({"Authorization": "Bearer abc"}, RequestCredentials(token="abc")),
        ({"Authorization": "Basic YW5uOnNlY3JldA=="}, RequestCredentials("ann")),
        ({"ack": True, "auth": {"token": "abc"}}, RequestCredentials(token="abc")),
        ({"csrfToken": "abc"}, None),
        ({"a": {"b": {"token": "too deep"}}}, None),
        ({"token": ""}, None),
        ({"token": 7}, None),
        ("token", None),
        (None, None),
    ],
)
def test_credentials_of_a_message(ext: JSON, found: RequestCredentials | None) -> None:
    assert credentials_of_message({"channel": "/meta/handshake", "ext": ext}) == found


def test_a_token_is_hidden_in_text_and_hashed_under_a_key() -> None:
    assert "abc" not in repr(RequestCredentials(token="abc"))
    one, other = TokenHash("one run"), TokenHash("another run")
    assert one("abc") == one("abc")
    assert one("abc") not in {other("abc"), one("abd")}
    assert len(one("\ud800" * 1000)) == 32


def test_client_ids_are_texts_in_the_order_of_the_messages() -> None:
    messages: list[JSONObject] = [{"clientId": "b"}, {"clientId": 7}, {}, {"clientId": "a"}, {"clientId": "b"}]
    assert client_ids_of(messages) == ["b", "a"]


def test_a_proxy_names_the_address_of_its_client() -> None:
    assert client_address(Request(1, "GET", "/", address="10.0.0.1")) == "10.0.0.1"
    headers = Headers([("X-Forwarded-For", "10.0.0.2, 10.0.0.3")])
    assert client_address(Request(1, "GET", "/", headers=headers, address="10.0.0.1")) == "10.0.0.2"
