"""Content codings of requests (RFC 9110 §8.4.1), decoded within bounds. Knows nothing else of HTTP.

They are those of mitmproxy, so that both doors read the same bytes. What comes out is bounded as it comes, not
afterwards: a few hundred bytes can unpack to gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final

import brotli  # type: ignore[import-untyped]  # it comes without types
import zstandard

__all__ = ["CODINGS", "NotCoded", "TooLong", "decoded"]

_ZLIB_STEP = 1024 * 1024  # bytes that come out at once
_BROTLI_STEP = 32  # bytes that go in: a meta-block takes nine or more and gives 16 MiB at most (RFC 7932 §9.2)
_ZSTD_STEP = 512  # bytes that go in: a block takes four or more and gives 128 KiB at most (RFC 8878 §3.1.1.2.4)
_ZSTD_WINDOW = 8 * 1024 * 1024  # bytes; RFC 9659 §3 lets nobody ask for more


class NotCoded(Exception):
    """Bytes that aren't what their coding says."""


class TooLong(Exception):
    """Bytes that unpack to more than they may."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """Decode a body from one of `CODINGS`.

    :raises NotCoded: if it isn't one whole stream of it.
    :raises TooLong: if it unpacks to more than `limit` bytes.
    """
    made = bytearray()
    try:
        for piece in CODINGS[coding](body):
            made += piece
            if len(made) > limit:
                raise TooLong
    except (zlib.error, brotli.error, zstandard.ZstdError):
        raise NotCoded from None
    return bytes(made)


def _identity(body: bytes) -> Iterator[bytes]:
    yield body


def _gzip(body: bytes) -> Iterator[bytes]:
    return _inflated(body, zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> Iterator[bytes]:
    """With zlib's header (RFC 1950), or bare (RFC 1951), as some clients have it."""
    has_header = body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
    return _inflated(body, zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)


def _inflated(body: bytes, window_bits: int) -> Iterator[bytes]:
    stream, left = zlib.decompressobj(window_bits), body
    while not stream.eof:
        piece = stream.decompress(left, _ZLIB_STEP)
        if not piece and not stream.eof:
            raise NotCoded
        yield piece
        left = stream.unconsumed_tail
    if stream.unused_data:
        raise NotCoded


def _brotli(body: bytes) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    for at in range(0, len(body), _BROTLI_STEP):
        yield stream.process(body[at : at + _BROTLI_STEP])
    if not stream.is_finished():
        raise NotCoded


def _zstd(body: bytes) -> Iterator[bytes]:
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    for at in range(0, len(body), _ZSTD_STEP):
        yield stream.decompress(body[at : at + _ZSTD_STEP])
    if not stream.eof or stream.unused_data:
        raise NotCoded


CODINGS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "identity": _identity,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
