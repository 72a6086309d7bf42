"""The connections of the HTTP server: uvicorn's, with `ConnectionControl`, limits for slow clients and strict heads.

`HttpConnection` and `WebSocketConnection` are values of uvicorn's options `http` and `ws`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application, ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from cometreel.http_fields import CACHED_LENGTH, RawFields, error_reply
from cometreel.masking import masked_text
from cometreel.scenario.matchers import shortened
from cometreel.serve.asgi import CONNECTION_CONTROL

__all__ = ["HttpConnection", "Limits", "RequestRejected", "WebSocketConnection"]

logger = logging.getLogger(__name__)
uvicorn_logger = logging.getLogger(f"{__name__}.uvicorn")
"""Logs errors only: uvicorn logs each WebSocket in up to four lines, with its whole query."""
uvicorn_logger.setLevel(logging.ERROR)

MAX_HEAD = 64 * 1024  # bytes; Jetty in GWS accepts less
LINGER = 2.0  # seconds to read on after an error
MAX_PIPELINED = 16  # requests that are read before earlier ones are answered; then a disconnect is noticed late
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server for its clients."""

    connections: int
    """The maximum number of open connections; another one gets 503."""
    request_seconds: float = 60.0
    """The maximum time for receiving a request, head and body; then it gets 408."""
    write_seconds: float = 60.0
    """The maximum time that a client may not read its response; then its connection is closed."""
    frame_bytes: int = 16 * 1024 * 1024
    """The maximum size of a WebSocket message; a larger one closes its connection."""


