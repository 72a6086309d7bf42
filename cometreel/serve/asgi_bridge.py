"""Runs an ASGI application for one HTTP request or one WebSocket of the server's own connections.

The admin API, the recording proxy and any other application that `listen` serves are called through this module. A
replay itself isn't: its connections talk to the driver.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final, Protocol

from starlette.types import ASGIApp, Message, Scope

from cometreel.http_fields import BODILESS
from cometreel.serve.asgi import CONNECTION_CONTROL
from cometreel.serve.request_parser import IncomingRequest, ParsedHead
from cometreel.serve.response_writer import CONTINUE, LAST_CHUNK, chunk_bytes, head_bytes

__all__ = ["AsgiRequest", "AsgiWebSocket", "RequestConnection", "SocketConnection"]

logger = logging.getLogger(__name__)

MAX_BUFFERED: Final = 64 * 1024  # bytes of a body that wait for the application until reading is paused
_HTTP_VERSIONS: Final = {"version": "3.0", "spec_version": "2.3"}  # `send` doesn't raise if the client is gone
_WEBSOCKET_VERSIONS: Final = {"version": "3.0", "spec_version": "2.4"}
_SERVER_ERROR = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21"), (b"connection", b"close")]


class RequestConnection(Protocol):
    """The connection of an HTTP request, as `AsgiRequest` uses it."""

    @property
    def secure(self) -> bool:
        """True for TLS."""

    def server_address(self) -> tuple[str, int]:
        """Return the address and port that the client connected to."""

    def client_address(self) -> tuple[str, int] | None:
        """Return the address and port of the client."""

    def write(self, data: bytes) -> None:
        """Write; nothing if the connection is closing."""

    async def writable(self) -> None:
        """Wait until the client has read enough of what was written, or is gone."""

    def pause_reading(self) -> None:
        """Read nothing from the client for now."""

    def resume_reading(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Close immediately; unwritten bytes are discarded."""

    def answered(self, *, close: bool) -> None:
        """Take note that the response of the request is complete, or that the connection must be closed."""


