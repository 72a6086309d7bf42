"""The HTTP server: uvicorn's connections with `ConnectionControl` and limits for slow clients, and the listener.

`HttpConnection` and `WebSocketConnection` are values of uvicorn's options `http` and `ws`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from cometreel.errors import OptionInvalid
from cometreel.http_fields import error_reply
from cometreel.masking import masked_text
from cometreel.serve.asgi import CONNECTION_CONTROL
from cometreel.serve.certificate import Certificate, ssl_context

__all__ = [
    "RESERVED_FILES",
    "AppFactory",
    "HttpConnection",
    "HttpListener",
    "Limits",
    "ListenOptions",
    "WebSocketConnection",
    "bind_socket",
    "connections_allowed",
    "listen",
    "raise_open_files_limit",
]

logger = logging.getLogger(__name__)
uvicorn_logger = logging.getLogger(f"{__name__}.uvicorn")
"""Logs errors only: uvicorn logs each WebSocket in up to four lines, with its whole query."""
uvicorn_logger.setLevel(logging.ERROR)

MAX_HEAD = 64 * 1024  # bytes; Jetty in GWS accepts less


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
        if self._buffered is None:
            self._transport.write(data)
        else:
            self._buffered.append(data)

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
        if buffered:
            self._transport.write(b"".join(buffered))


class HttpConnection(HttpToolsProtocol):
    """One HTTP connection. Call `check_timeouts` regularly."""

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
        self._blocked_since: float | None = None
        self._started = False
        self._head_size = 0

    def abort(self) -> None:
        """Close the connection immediately, without a reply."""
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
        if self._blocked_since is not None and now - self._blocked_since > limits.write_seconds:
            logger.warning(
                "A connection was closed: its client did not read a response for %g s.", limits.write_seconds
            )
            self.transport.abort()
        elif self._reading_since is not None and now - self._reading_since > limits.request_seconds:
            if self._started:
                self._refuse(408, 2, f"the request was not complete after {limits.request_seconds:g} s")
            else:
                self.transport.close()  # nothing was received, so there is nothing to answer

    def _refuse(self, status: int, code: int, text: str) -> None:
        """Send an error without asking the application, and close the connection."""
        logger.warning("A connection was refused: %s.", text)
        reply = error_reply(0, status, code, text)
        head = f"HTTP/1.1 {status} {reply.reason}\r\ncontent-type: {reply.headers.get('content-type')}\r\n"
        head += f"content-length: {len(reply.body)}\r\nconnection: close\r\n\r\n"
        self._reading_since = None
        self.transport.write(head.encode() + reply.body)
        self.transport.close()

    # ------------------------------------------------------------------ callbacks of the event loop
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Accept the connection, or refuse it if there are too many."""
        limit = self._limits.connections
        if len(self.connections) < limit:
            super().connection_made(transport)
            self._output = _BufferedTransport(transport)
        else:
            self.transport = transport
            self._refuse(503, 4, f"there are {limit} connections already, the maximum of this server")

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the client has disconnected."""
        self.lost = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data; refuse a head that is too long."""
        super().data_received(data)
        scope: Mapping[str, object] = self.scope  # it has a path once the head is complete
        if self._reading_since is not None and self._started and "path" not in scope:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._refuse(431, 2, f"the head of the request is longer than {MAX_HEAD} bytes")

    def pause_writing(self) -> None:
        """Record the time since which the client does not read."""
        self._blocked_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        self._blocked_since = None
        super().resume_writing()

    # ------------------------------------------------------------------ callbacks of the parser
    def on_message_begin(self) -> None:
        """Start a request; its scope gets this connection as `ConnectionControl`."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]  # our own value
        self._started, self._head_size = True, 0
        if self._reading_since is None:
            self._reading_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Start a response, which is written to the buffering transport."""
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.transport = self._output  # type: ignore[assignment]  # it has the methods of a transport that a cycle uses

    def on_message_complete(self) -> None:
        """Record that the request is complete."""
        self._reading_since = None
        super().on_message_complete()


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One WebSocket. Call `check_timeouts` regularly."""

    _blocked_since: float | None = None

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

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message of the application; log a refusal in one line."""
        await super().send(message)
        if message["type"] == "websocket.http.response.start":
            path = quote(masked_text(self.scope["path"]), "/;=[]")  # masked first, because `;` and `=` may be encoded
            query = masked_text("?" + self.scope["query_string"].decode("ascii")).removesuffix("?")
            logger.warning("WebSocket refused: %d for %s%s.", message["status"], path, query)
        elif message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # else uvicorn logs that the handshake is missing

    def abort(self) -> None:
        """Close the connection at once, without a closing handshake."""
        self.handshake_complete = True  # as above
        self.transport.abort()

    def check_timeouts(self, now: float, limits: Limits) -> None:
        """Close the connection if its client does not read."""
        if self._blocked_since is not None and now - self._blocked_since > limits.write_seconds:
            logger.warning("A WebSocket was closed: its client did not read messages for %g s.", limits.write_seconds)
            self.transport.abort()

    def pause_writing(self) -> None:
        """Record the time since which the client does not read."""
        self._blocked_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        self._blocked_since = None
        super().resume_writing()


A = TypeVar("A", bound=ASGIApp)

AppFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[A]]
"""Creates an application on the event loop of the server, and closes it when the server stops."""

KEEP_ALIVE = 75  # seconds until an idle connection is closed; clients close theirs earlier
CHECK_INTERVAL = 1.0  # seconds between two checks of all connections
BACKLOG = 2048
HIGHEST_PORT = 65535
STOP_TIMEOUT = 2.0  # seconds until a stop closes connections with unwritten responses
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # only compared


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Address, port, TLS certificate and limits of a server. Port 0 is any free port."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Certificate | None = None
    limits: Limits = field(default_factory=lambda: Limits(connections_allowed()))


class HttpListener:
    """A listening socket and its connections. Not thread-safe."""

    def __init__(self, options: ListenOptions) -> None:
        self._options = options
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.url = ""
        """The URL after `open`, without a trailing slash."""

    async def open(self, app: ASGIApp) -> None:
        """Listen on the running event loop.

        :raises OptionInvalid: if the address is not available.
        """
        loop, options = asyncio.get_running_loop(), self._options
        _check_port(options.port)
        secure = ssl_context(options.certificate) if options.certificate else None
        config = _uvicorn_config(app, options.limits)
        try:
            self._server = await loop.create_server(
                lambda: HttpConnection(config, self._state, {}, loop, options.limits),
                options.host,
                options.port,
                ssl=secure,
                backlog=BACKLOG,
            )
        except OSError as error:
            raise _cannot_listen(options, error) from None
        self.url = _url("https" if secure else "http", options.host, self._server.sockets[0])
        self._timer = loop.call_later(CHECK_INTERVAL, self._check_timeouts)

    def _check_timeouts(self) -> None:
        """Check every connection. One timer for all: a timer per connection would cost time in each request."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._state.connections):
            if isinstance(connection, HttpConnection):
                connection.check_timeouts(now)
            elif isinstance(connection, WebSocketConnection):
                connection.check_timeouts(now, self._options.limits)
        self._timer = loop.call_later(CHECK_INTERVAL, self._check_timeouts)

    def stop_accepting(self) -> None:
        """Accept no more connections; open ones continue."""
        if self._server is not None:
            self._server.close()

    async def finish(self) -> None:
        """Wait a short time until pending responses are written, then close all connections."""
        end = asyncio.get_running_loop().time() + STOP_TIMEOUT
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._state.connections):
            if isinstance(connection, HttpConnection):  # the application closes WebSockets
                connection.shutdown()
        while self._state.connections and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.005)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._server is not None:
            await self._server.wait_closed()


@asynccontextmanager
async def listen(factory: AppFactory[A], options: ListenOptions) -> AsyncIterator[tuple[A, HttpListener]]:
    """Create the application and listen; at the end stop accepting, close the application, then the connections."""
    listener = HttpListener(options)
    try:
        async with factory() as app:
            await listener.open(app)
            try:
                yield app, listener
            finally:
                listener.stop_accepting()
    finally:
        await listener.finish()


@contextmanager
def bind_socket(options: ListenOptions) -> Iterator[tuple[socket.socket, str]]:
    """Bind a socket for another process, and yield it with its URL.

    :raises OptionInvalid: if the address is not available.
    """
    _check_port(options.port)
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise _cannot_listen(options, error) from None
    with listener:
        yield listener, _url("https" if options.certificate else "http", options.host, listener)


def _check_port(port: int) -> None:
    """Refuse a port above 65,535, which libuv would take modulo 65,536."""
    if not 0 <= port <= HIGHEST_PORT:
        raise OptionInvalid("port", str(port), f"a number from 0 to {HIGHEST_PORT}")


def _uvicorn_config(app: ASGIApp, limits: Limits) -> Config:
    """Return uvicorn's configuration, without its logging, header fields, pings and compression."""
    config = Config(
        app,
        http=HttpConnection,
        ws=WebSocketConnection,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        ws_max_size=limits.frame_bytes,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )
    config.load()
    return config


def _url(scheme: str, host: str, listener: socket.socket) -> str:
    """Return the URL for clients on this machine."""
    address, port = listener.getsockname()[:2]
    name = host if host == "localhost" else WILDCARDS.get(address, address)
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


def _cannot_listen(options: ListenOptions, error: OSError) -> OptionInvalid:
    """Return the error for an address that is not available: its host or its port, and the reason."""
    if error.errno == errno.EADDRINUSE:
        found = f"{options.port} on {options.host} is used by another program"
        return OptionInvalid("port", found, "a free port", "0 selects one")
    if error.errno == errno.EACCES:
        return OptionInvalid(
            "port", f"{options.port} may not be opened by this user", "a port from 1024 on, or 0 for any"
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return OptionInvalid(
            "host", f"{options.host!r} is not an address of this machine", "127.0.0.1, 0.0.0.0 or the like"
        )
    return OptionInvalid("host", f"can't listen on {options.host}: {error.strerror or error}", "another address")


RESERVED_FILES = 64  # open files that are not connections: listeners, logs, the scenario
UNLIMITED = 1_000_000


def raise_open_files_limit() -> None:
    """Raise the soft limit of open files to the hard limit. It affects the whole process: for programs only."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_allowed() -> int:
    """Return the number of connections that this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else max(1, soft - RESERVED_FILES)
