"""The interface of the engine: header fields, and the reason phrases of replies."""

from __future__ import annotations

import pytest

from cometreel.wire import Headers, Reply


def test_get_ignores_case_and_returns_the_first_field():
    headers = Headers([("Accept", "one"), ("ACCEPT", "two"), ("X-Other", "three")])
    assert headers.get("accept") == "one"
    assert headers.get_all("Accept") == ["one", "two"]
    assert headers.get("missing") is None
    assert headers.get_all("missing") == []


def test_fields_keep_their_order_and_their_spelling():
    fields = [("B", "1"), ("a", "2"), ("B", "3")]
    assert [*Headers(fields)] == fields
    assert len(Headers(fields)) == 3


@pytest.mark.parametrize(
    ("fields", "cookies"),
    [
        ([], {}),
        ([("Cookie", "a=1; b=2")], {"a": "1", "b": "2"}),
        ([("Cookie", "a=1"), ("cookie", "a=2; c=3")], {"a": "1", "c": "3"}),
        (
            [("Cookie", 'a="quoted"; no-equals; =nameless;; b = spaced ')],
            {"a": "quoted", "": "nameless", "b": "spaced"},
        ),
        ([("Cookie", "a=x=y")], {"a": "x=y"}),
    ],
)
def test_the_first_cookie_of_a_name_is_returned(fields: list[tuple[str, str]], cookies: dict[str, str]):
    """RFC 6265 §5.4: a client sends the cookie with the longer path first."""
    headers = Headers(fields)
    assert headers.cookies() == cookies
    assert headers.cookies() is headers.cookies()


def test_equal_fields_are_equal_headers():
    assert Headers([("A", "1")]) == Headers([("A", "1")])
    assert hash(Headers([("A", "1")])) == hash(Headers([("A", "1")]))
    assert Headers([("A", "1")]) != Headers([("a", "1")])


def test_the_repr_of_headers_shows_no_values():
    """A repr can be in a log or a traceback, and values can be credentials."""
    assert repr(Headers([("Authorization", "Basic c2VjcmV0")])) == "Headers(['Authorization'])"


@pytest.mark.parametrize(("status", "reason"), [(200, "OK"), (404, "Not Found"), (299, "")])
def test_the_reason_of_a_reply_is_the_standard_phrase(status: int, reason: str):
    assert Reply(1, status).reason == reason