class AsgiRequest:
    """One HTTP request that an ASGI application answers. It is the `HttpConnectionControl` of the request."""

    def __init__(self, connection: RequestConnection, incoming: IncomingRequest, *, keep_alive: bool) -> None:
        self.lost = False
        self.is_started = False
        self._connection, self._incoming, self._head = connection, incoming, incoming.head
        self._keep_alive = keep_alive
        self._is_complete = False
        self._is_read = False  # True if the application has the whole body; it waits for the disconnect from now on
        self._changed = asyncio.Event()
        self._awaits_continue = incoming.head.expects_continue
        self._chunked: bool | None = None  # None: no body, or one that ends with the connection
        self._missing = 0  # bytes of the body up to Content-Length
        self._buffered: list[bytes] | None = None

    # ------------------------------------------------------------------ called by the connection
    async def run(self, app: ASGIApp) -> None:
        """Call the application; send an error if it raises or doesn't answer."""
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception:
            logger.exception("Exception in ASGI application")
            await self._fail()
        else:
            if not self._is_complete and not self.lost:
                logger.error("ASGI callable returned without %s response.", "completing" if self.is_started else "a")
                await self._fail()

    def body_received(self) -> None:
        """Take note that a part of the body arrived, or its end."""
        if self._incoming.size > MAX_BUFFERED:
            self._connection.pause_reading()
        self._changed.set()

    def disconnected(self) -> None:
        """Tell the application that the client is gone."""
        self.lost = True
        self._changed.set()

    def close_after(self) -> None:
        """Close the connection after the response."""
        self._keep_alive = False

    # ------------------------------------------------------------------ ConnectionControl
    def abort(self) -> None:
        """Close the connection immediately, without a reply."""
        self.lost = True
        self._connection.abort()

    def buffer(self) -> None:
        """Buffer what is written from now on."""
        self._buffered = []

    def flush(self) -> None:
        """Write the buffered bytes with one send."""
        buffered, self._buffered = self._buffered, None
        if buffered:
            self._connection.write(b"".join(buffered))

    # ------------------------------------------------------------------ ASGI
    def _scope(self) -> Scope:
        head, connection = self._head, self._connection
        return {
            "type": "http",
            "asgi": _HTTP_VERSIONS,
            "http_version": head.version,
            "server": connection.server_address(),
            "client": connection.client_address(),
            "scheme": "https" if connection.secure else "http",
            "root_path": "",
            "method": head.method,
            "path": head.decoded_path,
            "raw_path": head.raw_path,
            "query_string": head.raw_query,
            "headers": [*head.fields],
            "state": {},
            "extensions": {CONNECTION_CONTROL: self},
        }

    async def _receive(self) -> Message:
        """Return what has arrived of the body; wait for more if that is nothing."""
        if self._awaits_continue:
            self._awaits_continue = False
            self._connection.write(CONTINUE)
        incoming = self._incoming
        while not self._is_ended and not incoming.size and (self._is_read or not incoming.is_complete):
            self._connection.resume_reading()
            self._changed.clear()
            await self._changed.wait()
        if self._is_ended:
            return {"type": "http.disconnect"}
        self._is_read = incoming.is_complete
        return {"type": "http.request", "body": incoming.take(), "more_body": not incoming.is_complete}

    @property
    def _is_ended(self) -> bool:
        return self.lost or self._is_complete

    async def _send(self, message: Message) -> None:
        if not self.lost:
            await self._connection.writable()
        if self.lost:
            return
        kind = message["type"]
        if self._is_complete or kind != ("http.response.body" if self.is_started else "http.response.start"):
            raise RuntimeError(f"found the ASGI message {kind!r}, which is not allowed at this point of a response")
        if self.is_started:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._send_start(message)

    def _send_start(self, message: Message) -> None:
        self.is_started, self._awaits_continue = True, False
        status, fields = message["status"], [(name.lower(), value) for name, value in message.get("headers", ())]
        for name, value in fields:
            if name == b"content-length" and self._chunked is None:
                self._chunked, self._missing = False, int(value)
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self._chunked, self._missing = True, 0
            elif name == b"connection" and b"close" in [option.strip().lower() for option in value.split(b",")]:
                self._keep_alive = False
        chunks = False
        if self._chunked is None and self._head.method != "HEAD" and status not in BODILESS:
            chunks = self._chunked = self._head.version != "1.0"
            self._keep_alive = self._keep_alive and chunks
            self._missing = -1 if not chunks else 0
        self._write(head_bytes(status, fields, close=not self._keep_alive, chunked=chunks))

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self._head.method == "HEAD":
            self._missing = 0
        elif self._chunked:
            self._write((chunk_bytes(body) if body else b"") + (b"" if more else LAST_CHUNK))
        elif self._missing < 0:  # the body ends with the connection
            self._write(body)
            self._missing = -1 if more else 0
        elif len(body) > self._missing:
            raise RuntimeError("Response content longer than Content-Length")
        else:
            self._missing -= len(body)
            self._write(body)
        if not more:
            if self._missing:
                raise RuntimeError("Response content shorter than Content-Length")
            self._complete()

    def _complete(self) -> None:
        self._is_complete = True
        self._changed.set()
        self.flush()
        self._connection.answered(close=not self._keep_alive)

    def _write(self, data: bytes) -> None:
        if self._buffered is not None:
            self._buffered.append(data)
        elif data:
            self._connection.write(data)

    async def _fail(self) -> None:
        """Send an error, or close the connection if the response has begun."""
        if self._is_ended:
            return
        if not self.is_started:
            await self._send({"type": "http.response.start", "status": 500, "headers": _SERVER_ERROR})
            await self._send({"type": "http.response.body", "body": b"Internal Server Error"})
        else:
            self._is_complete = True
            self.flush()
            self._connection.answered(close=True)


