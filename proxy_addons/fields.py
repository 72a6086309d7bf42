"""Header fields of mitmproxy as the engine's `Headers`. No addon, and no state but a bounded memory of equal fields.

A client sends the same fields with each request of a connection: the same fields give the same object, so that what
was looked up in it, or redacted of it, needn't be looked up or redacted again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from cometreel.wire import Headers

__all__ = ["engine_headers", "raw_field"]

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]

_CODING = b"content-encoding"


@lru_cache(maxsize=4096)
def engine_headers(fields: Fields, *, decoded: bool = False) -> Headers:
    """Translate header fields; those of a body that was `decoded` lose their Content-Encoding."""
    return Headers((_text(name), _text(value)) for name, value in fields if not (decoded and name.lower() == _CODING))


def raw_field(fields: Fields, wanted: bytes) -> bytes:
    """Look up a field by its name in lower case, empty where there is none; mitmproxy's look-up costs far more."""
    for name, value in fields:
        if name.lower() == wanted:
            return value
    return b""


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")  # as mitmproxy reads them
