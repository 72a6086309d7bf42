"""Parses the bytes of a connection into HTTP requests (httptools), and refuses invalid ones. No I/O.

A parser is needed only while a request is incomplete: an idle connection and one with a held poll have none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Protocol
from urllib.parse import unquote

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from cometreel.bounded_cache import BoundedCache
from cometreel.http_fields import CACHED_LENGTH, RawFields, field_text
from cometreel.serve.asgi import base_url
from cometreel.wire import Headers

__all__ = [
    "HEAD_END",
    "IncomingRequest",
    "KnownHeads",
    "ParsedHead",
    "RequestParser",
    "RequestReceiver",
    "RequestRejected",
]

MAX_HEAD: Final = 64 * 1024  # bytes; Jetty in GWS accepts less
HEAD_END: Final = b"\r\n\r\n"
_HEAD_OVERHEAD: Final = 2000  # bytes of a known head besides its text
_SEEN: Final = 4096
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


class RequestRejected(Exception):
    """A request that is not valid or too slow: it gets an error, and the application is not called."""

    def __init__(self, status: int, code: int, text: str) -> None:
        self.status, self.code, self.text = status, code, text
        super().__init__(text)


class ParsedHead:
    """The method, target and fields of a request. Equal heads may be the same object: nothing changes it.

    `raw_path` and `raw_query` are as sent, `path` and `query` the same as text, `decoded_path` without
    percent-encoding. `base` is scheme and authority as the client used them. `length` is the number in
    Content-Length, 0 without one. `keep_alive` is False if the client wants the connection closed.
    """

    __slots__ = (
        "base",
        "decoded_path",
        "expects_continue",
        "fields",
        "headers",
        "is_chunked",
        "keep_alive",
        "length",
        "method",
        "path",
        "query",
        "raw_path",
        "raw_query",
        "version",
    )

    def __init__(self, method: str, target: bytes, version: str, fields: RawFields, *, keep_alive: bool) -> None:
        url = parse_url(target)
        self.method, self.version, self.fields = method, version, fields
        self.raw_path: bytes = url.path or b"/"  # `GET http://host` has none (RFC 9112 §3.2.2)
        self.raw_query: bytes = url.query or b""
        self.path = self.raw_path.decode("ascii")
        self.query = self.raw_query.decode("utf-8", "surrogateescape")
        self.decoded_path = unquote(self.path) if "%" in self.path else self.path
        self.headers = Headers([(field_text(name), value.decode("utf-8", "surrogateescape")) for name, value in fields])
        self.keep_alive = keep_alive
        self.length = 0
        self.is_chunked = self.expects_continue = False
        for name, value in fields:
            if name == b"content-length":
                self.length = int(value)
            elif name == b"transfer-encoding":
                self.is_chunked = True
            elif name == b"expect":
                self.expects_continue = self.expects_continue or value.lower() == b"100-continue"
        self.base = ""  # set by the parser, which knows the scheme and the server's address

    def without_fields(self) -> ParsedHead:
        """Return a head with the same method, version and `keep_alive`; all heads with the same three share it."""
        return _bare_head(self.method, self.version, keep_alive=self.keep_alive)


@lru_cache(maxsize=64)
def _bare_head(method: str, version: str, *, keep_alive: bool) -> ParsedHead:
    return ParsedHead(method, b"/", version, (), keep_alive=keep_alive)


class KnownHeads:
    """The heads of recent requests, by their bytes: a client sends the same head again and again.

    Looking a head up is all the parsing that its next request needs. A head is kept when it comes for the second time,
    because the heads of many clients that send one request each would only take memory.
    """

    def __init__(self, limit: int) -> None:
        self._seen = [0] * _SEEN  # hashes of recent heads, each at the place that its last digits give
        self._heads: BoundedCache[bytes, ParsedHead] = BoundedCache(limit)
        self.get = self._heads.get
        """Returns the head with these bytes, to the end of its empty line; None if it is not known."""

    def learn(self, data: bytes, head: ParsedHead) -> None:
        """Keep the head of the last request in `data`, if `data` is this request and nothing else.

        The first empty line ends the first head. Another request, or an empty line before the first one, would make
        the data longer than the first head and the body of the last request.
        """
        size = data.find(HEAD_END) + len(HEAD_END)
        if size + head.length != len(data) or head.is_chunked or head.expects_continue:
            return
        hashed = hash(begin := data[:size])
        if self._seen[hashed % _SEEN] != hashed:
            self._seen[hashed % _SEEN] = hashed
        elif head.headers.get("host") is not None and self.get(begin) is None:
            head.fields = ()  # only ASGI needs them
            self._heads.put(begin, head, 4 * size + _HEAD_OVERHEAD)


class IncomingRequest:
    """A request whose body may still be arriving."""

    __slots__ = ("_body", "head", "is_complete", "is_discarded")

    def __init__(self, head: ParsedHead, body: bytes = b"", *, is_complete: bool = False) -> None:
        self.head, self.is_complete = head, is_complete
        self.is_discarded = False
        """True if the rest of the body is not needed, because the request is answered already."""
        self._body: bytes | bytearray = body

    @property
    def size(self) -> int:
        """The bytes of the body that have arrived and were not taken."""
        return len(self._body)

    def add(self, piece: bytes) -> None:
        """Add a part of the body."""
        if self.is_discarded:
            return
        if not self._body:
            self._body = piece
        elif isinstance(self._body, bytearray):
            self._body += piece
        else:
            self._body = bytearray(self._body) + piece

    def take(self) -> bytes:
        """Return what has arrived since the last call."""
        taken, self._body = self._body, b""
        return bytes(taken)

    def discard(self) -> None:
        """Discard the body, also the part that is still to come."""
        self.is_discarded, self._body = True, b""


class RequestReceiver(Protocol):
    """Takes what a parser finds, in this order. These methods are called by `RequestParser.feed`."""

    @property
    def secure(self) -> bool:
        """True for TLS."""

    def server_address(self) -> tuple[str, int]:
        """Return the address and port that the client connected to."""

    def accepts_websocket(self) -> bool:
        """True if the connection may become a WebSocket now: no earlier request is unanswered."""

    def message_begun(self) -> None:
        """Take note that the first byte of a request was received."""

    def head_received(self, incoming: IncomingRequest) -> None:
        """Take a request whose body follows."""

    def body_received(self, incoming: IncomingRequest) -> None:
        """Take note that a part of the body was added."""

    def request_received(self, incoming: IncomingRequest) -> None:
        """Take note that the request is complete."""

    def websocket_offered(self, head: ParsedHead, rest: bytes) -> None:
        """Take the upgrade to a WebSocket, and the bytes after it. The parser is not used any more."""


class RequestParser:
    """Parses the requests of one connection at a time; `start` connects it to another one.

    `is_begun` is True while a request is incomplete, `incoming` is this request once its head is complete, and
    `last_head` is the head of the last complete request.
    """

    def __init__(self) -> None:
        self.incoming: IncomingRequest | None = None
        self.last_head: ParsedHead | None = None
        self.is_begun = False
        self._receiver: RequestReceiver
        self._reset()

    def start(self, receiver: RequestReceiver) -> None:
        """Parse for this connection from now on."""
        self._receiver = receiver

    def discard(self) -> None:
        """Free this parser: it and that of httptools refer to each other, so only the garbage collector would."""
        del self._http, self._receiver

    @property
    def is_idle(self) -> bool:
        """True between two requests, if this parser can be used for another connection."""
        return not self.is_begun and self._is_reusable

    def _reset(self) -> None:
        self._http = HttpRequestParser(self)
        self._http.set_dangerous_leniencies(lenient_data_after_close=True)  # requests after `Connection: close`
        self._is_reusable = True
        self._url, self._fields = b"", list[tuple[bytes, bytes]]()
        self._all_fields: list[tuple[bytes, bytes]] | None = None  # those of a head that is parsed without Upgrade
        self._upgrade: bytes | None = None
        self._head_size = self._data_size = 0
        self._mixed_size = 0  # of the data that ended an earlier request and began this head
        self._head_only = True  # False if the data that is being parsed has a body or the end of a request

    def feed(self, data: bytes) -> None:
        """Parse data, and call the receiver for what was found.

        :raises RequestRejected: if a request is invalid; then this parser can't be used any more.
        """
        self._data_size, self._head_only = len(data), True
        try:
            stopped_at = self._feed(data)
            if stopped_at is not None and not self._resume(data, stopped_at):
                return
            if self._head_only:
                self._head_size += len(data)
                self._check_head_size(self._head_size)
            else:
                self._mixed_size = len(data)
                if len(data) > MAX_HEAD:
                    self._head_size = self._parsed_size()
                    self._check_head_size(self._head_size)
        except HttpParserError as error:
            self._is_reusable = False
            reason = error.__context__ if isinstance(error, HttpParserCallbackError) else None
            if not isinstance(reason, RequestRejected):
                reason = RequestRejected(400, 2, f"the request is not valid HTTP: {reason or error}")
            try:
                raise reason from None
            finally:
                del reason  # its traceback refers to this call

    def _feed(self, data: bytes | memoryview) -> int | None:
        """Pass data to httptools; return the end of a head that offers an upgrade, None if there is none."""
        try:
            self._http.feed_data(data)
        except HttpParserUpgrade as stopped:
            return int(stopped.args[0])
        return None

    def _resume(self, data: bytes, offset: int) -> bool:
        """Parse on after a head that offers an upgrade; return False if another protocol took over.

        The parser stops after such a head as if no body could follow. A head whose offer is not accepted is parsed
        again without it (RFC 9110 §7.8: a server may ignore the field).
        """
        left = memoryview(data)
        while self._upgrade != b"websocket":
            left = left[offset:]
            plain, all_fields = self._head_without_upgrade(), self._fields
            self._reset_keeping_sizes()
            self._all_fields = all_fields
            self._http.feed_data(plain)
            stopped_at = self._feed(left)
            if stopped_at is None:
                return True
            offset = stopped_at
        self._is_reusable = False
        fields = [field for field in self._fields if field[0] != b"upgrade"]
        head = self._made_head([*fields, (b"upgrade", b"websocket")])
        self._receiver.websocket_offered(head, bytes(left[offset:]))
        return False

    def _reset_keeping_sizes(self) -> None:
        """Use a new parser of httptools: the old one is at the end of a connection."""
        sizes = self._data_size, self._head_only
        self._reset()
        self._data_size, self._head_only = sizes
        self._is_reusable = False

    def _head_without_upgrade(self) -> bytes:
        fields = b"".join(b"%b: %b\r\n" % field for field in self._fields if field[0] != b"upgrade")
        method, version = self._http.get_method(), self._http.get_http_version().encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self._url, version, fields)

    def _parsed_size(self) -> int:
        """Return the size of the target and of the fields, or of the trailer fields, that were parsed so far."""
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._fields)

    def _check_head_size(self, size: int) -> None:
        if size > MAX_HEAD:
            raise RequestRejected(431, 2, f"the head of the request is longer than {MAX_HEAD} bytes")

    def _made_head(self, fields: RawFields) -> ParsedHead:
        http, receiver = self._http, self._receiver
        version = http.get_http_version()
        keep_alive = version != "1.0" and http.should_keep_alive()
        head = ParsedHead(http.get_method().decode("ascii"), self._url, version, fields, keep_alive=keep_alive)
        head.base = base_url(head.headers, secure=receiver.secure, server=receiver.server_address)
        return head

    # ------------------------------------------------------------------ callbacks of httptools
    def on_message_begin(self) -> None:
        """Start a request."""
        self._url, self._fields, self.last_head = b"", [], None
        self._head_size, self._mixed_size, self._upgrade = 0, 0, None
        self.is_begun = True
        self._receiver.message_begun()

    def on_url(self, url: bytes) -> None:
        """Add a part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a field."""
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the head, and pass it to the connection."""
        if self._mixed_size + self._head_size + self._data_size > MAX_HEAD:
            self._check_head_size(self._parsed_size())
        http = self._http
        _check_host(self._fields, http)
        if http.should_upgrade():  # the parser stops after this callback
            method = http.get_method()
            if method == b"CONNECT":
                raise RequestRejected(501, 2, "found the method CONNECT; this server is not a proxy")
            accepted = method == b"GET" and http.get_http_version() == "1.1" and self._receiver.accepts_websocket()
            self._upgrade = b"websocket" if accepted and _offers_websocket(self._fields) else b"ignored"
            return
        fields, self._all_fields = self._all_fields or self._fields, None
        head = self._made_head(fields)
        self._fields = []  # from now on for trailer fields, which are discarded (RFC 9110 §6.5.1)
        self.incoming = IncomingRequest(head)
        self._receiver.head_received(self.incoming)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._head_only = False
        if self.incoming is not None:
            self.incoming.add(body)
            self._receiver.body_received(self.incoming)

    def on_message_complete(self) -> None:
        """Record that the request is complete."""
        self._head_only, self._head_size = False, 0
        if self._upgrade is None and self.incoming is not None:
            incoming, self.incoming = self.incoming, None
            self.is_begun, self.last_head = False, incoming.head
            self._is_reusable = self._is_reusable and incoming.head.keep_alive
            incoming.is_complete = True
            self._receiver.request_received(incoming)


def _check_host(fields: RawFields, parser: HttpRequestParser) -> None:
    """Refuse a request without Host, with more than one, or with an invalid one (RFC 9112 §3.2)."""
    host = None
    for name, value in fields:
        if name == b"host":
            if host is not None:
                raise RequestRejected(400, 2, "the request has more than one Host field; expected one")
            host = value
    if host is None:
        if parser.get_http_version() != "1.0":
            raise RequestRejected(400, 2, "the request has no Host field; expected one")
    elif len(host) > CACHED_LENGTH or not _is_host(host):
        raise RequestRejected(400, 2, "the Host field is invalid; expected a name and a port, as localhost:8080")


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _offers_websocket(fields: RawFields) -> bool:
    return any(
        option.strip().lower() == b"websocket"
        for name, value in fields
        if name == b"upgrade"
        for option in value.split(b",")
    )
