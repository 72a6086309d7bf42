"""Connections of uvicorn with what it leaves open: a line for the door, and limits for clients that misbehave.

Both classes are what uvicorn's own options `http=` and `ws=` take. What a request means may not enter.
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

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from cometreel.errors import OptionInvalid
from cometreel.http_fields import error_reply
from cometreel.serve.asgi import CONNECTION_CONTROL
from cometreel.serve.certificate import Certificate, context_of

__all__ = [
    "AppFactory",
    "HttpConnection",
    "HttpListener",
    "Limits",
    "ListenOptions",
    "RESERVE",
    "WebSocketConnection",
    "bind_socket",
    "connections_allowed",
    "listen",
    "raise_limit",
]

logger = logging.getLogger(__name__)

MAX_HEAD = 64 * 1024  # bytes; Jetty in GWS takes less


@dataclass(frozen=True, slots=True)
class Limits:
    """How much patience a server has with its clients."""

    connections: int
    """How many may be open at once; one more gets 503, and those that are open go on."""
    request_seconds: float = 60.0
    """How long a request may take to arrive, head and body; then it gets 408."""
    write_seconds: float = 60.0
    """How long a client may leave an answer unread; then its connection is cut."""


class _BufferedTransport:
    """Where uvicorn writes answers to: the transport, or what is gathered for it."""

    __slots__ = ("_gathered", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self.is_closing = transport, transport.is_closing
        self._gathered: list[bytes] | None = None

    def write(self, data: bytes) -> None:
        """Write, or hold back."""
        if self._gathered is None:
            self._transport.write(data)
        else:
            self._gathered.append(data)

    def close(self) -> None:
        """Close once all is written."""
        self.flush()
        self._transport.close()

    def gather(self) -> None:
        """Hold back from now on."""
        self._gathered = []

    def flush(self) -> None:
        """Write what was held back, in one piece, and hold back no more."""
        gathered, self._gathered = self._gathered, None
        if gathered:
            self._transport.write(b"".join(gathered))


class HttpConnection(HttpToolsProtocol):
    """One HTTP connection. `look` is to be called now and then."""

    lost = False
    _outlet: _BufferedTransport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # as uvicorn has it; nothing of ours is in it
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.logger, self.access_log = logger, False
        self._limits = limits
        self._extensions = {CONNECTION_CONTROL: self}
        self._reading_since: float | None = loop.time()  # None while no request is on its way
        self._blocked_since: float | None = None
        self._begun = False
        self._head_size = 0

    def abort(self) -> None:
        """End the connection at once, without a reply."""
        self.transport.abort()

    def gather(self) -> None:
        """Hold back what is written from now on."""
        self._outlet.gather()

    def flush(self) -> None:
        """Write what was held back, in one piece."""
        self._outlet.flush()

    def look(self, now: float) -> None:
        """End the connection if its client is too slow."""
        limits = self._limits
        if self._blocked_since is not None and now - self._blocked_since > limits.write_seconds:
            logger.warning("A client left its answer unread for %g s: its connection is cut.", limits.write_seconds)
            self.transport.abort()
        elif self._reading_since is not None and now - self._reading_since > limits.request_seconds:
            if self._begun:
                self._refuse(408, 2, f"the request was not whole after {limits.request_seconds:g} s")
            else:
                self.transport.close()  # not a byte came: nothing to answer

    def _refuse(self, status: int, code: int, text: str) -> None:
        """Answer what no application is asked about, and end the connection."""
        logger.warning("A connection is refused: %s.", text)
        reply = error_reply(0, status, code, text)
        head = f"HTTP/1.1 {status} {reply.reason}\r\ncontent-type: {reply.headers.get('content-type')}\r\n"
        head += f"content-length: {len(reply.body)}\r\nconnection: close\r\n\r\n"
        self._reading_since = None
        self.transport.write(head.encode() + reply.body)
        self.transport.close()

    # ------------------------------------------------------------------ what the event loop calls
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take the connection, unless there are too many."""
        most = self._limits.connections
        if len(self.connections) < most:
            super().connection_made(transport)
            self._outlet = _BufferedTransport(transport)
        else:
            self.transport = transport
            self._refuse(503, 4, f"there are {most} connections already, as many as this server takes")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client is gone."""
        self.lost = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that has no end is refused."""
        super().data_received(data)
        scope: Mapping[str, object] = self.scope  # it has a path from the end of the head on
        if self._reading_since is not None and self._begun and "path" not in scope:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._refuse(431, 2, f"the head of the request is longer than {MAX_HEAD} bytes")

    def pause_writing(self) -> None:
        """Note since when the client doesn't read."""
        self._blocked_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._blocked_since = None
        super().resume_writing()

    # ------------------------------------------------------------------ what the parser calls
    def on_message_begin(self) -> None:
        """Begin a request; its scope leads to this line."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]  # a value of our own
        self._begun, self._head_size = True, 0
        if self._reading_since is None:
            self._reading_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Begin an answer, which goes to the outlet."""
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.transport = self._outlet  # type: ignore[assignment]  # all of a transport that a cycle uses

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._reading_since = None
        super().on_message_complete()


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One WebSocket. `look` is to be called now and then."""

    _blocked_since: float | None = None

    @property
    def lost(self) -> bool:
        """Whether the client is gone."""
        return self.disconnected

    async def run_asgi(self) -> None:
        """Run the application on a scope that leads to this line."""
        self.logger = logger
        self.scope["extensions"][CONNECTION_CONTROL] = self  # type: ignore[assignment]  # uvicorn has just set it; the value is ours
        await super().run_asgi()

    def abort(self) -> None:
        """End the connection at once, without a closing handshake."""
        self.transport.abort()

    def look(self, now: float, limits: Limits) -> None:
        """End the connection if its client doesn't read."""
        if self._blocked_since is not None and now - self._blocked_since > limits.write_seconds:
            logger.warning("A WebSocket left its messages unread for %g s: it is cut.", limits.write_seconds)
            self.transport.abort()

    def pause_writing(self) -> None:
        """Note since when the client doesn't read."""
        self._blocked_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._blocked_since = None
        super().resume_writing()


