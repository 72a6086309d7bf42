"""Header fields on their way through: which concern one connection only, and bodies as the recorder reads them.

Pure functions over bytes; nothing is sent or written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import httpx

from cometreel.wire import Headers

__all__ = ["RawFields", "decoded", "engine_headers", "end_to_end"]

RawFields: TypeAlias = list[tuple[bytes, bytes]]

CONNECTION_FIELDS = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""The fields that end at a connection (RFC 9110 §7.6.1), beside those that `Connection` names."""


def end_to_end(fields: Iterable[tuple[bytes, bytes]], *others: bytes) -> RawFields:
    """Return the fields without those of the connection and without these others, given in lower case."""
    fields = list(fields)
    dropped = CONNECTION_FIELDS.union(others, _named(fields))
    return [(name, value) for name, value in fields if name.lower() not in dropped]


def _named(fields: RawFields) -> Iterator[bytes]:
    for name, value in fields:
        if name.lower() == b"connection":
            yield from (token.strip().lower() for token in value.split(b","))


def decoded(fields: Iterable[tuple[bytes, bytes]], body: bytes) -> tuple[Headers, bytes]:
    """Give fields and body as the recorder takes them: without Content-Encoding, or as they came if it doesn't hold."""
    fields = list(fields)
    if body and any(name.lower() == b"content-encoding" for name, _ in fields):
        codings = [(name, value) for name, value in fields if name.lower() == b"content-encoding"]
        try:
            body = httpx.Response(200, headers=codings, content=body).content
        except httpx.DecodingError:
            return engine_headers(fields), body
        fields = [(name, value) for name, value in fields if name.lower() != b"content-encoding"]
    return engine_headers(fields), body


def engine_headers(fields: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Translate fields for the recorder."""
    return Headers((_text(name), _text(value)) for name, value in fields)


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
