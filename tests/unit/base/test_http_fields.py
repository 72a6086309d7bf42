"""Header fields: bytes to text and back, and the fields that are not forwarded."""

from __future__ import annotations

import pytest

from cometreel.http_fields import (
    CONNECTION_SPECIFIC,
    RawFields,
    drop_fields,
    end_to_end,
    head_length,
    headers_from_raw,
    raw_from_headers,
)
from cometreel.wire import Headers, Reply

FIELDS = ((b"Content-Type", b"text/plain"), (b"Content-Encoding", b"br"), (b"X-Name", b"J\xf6rg"))


def test_the_same_fields_give_the_same_object():
    assert headers_from_raw(FIELDS) is headers_from_raw([*FIELDS])


def test_a_body_that_was_decoded_has_no_content_encoding():
    assert headers_from_raw(FIELDS).get("content-encoding") == "br"
    assert headers_from_raw(FIELDS, decoded=True).names() == {"content-type", "x-name"}


def test_bytes_that_are_not_utf_8_are_kept_in_both_directions():
    assert headers_from_raw(FIELDS).get("x-name") == "J\udcf6rg"
    assert raw_from_headers(headers_from_raw(FIELDS)) == [*FIELDS]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ([(b"Connection", b"X-Hop"), (b"x-hop", b"1"), (b"X-End", b"2")], [b"X-End"]),
        ([(b"connection", b"close, X-One"), (b"CONNECTION", b"x-two"), (b"X-One", b""), (b"X-Two", b"")], []),
        ([(b"X-One", b"a field before the Connection that lists it"), (b"Connection", b" x-one ,")], []),
        ([(name, b"1") for name in (b"TE", b"Trailer", b"Keep-Alive", b"Upgrade", b"Transfer-Encoding")], []),
        ([(name, b"1") for name in (b"Proxy-Authenticate", b"Proxy-Authorization", b"Proxy-Connection")], []),
        ([(b"Set-Cookie", b"1"), (b"Host", b"a"), (b"Set-Cookie", b"2")], [b"Set-Cookie", b"Set-Cookie"]),
    ],
)
def test_hop_by_hop_fields_and_those_that_connection_lists_are_not_forwarded(fields: RawFields, names: list[bytes]):
    assert [name for name, _ in end_to_end(fields, b"host")] == names


def test_http2_keeps_hop_by_hop_fields_that_it_allows():
    fields = [(b"Connection", b"x-hop"), (b"X-Hop", b"1"), (b"Upgrade", b"h2c"), (b"Trailer", b"X-Sum")]
    assert drop_fields(fields, CONNECTION_SPECIFIC) == [(b"Trailer", b"X-Sum")]


@pytest.mark.parametrize(
    ("fields", "body", "length"),
    [
        ([], b"abc", 3),
        ([("Content-Length", "9")], b"abc", 3),
        ([("Content-Length", "1234")], b"", 1234),
        ([("Content-Length", "-1")], b"", None),
        ([("Content-Length", "9" * 30)], b"", None),
        ([], b"", None),
    ],
)
def test_the_length_in_a_reply_to_head(fields: list[tuple[str, str]], body: bytes, length: int | None) -> None:
    assert head_length(Reply(1, 200, Headers(fields), body)) == length
