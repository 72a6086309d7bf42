"""Decodes bodies from their Content-Encoding, with a limit for the decoded size."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final

__all__ = ["CODINGS", "BodyTooLong", "CodingInvalid", "decode_body", "decode_content"]

_GZIP = zlib.MAX_WBITS | 16
_ZLIB_STEP = 1024 * 1024  # output bytes per step
_BROTLI_STEP = 32  # input bytes per step: a meta-block has at least nine and decodes to at most 16 MiB (RFC 7932 §9.2)
_ZSTD_STEP = 512  # input bytes per step: a block has at least four and decodes to at most 128 KiB (RFC 8878 §3.1.1.2.4)
_ZSTD_WINDOW = 8 * 1024 * 1024  # bytes; the maximum of RFC 9659 §3


class CodingInvalid(Exception):
    """The bytes do not have the stated coding."""


class BodyTooLong(Exception):
    """The decoded bytes exceed the limit."""


def decode_body(body: bytes, coding: str, limit: int) -> bytes:
    """Decode a body from one of `CODINGS`.

    :raises CodingInvalid: if it is not one complete stream of this coding.
    :raises BodyTooLong: if it decodes to more than `limit` bytes.
    """
    made = bytearray()
    try:
        for piece in CODINGS[coding](body):
            made += piece
            if len(made) > limit:
                raise BodyTooLong
    except zlib.error:
        raise CodingInvalid from None
    return bytes(made)


def decode_content(body: bytes, field: str, limit: int) -> bytes:
    """Decode a body from the codings of a Content-Encoding field, which lists them in the order of encoding.

    :raises CodingInvalid: if a coding is unknown, or the body doesn't have it.
    :raises BodyTooLong: if it decodes to more than `limit` bytes.
    :raises ModuleNotFoundError: if the library of a coding is not installed.
    """
    for coding in reversed(field.lower().split(",")):
        if coding.strip() not in CODINGS:
            raise CodingInvalid
        body = decode_body(body, coding.strip(), limit) if body else body
    return body


def _identity(body: bytes) -> Iterator[bytes]:
    yield body


def _gzip(body: bytes) -> Iterator[bytes]:
    return _inflated(body, _GZIP)


def _deflate(body: bytes) -> Iterator[bytes]:
    """Decode deflate with zlib's header (RFC 1950), or without it (RFC 1951), as some clients send it."""
    has_header = body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
    return _inflated(body, zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)


def _inflated(body: bytes, window_bits: int) -> Iterator[bytes]:
    while body:
        stream = zlib.decompressobj(window_bits)
        while not stream.eof:
            piece = stream.decompress(body, _ZLIB_STEP)
            if not piece and not stream.eof:
                raise CodingInvalid
            yield piece
            body = stream.unconsumed_tail
        body = stream.unused_data
        if body and window_bits != _GZIP:  # gzip may have several members (RFC 1952 §2.2)
            raise CodingInvalid


def _brotli(body: bytes) -> Iterator[bytes]:
    import brotli  # type: ignore[import-untyped]  # noqa: PLC0415  # it has no types; an optional dependency

    stream = brotli.Decompressor()
    try:
        for at in range(0, len(body), _BROTLI_STEP):
            yield stream.process(body[at : at + _BROTLI_STEP])
    except brotli.error:
        raise CodingInvalid from None
    if not stream.is_finished():
        raise CodingInvalid


def _zstd(body: bytes) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415  # an optional dependency

    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    try:
        for at in range(0, len(body), _ZSTD_STEP):
            yield stream.decompress(body[at : at + _ZSTD_STEP])
    except zstandard.ZstdError:
        raise CodingInvalid from None
    if not stream.eof or stream.unused_data:
        raise CodingInvalid


CODINGS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "identity": _identity,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
