"""Relays and records WebSockets: the upgrade, then the messages of both sides, each recorded before it is forwarded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from cometreel.http_fields import RawFields, end_to_end, error_reply, headers_from_raw, raw_from_headers
from cometreel.recording.live_recorder import LiveRecorder
from cometreel.recording.upstream import CONNECT_TIMEOUT, Upstream

__all__ = ["WebSocketRelay"]

CLOSE_TIMEOUT = 2.0  # seconds to wait for the closing handshake of the server

OPENING_FIELDS = (
    b"host",
    b"sec-websocket-accept",
    b"sec-websocket-extensions",
    b"sec-websocket-key",
    b"sec-websocket-protocol",
    b"sec-websocket-version",
)
"""The fields of the opening handshake (RFC 6455 §4); each side of the proxy creates its own."""

NORMAL, GOING_AWAY, NO_CODE, ABNORMAL = 1000, 1001, 1005, 1006
"""Close codes (RFC 6455 §7.4.1). NO_CODE and ABNORMAL are never sent."""


class WebSocketRelay:
    """Relays WebSockets to one server; `observe` is called with the target and each message of a client."""

    def __init__(self, upstream: Upstream, recorder: LiveRecorder, observe: Callable[[str, str | bytes], None]) -> None:
        self._upstream, self._recorder, self._observe = upstream, recorder, observe
        self._open: set[ClientConnection] = set()

    async def close(self) -> None:
        """Close every WebSocket with code 1001 (going away)."""
        await asyncio.gather(*(server.close(GOING_AWAY) for server in self._open))

    async def relay(self, flow: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay one WebSocket; a rejected upgrade is forwarded to the client."""
        await receive()  # `websocket.connect`
        target = scope["raw_path"].decode("ascii")  # the server rejects other targets
        target += f"?{scope['query_string'].decode('ascii')}" if scope["query_string"] else ""
        failed_upgrade = _FailedUpgrade(self._recorder, flow, scope, target, send)
        try:
            server = await _open(self._upstream, scope, target)
        except InvalidStatus as error:
            await failed_upgrade.forward(error.response)
        except (OSError, InvalidHandshake) as error:
            await failed_upgrade.unreachable(f"{self._upstream} can't be reached: {str(error) or type(error).__name__}")
        else:
            assert server.response is not None
            fields = headers_from_raw(_fields(server.response))
            self._recorder.opened(flow, target, headers_from_raw(scope["headers"]), fields)
            self._open.add(server)
            try:
                async with server:
                    await _RelayedConnection(
                        server, self._recorder, flow, partial(self._observe, target), receive, send
                    ).run()
            finally:
                self._open.discard(server)


async def _open(upstream: Upstream, scope: Scope, target: str) -> ClientConnection:
    fields = end_to_end(scope["headers"], *OPENING_FIELDS)
    return await connect(
        f"{upstream.scheme.replace('http', 'ws')}://{upstream.authority}{target}",
        additional_headers=[(name.decode(), value.decode(errors="replace")) for name, value in fields],
        subprotocols=[Subprotocol(name) for name in scope["subprotocols"]] or None,
        ssl=upstream.ssl_context,
        compression=None,
        user_agent_header=None,
        proxy=None,
        open_timeout=CONNECT_TIMEOUT,
        close_timeout=CLOSE_TIMEOUT,
        ping_interval=None,
        max_size=None,
    )


class _RelayedConnection:
    """An open WebSocket with a connection to the client and one to the server."""

    def __init__(
        self,
        server: ClientConnection,
        recorder: LiveRecorder,
        flow: str,
        observe: Callable[[str | bytes], None],
        receive: Receive,
        send: Send,
    ) -> None:
        self._server, self._recorder, self._flow, self._observe = server, recorder, flow, observe
        self._receive, self._send = receive, send

    async def run(self) -> None:
        """Relay messages until one side closes; then close the other side with the same code."""
        assert self._server.response is not None
        fields = end_to_end(_fields(self._server.response), *OPENING_FIELDS)
        await self._send({"type": "websocket.accept", "subprotocol": self._server.subprotocol, "headers": fields})
        returning = asyncio.create_task(self._to_client())
        going = asyncio.create_task(self._to_server())
        try:
            await asyncio.wait((returning, going), return_when=asyncio.FIRST_COMPLETED)
        finally:
            returning.cancel()
            going.cancel()
            await asyncio.wait((returning, going))
            self._recorder.closed(self._flow, self._server.close_code or ABNORMAL)

    async def _to_server(self) -> None:
        while (message := await self._receive())["type"] == "websocket.receive":
            frame = message.get("text")
            frame = message["bytes"] if frame is None else frame
            self._recorder.frame(self._flow, True, frame)
            self._observe(frame)
            try:
                await self._server.send(frame)
            except ConnectionClosed:
                return
        await self._server.close(_sendable(message.get("code", ABNORMAL)))

    async def _to_client(self) -> None:
        with suppress(OSError):  # the client is gone (ASGI 2.4); `_to_server` gets the event
            with suppress(ConnectionClosed):  # no closing handshake: the client's side is closed too
                async for frame in self._server:
                    self._recorder.frame(self._flow, False, frame)
                    kind = "text" if isinstance(frame, str) else "bytes"
                    await self._send({"type": "websocket.send", kind: frame})
            await self._send({"type": "websocket.close", "code": _sendable(self._server.close_code or ABNORMAL)})


def _fields(response: Response) -> RawFields:
    return [(name.encode(), value.encode()) for name, value in response.headers.raw_items()]


def _sendable(code: int) -> int:
    return {NO_CODE: NORMAL, ABNORMAL: GOING_AWAY}.get(code, code)


class _FailedUpgrade:
    """A failed upgrade, recorded and answered as an HTTP request."""

    def __init__(self, recorder: LiveRecorder, flow: str, scope: Scope, target: str, send: Send) -> None:
        self._recorder, self._flow, self._send = recorder, flow, send
        self._target, self._fields = target, scope["headers"]

    async def forward(self, response: Response) -> None:
        """Forward the reply of the server."""
        status, fields, body = response.status_code, _fields(response), bytes(response.body or b"")
        self._record_request()
        self._recorder.reply(self._flow, status, fields, body)
        await self._write(status, end_to_end(fields, b"content-length"), body)

    async def unreachable(self, reason: str) -> None:
        """Reply that the server can't be reached."""
        self._record_request()
        self._recorder.error(self._flow, reason)
        reply = error_reply(0, 502, 4, f"cometreel: {reason}")
        await self._write(reply.status, raw_from_headers(reply.headers), reply.body)

    def _record_request(self) -> None:
        self._recorder.request(self._flow, ("GET", self._target), self._fields, b"")

    async def _write(self, status: int, fields: RawFields, body: bytes) -> None:
        start = [*fields, (b"Content-Length", b"%d" % len(body))]
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": start})
        await self._send({"type": "websocket.http.response.body", "body": body})
