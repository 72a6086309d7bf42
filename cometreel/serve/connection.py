"""Connections of uvicorn with what it leaves open: a line for the door, and limits for clients that misbehave.

Both classes are given to uvicorn by its own options `http=` and `ws=`. What a request means may not enter.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from cometreel.serve.line import LINE

__all__ = ["HttpConnection", "WebSocketConnection"]

logger = logging.getLogger(__name__)


class HttpConnection(HttpToolsProtocol):
    """One HTTP connection."""

    lost = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # as uvicorn has it; nothing of ours is in it
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger, self.access_log = logger, False
        self._extensions = {LINE: self}

    def on_message_begin(self) -> None:
        """Begin a request; its scope leads to this line."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]  # a value of our own

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client is gone."""
        self.lost = True
        super().connection_lost(exc)

    def abort(self) -> None:
        """End the connection at once, without a reply."""
        self.transport.abort()


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One WebSocket."""

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
