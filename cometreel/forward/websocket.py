"""A WebSocket on its way through: the upgrade to the server, then frames both ways, each recorded before it goes on."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from cometreel.forward.fields import engine_headers, passed_on
from cometreel.forward.upstream import CONNECT_PATIENCE, Upstream
from cometreel.jsonvalue import encode
from cometreel.recording import Recorder

__all__ = ["relay_websocket"]

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


async def relay_websocket(
    upstream: Upstream, recorder: Recorder, flow: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Pass one WebSocket on, from its upgrade to its end; a server that refuses it is passed on too."""
    await receive()  # `websocket.connect`, always the first
    target = scope["raw_path"].decode("ascii")
    target += f"?{scope['query_string'].decode('ascii')}" if scope["query_string"] else ""
    refusal = _Refusal(recorder, flow, scope, target, send)
    try:
        server = await _open(upstream, scope, target)
    except InvalidStatus as error:
        response = error.response
        fields = [(name.encode(), value.encode()) for name, value in response.headers.raw_items()]
        await refusal.pass_on(response.status_code, fields, bytes(response.body or b""))
    except (OSError, InvalidHandshake) as error:
        await refusal.failed(f"{upstream} can't be reached: {str(error) or type(error).__name__}")
    else:
        recorder.opened(flow, target, engine_headers(scope["headers"]), wanted=True)
        async with server:
            await _Relay(server, recorder, flow, receive, send).run()


async def _open(upstream: Upstream, scope: Scope, target: str) -> ClientConnection:
    fields = [(name.decode(), value.decode()) for name, value in passed_on(scope["headers"], *OPENING_FIELDS)]
    return await connect(
        f"{upstream.scheme.replace('http', 'ws')}://{upstream.authority}{target}",
        additional_headers=fields,
        subprotocols=[Subprotocol(name) for name in scope["subprotocols"]] or None,
        ssl=upstream.trust,
        compression=None,
        user_agent_header=None,
        proxy=None,
        open_timeout=CONNECT_PATIENCE,
        ping_interval=None,
        max_size=None,
    )


class _Relay:
    """An open WebSocket: two ends, and what goes between them."""

    def __init__(self, server: ClientConnection, recorder: Recorder, flow: str, receive: Receive, send: Send) -> None:
        self._server, self._recorder, self._flow = server, recorder, flow
        self._receive, self._send = receive, send

    async def run(self) -> None:
        """Go on until one side ends it; then the other is ended likewise."""
        assert self._server.response is not None
        accepted = [(name.encode(), value.encode()) for name, value in self._server.response.headers.raw_items()]
        fields = passed_on(accepted, *OPENING_FIELDS)
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
            try:
                await self._server.send(frame)
            except ConnectionClosed:
                return
        await self._server.close(_sendable(message.get("code", ABNORMAL)))

    async def _to_client(self) -> None:
        try:
            async for frame in self._server:
                self._recorder.frame(self._flow, False, frame)
                kind = "text" if isinstance(frame, str) else "bytes"
                await self._send({"type": "websocket.send", kind: frame})
        except ConnectionClosed:
            pass  # without a closing handshake: the client's side ends likewise
        await self._send({"type": "websocket.close", "code": _sendable(self._server.close_code or ABNORMAL)})


def _sendable(code: int) -> int:
    return {NO_CODE: NORMAL, ABNORMAL: GOING_AWAY}.get(code, code)


class _Refusal:
    """An upgrade that came to nothing: recorded and answered as the HTTP request that it was."""

    def __init__(self, recorder: Recorder, flow: str, scope: Scope, target: str, send: Send) -> None:
        self._recorder, self._flow, self._send = recorder, flow, send
        self._target, self._headers = target, engine_headers(scope["headers"])

    async def pass_on(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Pass the server's own refusal on."""
        self._begin()
        self._recorder.reply(self._flow, status, engine_headers(fields), body)
        await self._write(status, passed_on(fields, b"content-length"), body)

    async def failed(self, why: str) -> None:
        """Say that the server can't be reached."""
        self._begin()
        self._recorder.error(self._flow, why)
        body = encode({"statusCode": 4, "statusMessage": f"cometreel: {why}"})
        await self._write(502, [(b"Content-Type", b"application/json;charset=UTF-8")], body)

    def _begin(self) -> None:
        self._recorder.request(self._flow, "GET", self._target, self._headers, b"", wanted=True)

    async def _write(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        start = [*fields, (b"Content-Length", b"%d" % len(body))]
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": start})
        await self._send({"type": "websocket.http.response.body", "body": body})
