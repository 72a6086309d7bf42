"""Where to listen, and the listener itself: uvicorn's connections on a socket of the running event loop.

Serves any ASGI application; what it does may not enter. uvicorn's own `Server` is left out because it polls ten times
a second for its end, and a test that starts a server of its own would wait for that.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from cometreel.errors import OptionInvalid
from cometreel.serve.certificate import Certificate, context_of
from cometreel.serve.connection import HttpConnection, Limits, WebSocketConnection
from cometreel.serve.files import connections_allowed

__all__ = ["Listener", "Listening", "Opening", "bound", "listening_to"]

A = TypeVar("A", bound=ASGIApp)

Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[A]]
"""Makes an application on the event loop that will serve it, and ends it when the server stops."""

KEEP_ALIVE = 75  # seconds that an idle connection stays open; longer than clients pool theirs
LOOK_EVERY = 1.0  # seconds between two looks at the connections
BACKLOG = 2048
HIGHEST_PORT = 65535
PATIENCE = 2.0  # seconds that a stop waits until the last answers are written
MAX_FRAME = 16 * 1024 * 1024
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # only compared with


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen and how. At port 0 the system chooses a free one; with a certificate it is TLS."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Certificate | None = None
    limits: Limits = field(default_factory=lambda: Limits(connections_allowed()))


class Listener:
    """One listening socket and its connections. Not thread-safe, as asyncio isn't."""

    def __init__(self, listening: Listening) -> None:
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
async def listening_to(opening: Opening[A], listening: Listening) -> AsyncIterator[tuple[A, Listener]]:
    """Make the application, listen, and at the end stop in this order: no new connection, the application, the rest."""
    listener = Listener(listening)
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
def bound(listening: Listening) -> Iterator[tuple[socket.socket, str]]:
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


def _unavailable(at: Listening, error: OSError) -> OptionInvalid:
    """Say which half of the address can't be had, and why."""
    if error.errno == errno.EADDRINUSE:
        found = f"{at.port} on {at.host} is taken by another program"
        return OptionInvalid("port", found, "a free port", "0 takes any")
    if error.errno == errno.EACCES:
        return OptionInvalid("port", f"{at.port} may not be opened by this user", "a port from 1024 on, or 0 for any")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return OptionInvalid("host", f"{at.host!r} is not an address of this machine", "127.0.0.1, 0.0.0.0 or the like")
    return OptionInvalid("host", f"can't listen on {at.host}: {error.strerror or error}", "another address")
