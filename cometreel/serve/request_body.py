"""Reads and decodes the body of a request, with limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType

from starlette.types import Receive

from cometreel.content_codings import CODINGS, BodyTooLong, CodingInvalid, decode_body
from cometreel.extras import install_command, missing_distributions
from cometreel.http_fields import error_reply
from cometreel.wire import Headers, Reply

__all__ = [
    "LINGER",
    "BodyRefused",
    "ClientDisconnected",
    "announced_too_long",
    "decoded_body",
    "finish_reading",
    "is_too_long",
    "read_body",
    "too_long",
]

logger = logging.getLogger(__name__)

_SHORT = 9999  # bytes
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
    announced = int(headers.get("content-length") or 0)
    if is_too_long(announced, limit):
        raise announced_too_long(announced, limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    body = bytes(message.get("body", b""))  # some servers give a memoryview, which has no hash
    more = message.get("more_body", False)
    longest = limit if headers.get("content-length") is None else max(limit, announced)
    if more or len(body) > longest:
        body = await _rest(body, receive, longest, more=more)
    return decoded_body(headers, body, limit)


def decoded_body(headers: Headers, body: bytes, limit: int) -> bytes:
    """Return a body decoded from its Content-Encoding.

    :raises BodyRefused: if it decodes to more than `limit` bytes, or its Content-Encoding is wrong.
    """
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


async def _rest(begun: bytes, receive: Receive, limit: int, *, more: bool) -> bytes:
    body = bytearray(begun)
    while more and len(body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > limit:
        raise too_long(limit, unread=more)
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


def is_too_long(announced: int, limit: int) -> bool:
    """True if a body with this Content-Length is refused unread. The engine refuses a short one that it has read."""
    return announced > limit and announced > _SHORT


def announced_too_long(length: int, limit: int) -> BodyRefused:
    """Return the refusal of a body with this Content-Length."""
    return _too_long(f"{length} bytes", limit, unread=True)


def too_long(limit: int, *, unread: bool) -> BodyRefused:
    """Return the refusal of a body that has exceeded the limit while it was read."""
    return _too_long("more", limit, unread=unread)


def _too_long(found: str, limit: int, *, unread: bool = False) -> BodyRefused:
    return BodyRefused(413, 10, f"the body has {found}; expected at most {limit} bytes", unread=unread)
