"""Parsing messages, and distinguishing them from other JSON."""

from __future__ import annotations

from typing import Any

import pytest

from cometreel.bayeux import MalformedMessages, NoMessages, NullMessage, looks_like_bayeux, parse_messages


@pytest.mark.parametrize("body", [b'[{"channel":"/a"}]', b'{"channel":"/a"}', '{"channel":"/a"}'])
def test_an_array_and_a_single_object_are_the_same(body: bytes | str) -> None:
    assert parse_messages(body) == [{"channel": "/a"}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the body isn't JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b'"x"', "found a string; expected a Bayeux message or an array of them"),
        (b"true", "found a boolean; expected a Bayeux message or an array of them"),
        (b"[{},[]]", "element 1 is an array; expected a Bayeux message"),
        (b"1.50", "found a number; expected a Bayeux message or an array of them"),
        (b"[1.5]", "element 0 is a number; expected a Bayeux message"),
        (b"[null]", "element 0 is null; expected a Bayeux message"),
    ],
)
def test_other_json_is_refused_with_its_type(body: bytes, said: str) -> None:
    with pytest.raises(MalformedMessages) as caught:
        parse_messages(body)
    assert str(caught.value) == said
    assert isinstance(caught.value, NullMessage) is (body == b"[null]")


@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty; expected Bayeux messages"),
        (" \n", "the body is empty; expected Bayeux messages"),
    ],
)
def test_an_empty_body_has_no_messages(body: bytes | str, said: str, *, form: bool) -> None:
    with pytest.raises(NoMessages) as caught:
        parse_messages(body, form=form)
    assert str(caught.value) == said


def test_null_has_no_messages() -> None:
    with pytest.raises(NoMessages) as caught:
        parse_messages(b"null")
    assert str(caught.value) == "found null; expected a Bayeux message or an array of them"


@pytest.mark.parametrize(
    ("value", "is_bayeux"),
    [
        ([{"channel": "/meta/handshake", "version": "1.0"}], True),
        ({"channel": "/meta/connect"}, True),
        ([{"channel": "/a", "data": 1}, {"channel": "/meta/connect", "successful": True}], True),
        ([{"channel": "/a", "data": 1, "clientId": "c"}], True),
        ([{"channel": "/a", "id": "1", "successful": True}], True),
        ([{"channel": "/a", "data": 1}], False),
        ([{"channel": "news", "clientId": "c"}], False),
        ([{"channel": "/meta/connect"}, 5], False),
        ([{"channel": 5, "clientId": "c"}], False),
        ([], False),
        ({}, False),
        ("/meta/connect", False),
        (None, False),
    ],
)
def test_bayeux_messages_are_recognised_by_their_members(value: Any, is_bayeux: bool) -> None:
    assert looks_like_bayeux(value) is is_bayeux


@pytest.mark.parametrize(
    ("body", "channels"),
    [
        (b"message=%5B%7B%22channel%22%3A%22%2Fa%22%7D%5D", ["/a"]),
        (b"x=1&message=%7B%22channel%22%3A%22%2Fa%22%7D&message=[{%22channel%22:%22/b%22}]", ["/a", "/b"]),
        (b' [{"channel": "/a"}]', ["/a"]),
        ('{"channel": "/a"}', ["/a"]),
    ],
)
def test_a_form_contains_messages_in_its_fields_of_that_name(body: bytes | str, channels: list[str]) -> None:
    assert [message["channel"] for message in parse_messages(body, form=True)] == channels


@pytest.mark.parametrize("body", [b"", b"mesage=[]", b"message=", b"message=%5B", b"\xff\xfe", b"message=1"])
def test_a_form_without_messages_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessages):
        parse_messages(body, form=True)


def test_a_form_is_malformed_unless_it_is_expected() -> None:
    with pytest.raises(MalformedMessages):
        parse_messages(b"message=%5B%5D")
