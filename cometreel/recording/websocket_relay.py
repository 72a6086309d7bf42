"""A WebSocket on its way through: the upgrade to the server, then frames both ways, each recorded before it goes on."""

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
from cometreel.recording import Recorder
from cometreel.recording.upstream import CONNECT_PATIENCE, Upstream

__all__ = ["WebSocketRelay"]

CLOSE_PATIENCE = 2.0  # seconds until a server that doesn't answer the end of a WebSocket is left alone

OPENING_FIELDS = (
    b"host",
    b"sec-websocket-accept",
    b"sec-websocket-extensions",
    b"sec-websocket-key",
    b"sec-websocket-protocol",
    b"sec-websocket-version",
)
"""The fields that make an upgrade (RFC 6455 §4): each side of the forwarder makes its own."""

NORMAL, GOING_AWAY, NO_CODE, ABNORMAL = 1000, 1001, 1005, 1006
"""Close codes (RFC 6455 §7.4.1). The last two are never sent: closed without a code, and broken."""


class WebSocketRelay:
    """Passes WebSockets on to one server; `heard` is told each frame of a client, with the path that it asked for."""

    def __init__(self, upstream: Upstream, recorder: Recorder, heard: Callable[[str, str | bytes], None]) -> None:
        self._upstream, self._recorder, self._heard = upstream, recorder, heard
        self._open: set[ClientConnection] = set()

    async def close(self) -> None:
        """End every WebSocket: going away."""
        await asyncio.gather(*(server.close(GOING_AWAY) for server in self._open))

    async def relay(self, flow: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one on, from its upgrade to its end; that a server refuses it is passed on too."""
        await receive()  # `websocket.connect`, always the first
        target = scope["raw_path"].decode("ascii")  # the listener lets nothing else in
        target += f"?{scope['query_string'].decode('ascii')}" if scope["query_string"] else ""
        refusal = _FailedUpgrade(self._recorder, flow, scope, target, send)
        try:
            server = await _open(self._upstream, scope, target)
        except InvalidStatus as error:
            await refusal.pass_on(error.response)
        except (OSError, InvalidHandshake) as error:
            await refusal.failed(f"{self._upstream} can't be reached: {str(error) or type(error).__name__}")
        else:
            self._recorder.opened(flow, target, headers_from_raw(scope["headers"]), wanted=True)
            self._open.add(server)
            try:
                async with server:
                    await _RelayedConnection(
                        server, self._recorder, flow, partial(self._heard, target), receive, send
                    ).run()
            finally:
                self._open.discard(server)


async def _open(upstream: Upstream, scope: Scope, target: str) -> ClientConnection:
    fields = end_to_end(scope["headers"], *OPENING_FIELDS)
    return await connect(
        f"{upstream.scheme.replace('http', 'ws')}://{upstream.authority}{target}",
        additional_headers=[(name.decode(), value.decode(errors="replace")) for name, value in fields],
        subprotocols=[Subprotocol(name) for name in scope["subprotocols"]] or None,
        ssl=upstream.trust,
        compression=None,
        user_agent_header=None,
        proxy=None,
        open_timeout=CONNECT_PATIENCE,
        close_timeout=CLOSE_PATIENCE,
        ping_interval=None,
        max_size=None,
    )


class _RelayedConnection:
    """An open WebSocket: two ends, and what goes between them."""

    def __init__(
        self,
        server: ClientConnection,
        recorder: Recorder,
        flow: str,
        heard: Callable[[str | bytes], None],
        receive: Receive,
        send: Send,
    ) -> None:
        self._server, self._recorder, self._flow, self._heard = server, recorder, flow, heard
        self._receive, self._send = receive, send

    async def run(self) -> None:
        """Go on until one side ends it; then the other is ended likewise."""
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
            self._heard(frame)
            try:
                await self._server.send(frame)
            except ConnectionClosed:
                return
        await self._server.close(_sendable(message.get("code", ABNORMAL)))

    async def _to_client(self) -> None:
        with suppress(OSError):  # as ASGI 2.4 has it for a client that is gone; `_to_server` hears of it
            with suppress(ConnectionClosed):  # without a closing handshake: the client's side ends likewise
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
    """An upgrade that came to nothing: recorded and answered as the HTTP request that it was."""

    def __init__(self, recorder: Recorder, flow: str, scope: Scope, target: str, send: Send) -> None:
        self._recorder, self._flow, self._send = recorder, flow, send
        self._target, self._headers = target, headers_from_raw(scope["headers"])

    async def pass_on(self, response: Response) -> None:
        """Pass the server's own refusal on."""
        status, fields, body = response.status_code, _fields(response), bytes(response.body or b"")
        self._begin()
        self._recorder.reply(self._flow, status, headers_from_raw(fields), body)
        await self._write(status, end_to_end(fields, b"content-length"), body)

    async def failed(self, why: str) -> None:
        """Say that the server can't be reached."""
        self._begin()
        self._recorder.error(self._flow, why)
        reply = error_reply(0, 502, 4, f"cometreel: {why}")
        await self._write(reply.status, raw_from_headers(reply.headers), reply.body)

    def _begin(self) -> None:
        self._recorder.request(self._flow, "GET", self._target, self._headers, b"", wanted=True)

    async def _write(self, status: int, fields: RawFields, body: bytes) -> None:
        start = [*fields, (b"Content-Length", b"%d" % len(body))]
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": start})
        await self._send({"type": "websocket.http.response.body", "body": body})
