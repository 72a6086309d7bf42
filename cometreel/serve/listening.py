"""Where to listen, and the listener itself: uvicorn's connections on a socket of the running event loop.

Serves any ASGI application; what it does may not enter. uvicorn's own `Server` is left out because it polls ten times
a second for its end, and a test that starts a server of its own would wait for that.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from cometreel.errors import OptionInvalid
from cometreel.serve.connection import HttpConnection, WebSocketConnection

__all__ = ["Listener", "Listening", "Opening", "listening_to"]

A = TypeVar("A", bound=ASGIApp)

Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[A]]
"""Makes an application on the event loop that will serve it, and ends it when the server stops."""

KEEP_ALIVE = 75  # seconds that an idle connection stays open; longer than clients pool theirs
PATIENCE = 2.0  # seconds that a stop waits until the last answers are written
MAX_FRAME = 16 * 1024 * 1024
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # only compared with


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen. At port 0 the system chooses a free one."""

    host: str = "127.0.0.1"
    port: int = 0


class Listener:
    """One listening socket and its connections. Not thread-safe, as asyncio isn't."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._state = ServerState()
        self._server: asyncio.AbstractServer | None = None
        self.url = ""

    async def open(self, app: ASGIApp) -> None:
        """Listen, on the running loop.

        :raises OptionInvalid: if the address can't be had.
        """
        loop, at = asyncio.get_running_loop(), self._listening
        config = Config(
            app,
            http=HttpConnection,
            ws=WebSocketConnection,
            lifespan="off",
            interface="asgi3",
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            ws_max_size=MAX_FRAME,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
        )
        config.load()
        try:
            server = await loop.create_server(
                lambda: HttpConnection(config, self._state, {}, loop), at.host, at.port, backlog=2048
            )
        except (OSError, OverflowError) as error:
            raise _unavailable(at, error) from None
        self._server = server
        host, port = server.sockets[0].getsockname()[:2]
        host = at.host if at.host == "localhost" else WILDCARDS.get(host, host)
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def stop_accepting(self) -> None:
        """Take no more connections; those that are open go on."""
        if self._server is not None:
            self._server.close()

    async def finish(self) -> None:
        """Let every answer that is under way be written, for a moment, and end all connections."""
        end = asyncio.get_running_loop().time() + PATIENCE
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


def _unavailable(at: Listening, error: OSError | OverflowError) -> OptionInvalid:
    """Say which half of the address can't be had, and why."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        found = f"{at.port} on {at.host} is taken by another program"
        return OptionInvalid("port", found, "a free port", "0 takes any")
    if number == errno.EACCES:
        return OptionInvalid("port", f"{at.port} may not be opened by this user", "a port from 1024 on, or 0 for any")
    if isinstance(error, OverflowError):
        return OptionInvalid("port", str(at.port), "a number from 0 to 65535")
    if number == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return OptionInvalid("host", f"{at.host!r} is not an address of this machine", "127.0.0.1, 0.0.0.0 or the like")
    return OptionInvalid("host", f"can't listen on {at.host}: {error.strerror or error}", "another address")
