"""HTTP header fields: bytes to text and back, fields that are not forwarded (RFC 9110 §7.6.1), and error replies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Sized
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TypeAlias

from cometreel.bounded_cache import BoundedCache
from cometreel.jsonvalue import JSON, encode
from cometreel.wire import Headers, Reply

__all__ = [
    "BODILESS",
    "CACHED_LENGTH",
    "COMPARED",
    "CONNECTION_SPECIFIC",
    "CONTROL_CHARACTER",
    "FORM_TYPE",
    "HEADS",
    "HOP_BY_HOP",
    "JSON_TYPE",
    "SAFE_IN_SEGMENT",
    "RawFields",
    "cached_headers",
    "drop_fields",
    "end_to_end",
    "error_reply",
    "field_bytes",
    "field_text",
    "head_length",
    "headers_from_raw",
    "headers_size",
    "in_utf_8",
    "media_type",
    "raw_from_headers",
]

RawFields: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Header fields in the form of ASGI, httpx and mitmproxy."""

BODILESS = frozenset({204, 304})
"""The statuses of responses without a body (RFC 9110 §6.4.1)."""

_LONGEST_LENGTH = 20


def head_length(reply: Reply) -> int | None:
    """Return the Content-Length of a reply to HEAD: that of its body, else the written one; None if there is none."""
    if reply.body:
        return len(reply.body)
    written = reply.headers.get("content-length") or ""
    return int(written) if written.isascii() and written.isdigit() and len(written) < _LONGEST_LENGTH else None


CONNECTION_SPECIFIC = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""The fields that HTTP/2 forbids (RFC 9113 §8.2.2)."""

COMPARED = frozenset({"allow", "content-language", "content-type", "location", "retry-after"})
"""The fields of a reply that belong to its meaning; others may differ from reply to reply or from day to day."""

HOP_BY_HOP = CONNECTION_SPECIFIC | {b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer"}


def headers_from_raw(fields: Iterable[tuple[bytes, bytes]], *, decoded: bool = False) -> Headers:
    """Return the fields as text; without Content-Encoding if the body was `decoded`. Equal fields: the same object."""
    return cached_headers(tuple(fields), decoded=decoded)


HEADS: BoundedCache[tuple[RawFields, bool], Headers] = BoundedCache(32_000_000)
"""The header fields of recent requests, by their raw fields and whether Content-Encoding is left out."""
_FIELD_SIZE = 700  # bytes of a field besides its text


def cached_headers(fields: RawFields, *, decoded: bool = False) -> Headers:
    """Return the same as `headers_from_raw` for a tuple."""
    key = (fields, decoded)
    headers = HEADS.get(key)
    if headers is None:
        kept = [field for field in fields if field[0].lower() != b"content-encoding"] if decoded else fields
        headers = Headers((field_text(name), field_text(value)) for name, value in kept)
        HEADS.put(key, headers, headers_size(fields))
    return headers


def headers_size(fields: Iterable[tuple[Sized, Sized]]) -> int:
    """Estimate the memory of header fields in bytes: as bytes, as text, and the index of `Headers`."""
    return sum([3 * (len(name) + len(value)) + _FIELD_SIZE for name, value in fields])


def raw_from_headers(headers: Headers) -> RawFields:
    """Return the fields as bytes, in their order."""
    return [(field_bytes(name), field_bytes(value)) for name, value in headers]


def end_to_end(fields: Iterable[tuple[bytes, bytes]], *others: bytes) -> RawFields:
    """Return the fields that a proxy forwards: without hop-by-hop fields and without `others`, given in lower case."""
    return drop_fields(fields, HOP_BY_HOP.union(others))


def drop_fields(fields: Iterable[tuple[bytes, bytes]], names: AbstractSet[bytes]) -> RawFields:
    """Return the fields without these names, given in lower case, and without those that `Connection` lists."""
    fields = list(fields)
    dropped = {
        option.strip().lower()
        for name, value in fields
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    return [(name, value) for name, value in fields if name.lower() not in names and name.lower() not in dropped]


def field_text(value: bytes) -> str:
    """Decode a name, a value or a path; bytes that are not UTF-8 are restored by `field_bytes`."""
    return _short_text(value) if len(value) <= CACHED_LENGTH else value.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=1024)
def _short_text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def field_bytes(value: str) -> bytes:
    """Encode a name or a value."""
    return value.encode("utf-8", "surrogateescape")


CACHED_LENGTH = 512
"""The length of the longest text in a cache that is limited by its number of entries."""

JSON_TYPE = ("Content-Type", "application/json;charset=UTF-8")
"""The content type of GWS's JSON bodies."""


FORM_TYPE = "application/x-www-form-urlencoded"
"""The media type of forms."""

CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""The characters that no value of a header field may contain (RFC 9110 §5.5)."""

SAFE_IN_SEGMENT = "~!$&'()*+,=:@"
"""The characters that are not escaped in a path segment (RFC 3986 §3.3)."""


def media_type(content_type: str | None) -> str:
    """Return the media type of a Content-Type field in lower case, without parameters; empty if there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def in_utf_8(headers: Headers, body: bytes) -> bytes:
    """Return a text in UTF-8 that has the charset of its Content-Type; unchanged if it is not valid in it."""
    charset = headers.charset()
    if not charset or not body:
        return body
    try:
        return body.decode(charset).encode()
    except UnicodeError:
        return body


def error_reply(request_id: int, status: int, code: int, message: str, **members: JSON) -> Reply:
    """Return an error in the form of GWS: an HTTP status and the body `{"statusCode", "statusMessage"}`."""
    body = encode({"statusCode": code, "statusMessage": message, **members})
    return Reply(request_id, status, Headers([JSON_TYPE]), body)
