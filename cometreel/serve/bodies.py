"""Reading the body of a request: bounded, decoded, refused early. Knows ASGI's `receive`; no engine may enter."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from cometreel.engine.session_resolver import error_reply
from cometreel.wire import Headers, Reply

__all__ = ["Disconnected", "Refused", "finish_reading", "read_body"]

LINGER = 2.0  # seconds that a client may go on sending a body that was refused: cut off, it would not read why


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


async def finish_reading(receive: Receive) -> None:
    """Let the client finish sending what nobody reads, for a while: else it may never see the answer."""
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
            raise Disconnected
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise _too_long("more", limit, unread=more)
    return bytes(body)


def _decoded(body: bytes, coding: str, limit: int) -> bytes:
    from cometreel.serve.codings import CODINGS, NotCoded, TooLong, decoded  # noqa: PLC0415  # 10 ms, seldom needed

    if coding not in CODINGS:
        raise Refused(415, 2, f"found Content-Encoding {coding!r}; expected gzip, deflate, br, zstd or none")
    try:
        return decoded(body, coding, limit)
    except NotCoded:
        raise Refused(400, 2, "the body isn't what its Content-Encoding says") from None
    except TooLong:
        raise _too_long("more, decoded", limit) from None


def _too_long(found: str, limit: int, *, unread: bool = False) -> Refused:
    return Refused(413, 10, f"the body has {found}; expected at most {limit} bytes", unread=unread)
