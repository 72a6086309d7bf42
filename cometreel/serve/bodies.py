"""Reading the body of a request: bounded, decoded, refused early. Knows ASGI's `receive`; no engine may enter."""

from __future__ import annotations

import zlib

from starlette.types import Receive

from cometreel.replay.auth import error_reply
from cometreel.wire import Headers, Reply

__all__ = ["Disconnected", "Refused", "read_body"]

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Disconnected(Exception):
    """The client was gone before its body was there."""


class Refused(Exception):
    """A body that isn't looked at. `unread` tells whether the client may still be sending it."""

    def __init__(self, status: int, code: int, text: str, *, unread: bool = False) -> None:
        self.status, self.code, self.text, self.unread = status, code, text, unread
        super().__init__(text)

    def reply(self, request_id: int) -> Reply:
        """Say so in the form that clients of GWS know."""
        return error_reply(request_id, self.status, self.code, self.text)


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """Return the body of a request, decoded from its Content-Encoding.

    :raises Refused: if it has more than `limit` bytes, sent or decoded, or isn't what its Content-Encoding says.
    :raises Disconnected: if the client hung up.
    """
    announced = headers.get("content-length")
    if announced is not None and len(announced) > 4 and int(announced) > limit:
        raise _too_long(f"{announced} bytes", limit, unread=True)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _rest(body, receive, limit)
    coding = headers.get("content-encoding")
    return body if coding is None or not body else _decoded(body, coding.strip().lower(), limit)


async def _rest(begun: bytes, receive: Receive, limit: int) -> bytes:
    body, more = bytearray(begun), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise _too_long("more", limit, unread=more)
    return bytes(body)


def _decoded(body: bytes, coding: str, limit: int) -> bytes:
    if coding == "identity":
        return body
    if coding not in _WINDOW_BITS:
        raise Refused(415, 2, f"found Content-Encoding {coding!r}; expected gzip, deflate or none")
    decoder = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        decoded = decoder.decompress(body, limit + 1)
    except zlib.error:
        raise Refused(400, 2, "the body isn't what its Content-Encoding says") from None
    if len(decoded) > limit:
        raise _too_long("more, decoded", limit)
    if not decoder.eof:
        raise Refused(400, 2, "the body isn't what its Content-Encoding says")
    return decoded


def _too_long(found: str, limit: int, *, unread: bool = False) -> Refused:
    return Refused(413, 10, f"the body has {found}; expected at most {limit} bytes", unread=unread)