class _BufferedTransport:
    """The transport to which uvicorn writes responses; it can buffer them."""

    __slots__ = ("_buffered", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self.is_closing = transport, transport.is_closing
        self._buffered: list[bytes] | None = None

    def write(self, data: bytes) -> None:
        """Write, or buffer."""
        if self._buffered is not None:
            self._buffered.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close when everything is written."""
        self.flush()
        self._transport.close()

    def buffer(self) -> None:
        """Buffer what is written from now on."""
        self._buffered = []

    def flush(self) -> None:
        """Write the buffered bytes with one send, and stop buffering."""
        buffered, self._buffered = self._buffered, None
        if buffered and not self._transport.is_closing():
            self._transport.write(b"".join(buffered))


class RequestRejected(Exception):
    """A request that is not valid or too slow: it gets an error, and the application is not called."""

    def __init__(self, status: int, code: int, text: str) -> None:
        self.status, self.code, self.text = status, code, text
        super().__init__(text)


class _BlockedWriting(asyncio.Protocol):
    """A connection that knows for how long its client has not read."""

    loop: asyncio.AbstractEventLoop
    _blocked_since: float | None = None

    def pause_writing(self) -> None:
        """Record the time since which the client does not read."""
        self._blocked_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        self._blocked_since = None
        super().resume_writing()

    def _is_blocked(self, now: float, limits: Limits) -> bool:
        """Return True if the client has not read for too long."""
        return self._blocked_since is not None and now - self._blocked_since > limits.write_seconds


class HttpConnection(_BlockedWriting, HttpToolsProtocol):
    """One HTTP connection. Call `check_timeouts` regularly.

    Requests are answered in their order, also a request that is refused; the connection is closed after that.
    """

    lost = False
    _output: _BufferedTransport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # uvicorn's type; not used here
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.logger, self.access_log = logger, False
        self._limits = limits
        self._extensions = {CONNECTION_CONTROL: self}
        self._reading_since: float | None = loop.time()  # None while no request is being received
        self._lingering_since: float | None = None
        self._refused: RequestRejected | None = None
        self._running: RequestResponseCycle | None = None
        self._started = False
        self._head_size = self._data_size = 0
        self._head_only = True  # False if the data that is being parsed has a body or the end of a request
        self._upgrade: bytes | None = None
        self._all_fields: list[tuple[bytes, bytes]] | None = None  # those of a request that is parsed without Upgrade

    def abort(self) -> None:
        """Close the connection immediately, without a reply."""
        self.lost = True
        self.transport.abort()

    def buffer(self) -> None:
        """Buffer what is written from now on."""
        self._output.buffer()

    def flush(self) -> None:
        """Write the buffered bytes with one send."""
        self._output.flush()

    def check_timeouts(self, now: float) -> None:
        """Close the connection if its client is too slow."""
        limits = self._limits
        if self._is_blocked(now, limits):
            logger.warning(
                "A connection was closed: its client did not read a response for %g s.", limits.write_seconds
            )
            self.abort()
        elif self._lingering_since is not None:
            if now - self._lingering_since > LINGER:
                self.abort()
        elif self._reading_since is not None and now - self._reading_since > limits.request_seconds:
            if self._started:
                text = f"the request was not complete after {limits.request_seconds:g} s"
                self._refuse(RequestRejected(408, 2, text))
            else:
                self.transport.close()  # nothing was received, so there is nothing to answer

    def _refuse(self, refused: RequestRejected) -> None:
        """Parse no more data; send the error when all earlier requests are answered."""
        logger.warning("A connection was refused: %s.", refused.text)
        self._refused, self._reading_since = refused, None
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's annotation omits None
        if cycle is not None and cycle.more_body and not cycle.response_complete:  # that of the refused request
            if cycle.response_started:
                self.transport.close()
                return
            if cycle is self._running:
                self._running = None
                _disconnect(cycle)
            else:
                self.pipeline.popleft()
        if not self._is_answering():
            self._send_refusal(refused)

    def _is_answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _send_refusal(self, refused: RequestRejected) -> None:
        """Send the error and close, but read on for a while: a client that is cut off would not read the error."""
        self._output.flush()
        self.transport.write(_error_bytes(refused))
        if not self.transport.can_write_eof():  # TLS
            self.transport.close()
            return
        self.transport.write_eof()
        self._lingering_since = self.loop.time()
        self.flow.resume_reading()

    # ------------------------------------------------------------------ callbacks of the event loop
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Accept the connection, or refuse it if there are too many."""
        limit = self._limits.connections
        if len(self.connections) < limit:
            super().connection_made(transport)
            self._output = _BufferedTransport(transport)
        else:
            self.transport = transport
            text = f"there are {limit} connections already, the maximum of this server"
            logger.warning("A connection was refused: %s.", text)
            self._refused = RequestRejected(503, 4, text)
            transport.write(_error_bytes(self._refused))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered that the client has disconnected; forget those after it."""
        self.lost = True
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            _disconnect(self._running)

    def data_received(self, data: bytes) -> None:
        """Parse the data, unless a request was refused."""
        if self._refused is not None:
            return
        self._unset_keepalive_if_required()
        self._data_size, self._head_only = len(data), True
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as stopped:
                if not self._resume(data, stopped.args[0]):
                    return
            if self._head_only:
                self._head_size += len(data)
                self._check_head_size(self._head_size)
            elif len(data) > MAX_HEAD:
                self._head_size = self._parsed_size()
                self._check_head_size(self._head_size)
        except HttpParserError as error:
            reason = error.__context__
            if not isinstance(reason, RequestRejected):
                reason = RequestRejected(400, 2, f"the request is not valid HTTP: {reason or error}")
            self._refuse(reason)
        except RequestRejected as refused:
            self._refuse(refused)

    def _resume(self, data: bytes, offset: int) -> bool:
        """Parse on after a head that offers an upgrade; return False if another protocol took over.

        The parser stops after such a head as if no body could follow. A head whose offer is not accepted is parsed
        again without it (RFC 9110 §7.8: a server may ignore the field).
        """
        left = memoryview(data)
        while self._upgrade != b"websocket":
            left = left[offset:]
            head = self._head_without_upgrade()
            self._all_fields = self.headers
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn, for pipelining
            self.parser.feed_data(head)
            try:
                self.parser.feed_data(left)
            except HttpParserUpgrade as stopped:
                offset = stopped.args[0]
            else:
                return True
        self.handle_websocket_upgrade()
        return False

    def _head_without_upgrade(self) -> bytes:
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        method, version = self.scope["method"].encode(), self.scope["http_version"].encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, fields)

    def _parsed_size(self) -> int:
        """Return the size of the target and of the fields, or of the trailer fields, that were parsed so far."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _check_head_size(self, size: int) -> None:
        if size > MAX_HEAD:
            raise RequestRejected(431, 2, f"the head of the request is longer than {MAX_HEAD} bytes")

    # ------------------------------------------------------------------ callbacks of the parser
    def on_message_begin(self) -> None:
        """Start a request; its scope gets this connection as `ConnectionControl`."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]  # our own value
        self._started = True
        self._head_size, self._upgrade = 0, None
        if self._reading_since is None:
            self._reading_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Check the head, and start a response, which is written to the buffering transport."""
        if self._head_size + self._data_size > MAX_HEAD:
            self._check_head_size(self._parsed_size())
        _check_host(self.headers, self.parser)
        if self.parser.should_upgrade():  # the parser stops after this callback
            version, method = self.parser.get_http_version(), self.parser.get_method()
            if method == b"CONNECT":
                raise RequestRejected(501, 2, "found the method CONNECT; this server is not a proxy")
            self.scope["http_version"], self.scope["method"] = version, method.decode("ascii")
            if method == b"GET" and version == "1.1" and not self._is_answering() and _offers_websocket(self.headers):
                self._upgrade = b"websocket"
                fields = [field for field in self.headers if field[0] != b"upgrade"]
                self.scope["headers"] = [*fields, (b"upgrade", b"websocket")]
            else:
                self._upgrade = b"ignored"
            return
        super().on_headers_complete()
        if self._all_fields is not None:
            self.scope["headers"], self._all_fields = self._all_fields, None
        self.headers = []  # from now on for trailer fields, which are discarded (RFC 9110 §6.5.1)
        self.cycle.transport = self._output  # type: ignore[assignment]  # it has the methods of a transport that a cycle uses
        if self.pipeline and len(self.pipeline) < MAX_PIPELINED:
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._head_only = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Record that the request is complete."""
        self._head_only, self._head_size = False, 0
        if self._upgrade is None:
            self._reading_since = None
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next response, or send the error of a refused request."""
        super().on_response_complete()
        if self._refused is not None and not self._is_answering() and not self.transport.is_closing():
            self._send_refusal(self._refused)


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tell the application that the client of a request is gone."""
    cycle.disconnected = True
    cycle.message_event.set()


def _error_bytes(refused: RequestRejected) -> bytes:
    reply = error_reply(0, refused.status, refused.code, refused.text)
    head = f"HTTP/1.1 {reply.status} {reply.reason}\r\ncontent-type: {reply.headers.get('content-type')}\r\n"
    head += f"content-length: {len(reply.body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + reply.body


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


class WebSocketConnection(_BlockedWriting, WebSocketsSansIOProtocol):
    """One WebSocket. Call `check_timeouts` regularly."""

    @property
    def lost(self) -> bool:
        """True if the client has disconnected."""
        return self.disconnected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Log nothing of the handshake: its header fields hold cookies."""
        self.logger = self.conn.logger = uvicorn_logger
        self.conn.debug = False
        super().connection_made(transport)

    async def run_asgi(self) -> None:
        """Run the application; its scope gets this connection as `ConnectionControl`."""
        self.scope["extensions"][CONNECTION_CONTROL] = self  # type: ignore[assignment]  # our own value in a dict of uvicorn
        await super().run_asgi()

    def send_receive_event_to_app(self) -> None:
        """Pass a message to the application; close the connection if it is text that is not UTF-8 (RFC 6455 §8.1)."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                logger.warning("A WebSocket was closed: its client sent text that is not UTF-8.")
                self.frames = []
                self.conn.fail(1007, "the text is not UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message of the application; log a refusal in one line.

        :raises ClientDisconnected: if the closing handshake has started.
        """
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.start":
            path = quote(
                shortened(masked_text(self.scope["path"])), "/;=[]"
            )  # masked first, because `;` and `=` may be encoded
            query = shortened(masked_text("?" + self.scope["query_string"].decode("ascii")).removesuffix("?"))
            logger.warning("WebSocket refused: %d for %s%s.", message["status"], path, query)
        elif message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # else uvicorn logs that the handshake is missing

    def abort(self) -> None:
        """Close the connection at once, without a closing handshake."""
        self.handshake_complete = True  # as above
        self.transport.abort()

    def check_timeouts(self, now: float, limits: Limits) -> None:
        """Close the connection if its client does not read."""
        if self._is_blocked(now, limits):
            logger.warning("A WebSocket was closed: its client did not read messages for %g s.", limits.write_seconds)
            self.transport.abort()
