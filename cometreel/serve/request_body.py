"""Reads and decodes the body of a request, with limits."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from starlette.types import Receive

from cometreel.extras import install_command, missing_distributions
from cometreel.http_fields import error_reply
from cometreel.wire import Headers, Reply

__all__ = [
    "CODINGS",
    "BodyRefused",
    "BodyTooLong",
    "ClientDisconnected",
    "CodingInvalid",
    "decode_body",
    "finish_reading",
    "read_body",
]

logger = logging.getLogger(__name__)

LINGER = 2.0  # seconds to read the rest of a refused body; a client that is cut off would not read the error


class ClientDisconnected(Exception):
    """The client disconnected before it had sent the body."""


class BodyRefused(Exception):
    """A body that is not read. `unread`: the client may still be sending it."""

    def __init__(
        self,
        status: int,
        code: int,
        text: str,
        *,
        unread: bool = False,
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.status, self.code, self.text, self.unread, self.fields = status, code, text, unread, fields
        super().__init__(text)

    def reply(self, request_id: int) -> Reply:
        """Return the error in the format of GWS."""
        reply = error_reply(request_id, self.status, self.code, self.text)
        return Reply(reply.request_id, reply.status, Headers([*reply.headers, *self.fields.items()]), reply.body)


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """Return the body of a request, decoded from its Content-Encoding.

    :raises BodyRefused: if it has more than `limit` bytes, as sent or decoded, or its Content-Encoding is wrong.
    :raises ClientDisconnected: if the client disconnects.
    """
    announced = headers.get("content-length")
    if announced is not None and len(announced) > 4 and int(announced) > limit:
        raise _too_long(f"{announced} bytes", limit, unread=True)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _rest(body, receive, limit)
    coding = headers.get("content-encoding")
    return body if coding is None or not body else _decoded(body, coding.strip().lower(), limit)


async def finish_reading(receive: Receive) -> None:
    """Discard the rest of a body for a while, because clients read the response only after sending."""
    try:
        async with asyncio.timeout(LINGER):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        pass


async def _rest(begun: bytes, receive: Receive, limit: int) -> bytes:
    body, more = bytearray(begun), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise _too_long("more", limit, unread=more)
    return bytes(body)


def _decoded(body: bytes, coding: str, limit: int) -> bytes:
    if coding not in CODINGS:
        raise _unsupported(coding)
    try:
        return decode_body(body, coding, limit)
    except ModuleNotFoundError:
        logger.warning("A request body in %s was refused; to decode it: %s", coding, install_command("codings"))
        raise _unsupported(coding) from None
    except CodingInvalid:
        raise BodyRefused(400, 2, "the body is not encoded as its Content-Encoding states") from None
    except BodyTooLong:
        raise _too_long("more, decoded", limit) from None


def _unsupported(coding: str) -> BodyRefused:
    """Refuse a coding, and list the supported ones in Accept-Encoding (RFC 9110 §12.5.3)."""
    missing = missing_distributions("codings")
    optional = [name for name, distribution in (("br", "Brotli"), ("zstd", "zstandard")) if distribution not in missing]
    supported = ", ".join(["gzip", "deflate", *optional])
    text = f"found Content-Encoding {coding!r}; expected {supported} or none"
    return BodyRefused(415, 2, text, fields={"Accept-Encoding": supported})


def _too_long(found: str, limit: int, *, unread: bool = False) -> BodyRefused:
    return BodyRefused(413, 10, f"the body has {found}; expected at most {limit} bytes", unread=unread)


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


def _identity(body: bytes) -> Iterator[bytes]:
    yield body


def _gzip(body: bytes) -> Iterator[bytes]:
    return _inflated(body, zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> Iterator[bytes]:
    """Decode deflate with zlib's header (RFC 1950), or without it (RFC 1951), as some clients send it."""
    has_header = body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
    return _inflated(body, zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)


def _inflated(body: bytes, window_bits: int) -> Iterator[bytes]:
    stream, left = zlib.decompressobj(window_bits), body
    while not stream.eof:
        piece = stream.decompress(left, _ZLIB_STEP)
        if not piece and not stream.eof:
            raise CodingInvalid
        yield piece
        left = stream.unconsumed_tail
    if stream.unused_data:
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
