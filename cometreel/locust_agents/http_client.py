"""HTTP/1.1 for clients without I/O: requests to bytes, bytes to replies."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, NamedTuple

import httptools

from cometreel.errors import PeerError
from cometreel.jsonvalue import JSON

__all__ = ["FORM_KIND", "BrokenReply", "HttpReply", "ReplyParser", "RequestHead", "known_reply", "lenient_json"]

JSON_KIND, FORM_KIND = b"application/json;charset=UTF-8", b"application/x-www-form-urlencoded"


_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # mypy doesn't know it
_OPENING: Final = ("{", "[")


def lenient_json(body: bytes) -> JSON:
    """Parse a body as JSON; None if it isn't JSON. It is faster and less strict than `cometreel.jsonvalue`."""
    try:
        text = body.decode()
        value: JSON = _scan(text if text[:1] in _OPENING else text.lstrip(), 0)[0]
    except (ValueError, StopIteration):
        return None
    return value


class BrokenReply(PeerError):
    """The server sent invalid HTTP, or closed the connection before the end of a reply."""


class HttpReply(NamedTuple):
    """One complete reply. Header names are lower-case. `last` is true if the connection can't be used again."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    last: bool

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this lower-case name, or None."""
        return next((value for known, value in self.headers if known == name), None)


class RequestHead:
    """The headers that all requests of an agent share, encoded in advance."""

    __slots__ = ("_fields", "_host", "_joined")

    def __init__(self, host: str, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._host = host
        self._fields = dict(fields)
        self._joined = self._join()

    def set_field(self, name: str, value: str) -> None:
        """Set a header for all later requests; an empty value removes it."""
        if self._fields.get(name, "") != value:
            self._fields[name] = value
            self._joined = self._join()

    def _join(self) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self._fields.items() if value)
        return f" HTTP/1.1\r\nHost: {self._host}\r\n{fields}".encode("latin-1")

    def get(self, target: str, extra: bytes = b"") -> bytes:
        """Return a GET as bytes. `extra` contains headers of this request only, each with its line end."""
        return b"GET " + target.encode("ascii") + self._joined + extra + b"\r\n"

    def post(self, target: str, body: bytes, extra: bytes = b"", *, kind: bytes = JSON_KIND) -> bytes:
        """Return a POST as bytes. `kind` is the media type of its body."""
        tail = b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
        return b"POST " + target.encode("ascii") + self._joined + extra + tail + body


_HEAD_END: Final = b"\r\n\r\n"
_KNOWN: Final[dict[bytes, tuple[HttpReply, int]]] = {}
"""Heads of earlier replies, each with its reply without the body, and the length of the body.

The replies of a server repeat few heads, so that most are looked up instead of parsed.
"""
_MOST_KNOWN: Final = 1_000
_LONGEST_KNOWN: Final = 1_000  # bytes


def known_reply(data: bytes) -> HttpReply | None:
    """Return the reply if `data` is exactly one reply with the head of an earlier one; else use a `ReplyParser`."""
    end = data.find(_HEAD_END) + 4
    known = _KNOWN.get(data[:end])
    if known is None:
        return None
    reply, length = known
    if len(data) != end + length:
        return None
    return HttpReply(reply.status, reply.headers, data[end:], last=False)


def _remember_head(data: bytes, reply: HttpReply) -> None:
    """Remember the head of a reply that `data` contains exactly: the head alone defines the length of its body."""
    end = data.find(_HEAD_END) + 4
    has_length = data.startswith(b"HTTP/1.") and any(name == b"content-length" for name, _ in reply.headers)
    if reply.last or not has_length or end > _LONGEST_KNOWN or len(data) != end + len(reply.body):
        return
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()  # a server with a header that differs in each reply
    _KNOWN[data[:end]] = reply._replace(body=b""), len(reply.body)


class ReplyParser:
    """Parses replies: with a length, chunked, or ended by the connection. 1xx replies are skipped."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._replies: list[HttpReply] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._in_reply = False  # a reply has started and isn't complete
        self._has_headers = False  # its headers are complete
        self.idle = True
        """True between two replies; the parser can be used for another connection then."""

    def feed(self, data: bytes) -> list[HttpReply]:
        """Return the replies that this data completes.

        :raises BrokenReply: if it isn't HTTP.
        """
        starts_reply = not self._in_reply
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise BrokenReply("the server switched to another protocol without a request for it") from None
        except httptools.HttpParserError as error:
            raise BrokenReply(f"the data is not an HTTP reply: {error}") from None
        replies, self._replies = self._replies, []
        if starts_reply and len(replies) == 1:
            _remember_head(data, replies[0])
        return replies

    def end(self) -> list[HttpReply]:
        """Handle the end of the connection, which completes a reply without a length.

        :raises BrokenReply: if a reply is incomplete.
        """
        if not self._in_reply:
            return []
        known = {name for name, _ in self._headers}
        if not (self._has_headers and known.isdisjoint({b"content-length", b"transfer-encoding"})):
            raise BrokenReply("the connection ended within a reply")
        self._complete(self._parser.get_status_code(), last=True)
        replies, self._replies = self._replies, []
        return replies

    # ------------------------------------------------------------------ callbacks of httptools
    def on_message_begin(self) -> None:
        """Start a reply."""
        self._headers, self._body, self._has_headers = [], [], False
        self._in_reply, self.idle = True, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Mark the headers as complete."""
        self._has_headers = True

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Finish a reply, unless it is an interim reply (RFC 9110 §15.2)."""
        status = self._parser.get_status_code()
        if status >= 200:
            self._complete(status, last=not self._parser.should_keep_alive())

    def _complete(self, status: int, *, last: bool) -> None:
        self._in_reply, self.idle = False, not last
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._replies.append(HttpReply(status, tuple(self._headers), body, last))
        self._headers, self._body = [], []
