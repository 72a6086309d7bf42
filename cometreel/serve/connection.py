"""Connections of uvicorn with what it leaves open: a line for the door, and limits for clients that misbehave.

Both classes are what uvicorn's own options `http=` and `ws=` take. What a request means may not enter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from cometreel.engine.session_resolver import error_reply
from cometreel.serve.line import LINE

__all__ = ["HttpConnection", "Limits", "WebSocketConnection"]

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


class _Outlet:
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
    _outlet: _Outlet

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
        self._extensions = {LINE: self}
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
            self._outlet = _Outlet(transport)
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
        self.scope["extensions"][LINE] = self  # type: ignore[assignment]  # uvicorn has just set it; the value is ours
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
