"""Replies as the bytes of HTTP/1.1: a whole reply in one piece, or the head and the parts of one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from cometreel.bounded_cache import BoundedCache
from cometreel.cors import CrossOriginAccess
from cometreel.http_fields import BODILESS, RawFields, error_reply, field_bytes, headers_from_raw, raw_from_headers
from cometreel.serve.asgi import reply_fields, response_fields
from cometreel.serve.request_parser import ParsedHead, RequestRejected
from cometreel.wire import Begin, Headers, Reply

__all__ = [
    "CLOSE_FIELD",
    "CONTINUE",
    "LAST_CHUNK",
    "FieldInvalid",
    "ReplyBatch",
    "chunk_bytes",
    "cors_fields",
    "head_bytes",
    "parts_head_bytes",
    "rejection_bytes",
    "reply_bytes",
    "reply_bytes_with_cors",
]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
CLOSE_FIELD: Final = (b"connection", b"close")
CHUNKED_FIELD: Final = (b"transfer-encoding", b"chunked")
_CLOSE_LINE: Final = b"connection: close\r\n"
_NOT_IN_NAME = re.compile(rb"[\x00-\x1f\x7f()<>@,;:\[\]={} \t\\\"]")
_NOT_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_BATCH: Final = 16  # replies
_MAX_BATCH_BYTES: Final = 64 * 1024  # as much as a transport takes until it reports that the client does not read
_OVERHEAD: Final = 500  # bytes of a cached head besides its text

_HEADS: BoundedCache[tuple[object, ...], bytes] = BoundedCache(8_000_000)
"""Status line and fields of recent replies, without Content-Length and Connection: most replies share a few."""


class FieldInvalid(Exception):
    """A reply has a field whose name or value can't be sent."""


class ReplyBatch:
    """The replies of one iteration of the event loop, which are written together at its end, in their order.

    The kernel wakes the client that waits for a reply, which costs more than the write. A client with several
    connections, such as a browser or a load generator, is awake when the second reply of a batch is written.
    """

    __slots__ = ("_loop", "_replies", "_size")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._replies: list[tuple[asyncio.WriteTransport, bytes]] = []
        self._size = 0  # bytes of these replies

    def add(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Add a reply. A full batch is written at once."""
        replies = self._replies
        if not replies:
            self._loop.call_soon(self.write)
        replies.append((transport, data))
        self._size += len(data)
        if len(replies) >= _MAX_BATCH or self._size >= _MAX_BATCH_BYTES:
            self.write()

    def write(self) -> None:
        """Write the replies, except to clients that are gone."""
        if self._replies:
            replies, self._replies, self._size = self._replies, [], 0
            for transport, data in replies:
                if not transport.is_closing():
                    transport.write(data)


def reply_bytes(reply: Reply, head: ParsedHead, *, close: bool) -> bytes:
    """Return a reply to a request with this head; with `close`, the connection is closed after it.

    :raises FieldInvalid: if a field can't be sent.
    """
    begin = _HEADS.get((reply.status, reply.headers.fields)) or _encoded(reply)
    if head.method == "HEAD" or reply.status in BODILESS:
        fields = [field for field in reply_fields(reply, head.method) if field[0] == b"content-length"]
        return b"%b%b%b\r\n" % (begin, _lines(fields), _CLOSE_LINE if close else b"")
    body = reply.body
    if close:
        return b"%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (begin, len(body), body)
    return b"%bcontent-length: %d\r\n\r\n%b" % (begin, len(body), body)


def reply_bytes_with_cors(reply: Reply, head: ParsedHead, cors: CrossOriginAccess, *, close: bool) -> bytes:
    """Return a reply as `reply_bytes` does, with the fields for the page that sent the request.

    :raises FieldInvalid: if a field can't be sent.
    """
    fields = cors_fields(cors, head.headers, reply_fields(reply, head.method))
    body = b"" if head.method == "HEAD" or reply.status in BODILESS else reply.body
    return head_bytes(reply.status, fields, close=close) + body


def parts_head_bytes(begin: Begin, head: ParsedHead, cors: CrossOriginAccess | None, *, close: bool) -> bytes:
    """Return the head of a reply that is sent in parts: chunked, or delimited by the end of the connection.

    :raises FieldInvalid: if a field can't be sent.
    """
    fields: RawFields = [*response_fields(begin.headers)]
    if cors is not None:
        fields = cors_fields(cors, head.headers, fields)
    chunked = head.method != "HEAD" and head.version != "1.0" and begin.status not in BODILESS
    return head_bytes(begin.status, fields, close=close, chunked=chunked)


def chunk_bytes(data: bytes) -> bytes:
    """Return a part of a body in the chunked transfer coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def cors_fields(cors: CrossOriginAccess, request: Headers, fields: RawFields) -> RawFields:
    """Return the fields of a reply with those for the page that sent the request."""
    named = Headers(cors.fields(request, headers_from_raw(fields)))
    return [(name.lower(), value) for name, value in raw_from_headers(named)]


def head_bytes(
    status: int, fields: Iterable[tuple[bytes, bytes]], *, close: bool = False, chunked: bool = False
) -> bytes:
    """Return a status line and fields; with `close` also Connection, if it isn't one of them.

    :raises FieldInvalid: if a field can't be sent.
    """
    fields = [*fields]
    if close and not any(name == b"connection" and b"close" in _options(value) for name, value in fields):
        fields.append(CLOSE_FIELD)
    if chunked:
        fields.append(CHUNKED_FIELD)
    return b"%b%b\r\n" % (_status_line(status), _lines(fields))


def rejection_bytes(rejected: RequestRejected) -> bytes:
    """Return the error for a request that never reached the application; the connection is closed after it."""
    reply = error_reply(0, rejected.status, rejected.code, rejected.text)
    fields = reply_fields(reply)
    return head_bytes(reply.status, fields, close=True) + reply.body


def _encoded(reply: Reply) -> bytes:
    """Encode the head of a reply, and keep it for the next reply with the same status and fields.

    Each session has its own cookie, so a Set-Cookie at the end is encoded for each reply.
    """
    fields, own = reply.headers.fields, b""
    while fields and fields[-1][0] == "Set-Cookie":
        own = _lines(((b"set-cookie", field_bytes(fields[-1][1])),)) + own
        fields = fields[:-1]
    key = (reply.status, fields)
    begin = _HEADS.get(key)
    if begin is None:
        begin = _status_line(reply.status) + _lines(response_fields(fields))
        _HEADS.put(key, begin, 2 * len(begin) + _OVERHEAD)
    return begin + own


def _lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    lines = []
    for name, value in fields:
        if _NOT_IN_NAME.search(name) or _NOT_IN_VALUE.search(value):
            raise FieldInvalid(f"the field {name!r} has a name or a value that HTTP doesn't allow")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


def _options(value: bytes) -> list[bytes]:
    return [option.strip().lower() for option in value.split(b",")]