A = TypeVar("A", bound=ASGIApp)

AppFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[A]]
"""Makes an application on the event loop that will serve it, and ends it when the server stops."""

KEEP_ALIVE = 75  # seconds that an idle connection stays open; longer than clients pool theirs
LOOK_EVERY = 1.0  # seconds between two looks at the connections
BACKLOG = 2048
HIGHEST_PORT = 65535
PATIENCE = 2.0  # seconds that a stop waits until the last answers are written
MAX_FRAME = 16 * 1024 * 1024
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # only compared with


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Where to listen and how. At port 0 the system chooses a free one; with a certificate it is TLS."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Certificate | None = None
    limits: Limits = field(default_factory=lambda: Limits(connections_allowed()))


class HttpListener:
    """One listening socket and its connections. Not thread-safe, as asyncio isn't."""

    def __init__(self, listening: ListenOptions) -> None:
        self._listening = listening
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._looking: asyncio.TimerHandle | None = None
        self.url = ""
        """Where it listens, once it is open, without a slash at the end."""

    async def open(self, app: ASGIApp) -> None:
        """Listen, on the running loop.

        :raises OptionInvalid: if the address can't be had.
        """
        loop, at = asyncio.get_running_loop(), self._listening
        _check_port(at.port)
        secure = context_of(at.certificate) if at.certificate else None
        config = _configured(app)
        try:
            self._server = await loop.create_server(
                lambda: HttpConnection(config, self._state, {}, loop, at.limits),
                at.host,
                at.port,
                ssl=secure,
                backlog=BACKLOG,
            )
        except OSError as error:
            raise _unavailable(at, error) from None
        self.url = _url("https" if secure else "http", at.host, self._server.sockets[0])
        self._looking = loop.call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        """Look at every connection, now and then: a timer for each would cost each request."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._state.connections):
            if isinstance(connection, HttpConnection):
                connection.look(now)
            elif isinstance(connection, WebSocketConnection):
                connection.look(now, self._listening.limits)
        self._looking = loop.call_later(LOOK_EVERY, self._look)

    def stop_accepting(self) -> None:
        """Take no more connections; those that are open go on."""
        if self._server is not None:
            self._server.close()

    async def finish(self) -> None:
        """Let every answer that is under way be written, for a moment, and end all connections."""
        end = asyncio.get_running_loop().time() + PATIENCE
        if self._looking is not None:
            self._looking.cancel()
        for connection in list(self._state.connections):
            if isinstance(connection, HttpConnection):  # a WebSocket is ended by its application
                connection.shutdown()
        while self._state.connections and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110  # no event to wait for
            await asyncio.sleep(0.005)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._server is not None:
            await self._server.wait_closed()


@asynccontextmanager
async def listen(opening: AppFactory[A], listening: ListenOptions) -> AsyncIterator[tuple[A, HttpListener]]:
    """Make the application, listen, and at the end stop in this order: no new connection, the application, the rest."""
    listener = HttpListener(listening)
    try:
        async with opening() as app:
            await listener.open(app)
            try:
                yield app, listener
            finally:
                listener.stop_accepting()
    finally:
        await listener.finish()


@contextmanager
def bind_socket(listening: ListenOptions) -> Iterator[tuple[socket.socket, str]]:
    """Bind a socket that another process is to listen on, and name its URL.

    :raises OptionInvalid: if the address can't be had.
    """
    _check_port(listening.port)
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            listening.host, listening.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise _unavailable(listening, error) from None
    with listener:
        yield listener, _url("https" if listening.certificate else "http", listening.host, listener)


def _check_port(port: int) -> None:
    """Refuse a port that libuv would silently take modulo 65,536."""
    if not 0 <= port <= HIGHEST_PORT:
        raise OptionInvalid("port", str(port), f"a number from 0 to {HIGHEST_PORT}")


def _configured(app: ASGIApp) -> Config:
    """Set uvicorn up, with nothing of its own in logs, nor on WebSockets that the recorded server didn't send."""
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
        ws_max_size=MAX_FRAME,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )
    config.load()
    return config


def _url(scheme: str, host: str, listener: socket.socket) -> str:
    """Name the address as a client on this machine would."""
    address, port = listener.getsockname()[:2]
    name = host if host == "localhost" else WILDCARDS.get(address, address)
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


def _unavailable(at: ListenOptions, error: OSError) -> OptionInvalid:
    """Say which half of the address can't be had, and why."""
    if error.errno == errno.EADDRINUSE:
        found = f"{at.port} on {at.host} is taken by another program"
        return OptionInvalid("port", found, "a free port", "0 takes any")
    if error.errno == errno.EACCES:
        return OptionInvalid("port", f"{at.port} may not be opened by this user", "a port from 1024 on, or 0 for any")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return OptionInvalid("host", f"{at.host!r} is not an address of this machine", "127.0.0.1, 0.0.0.0 or the like")
    return OptionInvalid("host", f"can't listen on {at.host}: {error.strerror or error}", "another address")


RESERVE = 64  # for what isn't a connection: listeners, logs, the files of the scenario
UNLIMITED = 1_000_000


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one. It is the whole process's, so only a program does that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_allowed() -> int:
    """Return how many connections this process may hold open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else max(1, soft - RESERVE)
