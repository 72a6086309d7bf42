"""A transport in memory, for tests of a connection without sockets."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.serve import Limits, ReplayApp
from cometreel.serve.server_connections import HttpConnection
from cometreel.serve.server_context import ServerContext

__all__ = ["EmbeddedApp", "MemoryTransport", "connected", "settled"]

ADDRESS = ("127.0.0.1", 4711)


class MemoryTransport(asyncio.Transport):
    """Keeps what is written, and how the connection ended. `protocol` is the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = self.aborted = self.is_reading_paused = False
        self.protocol: asyncio.Protocol

    @property
    def data(self) -> bytes:
        """Everything that was written."""
        return b"".join(self.pieces)

    def receive(self, data: bytes) -> None:
        """Pass data of the client to the connection, unless it is closed."""
        if not self.closed:
            self.protocol.data_received(data)

    def lose(self) -> None:
        """Tell the connection that the client is gone."""
        self.closed = True
        self.protocol.connection_lost(None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, bytes(data)
        self.pieces.append(bytes(data))

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ADDRESS if name in ("peername", "sockname") else default


def connected(
    app: ASGIApp | ServerContext, limits: Limits | None = None, transport: MemoryTransport | None = None
) -> MemoryTransport:
    """Return the transport of a new connection to an application, or to a server that has connections already."""
    context = app
    if not isinstance(context, ServerContext):
        context = ServerContext(context, limits or Limits(10), asyncio.get_running_loop())
    connection, transport = HttpConnection(context), transport or MemoryTransport()
    transport.set_protocol(connection)
    connection.connection_made(transport)
    return transport


class EmbeddedApp:
    """An application that calls a replay, so that a connection serves it as any ASGI application."""

    def __init__(self, app: ReplayApp) -> None:
        self._app, self.driver = app, app.driver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def settled(transport: MemoryTransport) -> None:
    """Wait until the tasks of a connection have done all that they can do now."""
    for _ in range(30):
        await asyncio.sleep(0)