class SocketConnection(Protocol):
    """The connection of a WebSocket, as `AsgiWebSocket` uses it."""

    lost: bool
    head: ParsedHead

    @property
    def is_paused(self) -> bool:
        """True while the client does not read."""

    @property
    def secure(self) -> bool:
        """True for TLS."""

    def server_address(self) -> tuple[str, int]:
        """Return the address and port that the client connected to."""

    def client_address(self) -> tuple[str, int] | None:
        """Return the address and port of the client."""

    def subprotocols(self) -> list[str]:
        """Return the subprotocols that the client offers."""

    def accept(self, fields: list[tuple[bytes, bytes]], subprotocol: str | None) -> None:
        """Complete the upgrade."""

    def refuse(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the upgrade with a reply, and close."""

    def send_message(self, message: str | bytes) -> None:
        """Send a message."""

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake."""

    def finish(self) -> None:
        """Close the connection, unless a closing handshake is going on."""

    async def writable(self) -> None:
        """Wait until the client has read enough of what was written, or is gone."""

    def pause_reading(self) -> None:
        """Read nothing from the client for now."""

    def resume_reading(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Close immediately, without a closing handshake."""


class AsgiWebSocket:
    """One WebSocket that an ASGI application serves, which takes one message after the other."""

    def __init__(self, connection: SocketConnection) -> None:
        self._connection = connection
        self._received: deque[Message] = deque([{"type": "websocket.connect"}])
        self._changed = asyncio.Event()
        self._is_accepted = self._is_closed = False
        self._refusal: tuple[int, list[tuple[bytes, bytes]], bytes] | None = None

    # ------------------------------------------------------------------ called by the connection
    async def run(self, app: ASGIApp) -> None:
        """Call the application; refuse or close the WebSocket if it raises or returns."""
        connection = self._connection
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception as error:
            if not (connection.lost and isinstance(error, OSError)):
                logger.exception("Exception in ASGI application")
            self._fail()
        else:
            if not self._is_accepted and self._refusal is None and not self._is_closed and not connection.lost:
                logger.error("ASGI callable returned without completing handshake.")
                self._fail()
        connection.finish()

    def received(self, message: str | bytes) -> None:
        """Queue a message for the application."""
        self._put({"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message})
        self._connection.pause_reading()

    def closed(self, code: int, reason: str = "") -> None:
        """Tell the application that the WebSocket is closed."""
        if not self._is_closed:
            self._is_closed = True
            self._put({"type": "websocket.disconnect", "code": code, "reason": reason})

    def resumed(self) -> None:
        """Read on, unless the application has messages to take; `_send` waits for this itself."""
        if not self._received:
            self._connection.resume_reading()

    def _put(self, message: Message) -> None:
        self._received.append(message)
        self._changed.set()

    # ------------------------------------------------------------------ ASGI
    def _scope(self) -> Scope:
        connection = self._connection
        head = connection.head
        return {
            "type": "websocket",
            "asgi": _WEBSOCKET_VERSIONS,
            "http_version": "1.1",
            "scheme": "wss" if connection.secure else "ws",
            "server": connection.server_address(),
            "client": connection.client_address(),
            "root_path": "",
            "path": head.decoded_path,
            "raw_path": head.raw_path,
            "query_string": head.raw_query,
            "headers": [*head.fields],
            "subprotocols": connection.subprotocols(),
            "state": {},
            "extensions": {"websocket.http.response": {}, CONNECTION_CONTROL: connection},
        }

    async def _receive(self) -> Message:
        while not self._received:
            self._changed.clear()
            await self._changed.wait()
        message = self._received.popleft()
        if not self._received and not self._connection.is_paused:
            self._connection.resume_reading()
        return message

    async def _send(self, message: Message) -> None:
        """Perform a message of the application.

        :raises OSError: if the client has disconnected, or the closing handshake has started.
        """
        connection, kind = self._connection, message["type"]
        await connection.writable()
        if connection.lost or (self._is_closed and self._is_accepted):
            raise ConnectionResetError("the WebSocket is closed")
        if self._is_accepted:
            self._send_accepted(message)
        elif kind == "websocket.accept":
            self._is_accepted = True
            connection.accept([*message.get("headers", ())], message.get("subprotocol"))
        elif kind == "websocket.close":
            self.closed(1006)
            connection.refuse(403, [], b"")
        elif kind == "websocket.http.response.start" and self._refusal is None:
            self._refusal = (message["status"], [*message.get("headers", ())], b"")
        elif kind == "websocket.http.response.body" and self._refusal is not None:
            status, fields, begun = self._refusal
            self._refusal = (status, fields, begun + message.get("body", b""))
            if not message.get("more_body", False):
                self.closed(1006)
                connection.refuse(*self._refusal)
        else:
            raise RuntimeError(f"found the ASGI message {kind!r}, which is not allowed before the upgrade")

    def _send_accepted(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            self._connection.close(message.get("code", 1000), message.get("reason") or "")
        elif message["type"] == "websocket.send":
            data = message.get("bytes")
            self._connection.send_message(message["text"] if data is None else data)
        else:
            raise RuntimeError(f"found the ASGI message {message['type']!r}; expected websocket.send")

    def _fail(self) -> None:
        if not self._is_accepted and self._refusal is None and not self._is_closed:
            self._connection.refuse(500, [], b"Internal Server Error")
