"""Secrets that are recognised by their format, whatever their name."""

from __future__ import annotations

import base64

import pytest

from cometreel.masking import is_secret_field, masked, masked_text
from cometreel.secret_values import basic_credentials, looks_secret


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"it is {encoded('kate:tr0ub4dor')}, yes", "it is [hidden], yes"),
        (f"a {PEM} b", "a [hidden] b"),
        (PEM.replace("\n", "\\n")[:50], "[hidden]"),
        ("Bearer abcdef123456", "[hidden]"),
        ("x eyJhbGciOi.eyJzdWIi.c2ln y", "x [hidden] y"),
        ("https://kate:tr0ub4dor@gws/x", "https://[hidden]@gws/x"),
        ("key AKIA" + "Q" * 16, "key [hidden]"),
        ("ghp_" + "a1" * 18, "[hidden]"),
    ],
)
def test_a_secret_of_a_known_format_is_masked(text: str, shown: str) -> None:
    assert looks_secret(text)
    assert masked_text(text) == shown
    assert masked({"note": [text]}) == {"note": [shown]}


@pytest.mark.parametrize(
    "text",
    [
        "Basic authentication required",
        "WorkbinStatsMessage",
        encoded("User:123"),
        encoded("12:30:45"),
        encoded('{"a":1,"b":2}'),
        encoded("http://gws"),
        "861640a2-aaaa-4bbb-8ccc-1234567890ab",
        "28383e5523c7479cae4afa8df88d66df",
    ],
)
def test_other_values_are_shown(text: str) -> None:
    assert not looks_secret(text)
    assert masked_text(text) == text


def test_basic_credentials_are_decoded() -> None:
    assert basic_credentials(encoded("kate:tr0ub4dor").rstrip("=")) == ("kate", "tr0ub4dor")


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [("ETag", '"33a64df5"', False), ("X-Auth-Token", "1", True), ("X-Debug", "Bearer abcdef123456", True)],
)
def test_a_header_field_is_secret_by_name_or_value(name: str, value: str, *, secret: bool) -> None:
    assert is_secret_field(name, value) is secret


@pytest.mark.parametrize(
    "text",
    [
        "a " * 500_000,
        "-----BEGIN " * 90_000,
        "eyJ" * 300_000,
        "://a:" * 200_000 + "@",
        "Basic " * 160_000,
        "gh" * 500_000,
    ],
)
def test_a_long_text_is_searched_quickly(text: str) -> None:
    assert isinstance(looks_secret(text), bool)
