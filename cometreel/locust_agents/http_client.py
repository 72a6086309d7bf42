"""HTTP/1.1 as a client sees it, without I/O: a request becomes bytes, bytes become replies. No socket may enter."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

import httptools

from cometreel.errors import PeerError
from cometreel.jsonvalue import JSON

__all__ = ["BrokenReply", "ReplyParser", "HttpReply", "RequestHead", "lenient_json"]


_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # the type checker doesn't know it


def lenient_json(body: bytes) -> JSON:
    """Read a body as JSON, None where it is none: what the strict reader refuses matters to recordings, not to load."""
    try:
        value: JSON = _scan(body.decode().lstrip(), 0)[0]
    except (ValueError, StopIteration):
        return None
    return value


class BrokenReply(PeerError):
    """Bytes that are no HTTP reply, or a reply that its connection didn't live to finish."""


class HttpReply(NamedTuple):
    """One whole reply. Header names are lower-case; `last` says that the connection carries no further one."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    last: bool

    def header(self, name: bytes) -> bytes | None:
        """Return the first field of that lower-case name, or None."""
        return next((value for known, value in self.headers if known == name), None)


class RequestHead:
    """The fields that all requests of an agent share, joined once and again whenever one changes."""

    __slots__ = ("_fields", "_host", "_joined")

    def __init__(self, host: str, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._host = host
        self._fields = dict(fields)
        self._joined = self._join()

    def set_field(self, name: str, value: str) -> None:
        """Send this field from now on; an empty value sends it no longer."""
        if self._fields.get(name, "") != value:
            self._fields[name] = value
            self._joined = self._join()

    def _join(self) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self._fields.items() if value)
        return f" HTTP/1.1\r\nHost: {self._host}\r\n{fields}".encode("latin-1")

    def get(self, target: str, extra: bytes = b"") -> bytes:
        """Return a GET as bytes; `extra` are fields of this request alone, each with its line end."""
        return b"GET " + target.encode("ascii") + self._joined + extra + b"\r\n"

    def post(self, target: str, body: bytes, extra: bytes = b"") -> bytes:
        """Return a POST of JSON as bytes."""
        tail = b"Content-Type: application/json;charset=UTF-8\r\nContent-Length: %d\r\n\r\n" % len(body)
        return b"POST " + target.encode("ascii") + self._joined + extra + tail + body


class ReplyParser:
    """Reads the replies of a connection: of any length, chunked, ended by the connection, after any number of 1xx."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._replies: list[HttpReply] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._in_reply = False  # a reply has begun and isn't whole yet
        self._has_headers = False  # its fields are all there
        self.idle = True
        """Whether it is between two replies: it may read another connection then."""

    def feed(self, data: bytes) -> list[HttpReply]:
        """Return the replies that these bytes complete.

        :raises BrokenReply: if they are no HTTP.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise BrokenReply("the server switched to another protocol unasked") from None
        except httptools.HttpParserError as error:
            raise BrokenReply(f"what came is no HTTP reply: {error}") from None
        replies, self._replies = self._replies, []
        return replies

    def end(self) -> list[HttpReply]:
        """Take the end of the connection: a reply without a length is whole with it.

        :raises BrokenReply: if it ends within a reply.
        """
        if not self._in_reply:
            return []
        known = {name for name, _ in self._headers}
        if not (self._has_headers and known.isdisjoint({b"content-length", b"transfer-encoding"})):
            raise BrokenReply("the connection ended within a reply")
        self._complete(self._parser.get_status_code(), last=True)
        replies, self._replies = self._replies, []
        return replies

    # ------------------------------------------------------------------ what httptools calls
    def on_message_begin(self) -> None:
        """Begin a reply."""
        self._headers, self._body, self._has_headers = [], [], False
        self._in_reply, self.idle = True, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Note that only the body is missing now."""
        self._has_headers = True

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, without its chunk's frame."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """End a reply, unless it only announces the real one (RFC 9110 §15.2)."""
        status = self._parser.get_status_code()
        if status >= 200:
            self._complete(status, last=not self._parser.should_keep_alive())

    def _complete(self, status: int, *, last: bool) -> None:
        self._in_reply, self.idle = False, not last
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._replies.append(HttpReply(status, tuple(self._headers), body, last))
        self._headers, self._body = [], []
