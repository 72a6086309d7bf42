"""The ASGI application: passes each request to the driver and reports whether the reply was written.

It translates, waits and writes; `cometreel.engine` decides the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cometreel.cors import CrossOriginAccess
from cometreel.engine.clock_control import ClockControl
from cometreel.engine.driver import BINARY_REFUSED, Driver, DriverReply, ReplyPart, WebSocketConversation
from cometreel.http_fields import error_reply, headers_from_raw, raw_from_headers
from cometreel.serve.asgi import (
    connection_control_of,
    headers_of,
    http_connection_control_of,
    reply_start,
    request_from,
    response_fields,
)
from cometreel.serve.request_body import BodyRefused, ClientDisconnected, finish_reading, read_body
from cometreel.wire import Accept, Begin, Chunk, Drop, End, Forward, Headers, Reply, Request

__all__ = ["ADMIN", "ReplayApp", "serve_websocket"]

ADMIN = "/__reel__"
"""Paths below this one go to the admin app, if there is one, and never to the engine."""

MAX_BODY = 16 * 1024 * 1024

ForwardRequest = Callable[[Request], Awaitable[Reply]]


@dataclass(slots=True)  # not frozen: created per request, and frozen dataclasses cost twice as much
class _RequestContext:
    """One HTTP request in progress: the parts of ASGI that its reply needs.

    `sender` is the task that sends a reply in parts; None before it begins and when it ends. `waiter` is the task that
    waits until the client disconnects, if the reply is written by another one. `is_broken` is true if the engine has
    closed the connection of a server without `ConnectionControl`.
    """

    scope: Scope
    receive: Receive
    send: Send
    request_id: int
    sender: asyncio.Task[None] | None = None
    waiter: asyncio.Task[object] | None = None
    is_broken: bool = False


class ReplayApp:
    """The ASGI application of one driver: HTTP and WebSocket. It must be called on the driver's event loop.

    `admin` serves the paths under `/__reel__`. `forward` answers the requests that the engine forwards; without it they
    get a 502. `max_body` is the maximum length of a body in bytes, both as sent and decoded. `cors` allows pages of
    other origins. `clock` controls the time of the driver; `await app.clock.advance("8h")` moves a manual one.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        admin: ASGIApp | None = None,
        forward: ForwardRequest | None = None,
        max_body: int = MAX_BODY,
        cors: CrossOriginAccess | None = None,
        clock: ClockControl | None = None,
    ) -> None:
        self.clock = clock
        self.driver, self.cors, self.max_body = driver, cors, max_body
        self._admin, self._forward = admin, forward
        self._writing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope, except `lifespan`: the driver must exist already."""
        kind = scope["type"]
        if self._admin is not None and kind != "lifespan" and self.is_admin(scope["path"]):
            await self._admin(scope, receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await serve_websocket(self.driver, scope, receive, send)

    def is_admin(self, path: str) -> bool:
        """True if a path, without percent-encoding, belongs to the admin app."""
        return self._admin is not None and path.startswith(ADMIN) and path[len(ADMIN) :][:1] in ("", "/")

    async def forwarded(self, request: Request) -> Reply:
        """Return the reply of the real server to a request that the engine forwards, or an error."""
        if self._forward is None:
            text = (
                "no exchange answers this request, and there is no server to forward it to; start with --upstream URL"
            )
            return error_reply(request.id, 502, 4, text)
        return await self._forward(request)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, headers = self.driver.new_request_id(), headers_of(scope)
        if self.cors is not None:
            preflight = self.cors.preflight(request_from(scope, request_id, headers))
            if preflight is not None:
                await _send_reply(preflight, send)
                return
            send = _with_cors(self.cors, headers, send)
        try:
            body = await read_body(headers, receive, self.max_body)
        except ClientDisconnected:
            return
        except BodyRefused as refused:
            await _refuse(refused, receive, send)
            return
        request = request_from(scope, request_id, headers, body)
        answer = self.driver.begin(request)
        if isinstance(answer, Forward):
            answer = await self.forwarded(request)
        context = _RequestContext(scope, receive, send, request_id)
        del headers, body, request  # a poll may be held for long, and they are its largest part
        if answer is None:
            await self._hold(context, self.driver.hold(request_id))
        elif isinstance(answer, Begin):
            begun: asyncio.Future[DriverReply] = asyncio.get_running_loop().create_future()
            begun.set_result(answer)
            await self._hold(context, begun)
        else:
            await self._respond(context, answer)
            if isinstance(answer, Drop):
                await _until_disconnect(receive)

    async def _hold(self, context: _RequestContext, held: asyncio.Future[DriverReply]) -> None:
        """Wait until the client disconnects; a separate task writes the reply as soon as there is one.

        `receive` returns when the client disconnects and when the response is complete, so a held poll costs one task
        instead of two.

        :raises ConnectionAbortedError: if the engine closes the connection and the server has no `ConnectionControl`.
        """
        context.waiter = asyncio.current_task()
        held.add_done_callback(lambda answered: self._start_response(context, answered))
        try:
            await _until_disconnect(context.receive)
        except asyncio.CancelledError:
            if not context.is_broken:
                raise
            raise ConnectionAbortedError(_BROKEN) from None
        if context.sender is not None:
            context.sender.cancel()
        if context.sender is not None or not held.done():
            self.driver.hung_up(context.request_id)

    def _start_response(self, context: _RequestContext, answered: asyncio.Future[DriverReply]) -> None:
        writing = asyncio.ensure_future(self._respond(context, answered.result()))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _respond(self, context: _RequestContext, answer: DriverReply) -> None:
        if isinstance(answer, Reply):
            await self._write(context, answer)
        elif isinstance(answer, Begin):
            await self._write_parts(context, answer)
        else:  # `Drop`: the engine returns `Forward` immediately or never
            _abort(context)

    async def _write(self, context: _RequestContext, reply: Reply) -> None:
        """Write a reply and report to the engine whether that succeeded."""
        connection = http_connection_control_of(context.scope)
        if connection is not None:
            connection.buffer()
        try:
            await context.send(reply_start(reply, context.scope["method"]))
            await context.send({"type": "http.response.body", "body": reply.body})
        except OSError:  # ASGI 2.4: the client has disconnected
            lost = True
        else:
            lost = connection is not None and connection.lost
        finally:
            if connection is not None:
                connection.flush()
        (self.driver.hung_up if lost else self.driver.written)(context.request_id)

    async def _write_parts(self, context: _RequestContext, begin: Begin) -> None:
        """Write a reply in parts, and report each to the engine; the server chooses their coding."""
        parts: asyncio.Queue[ReplyPart] = asyncio.Queue()
        context.sender = asyncio.current_task()
        connection, request_id = http_connection_control_of(context.scope), context.request_id
        self.driver.stream(request_id, parts.put_nowait)
        fields = [*response_fields(begin.headers)]
        try:
            await context.send({"type": "http.response.start", "status": begin.status, "headers": fields})
            while isinstance(part := await parts.get(), Chunk):
                await context.send({"type": "http.response.body", "body": part.data, "more_body": True})
                if connection is not None and connection.lost:
                    raise ConnectionResetError
                self.driver.written(request_id)
            context.sender = None
            if isinstance(part, End):
                await context.send({"type": "http.response.body", "body": b""})
            else:
                _abort(context)
        except OSError:
            context.sender = None
            self.driver.hung_up(request_id)


def _with_cors(cors: CrossOriginAccess, request: Headers, send: Send) -> Send:
    """Return a function that sends a response with the fields of `cors`."""

    async def send_with_fields(message: Message) -> None:
        if message["type"] == "http.response.start":
            fields = Headers(cors.fields(request, headers_from_raw(message["headers"])))
            message = {**message, "headers": [(name.lower(), value) for name, value in raw_from_headers(fields)]}
        await send(message)

    return send_with_fields


async def _send_reply(reply: Reply, send: Send) -> None:
    await send(reply_start(reply))
    await send({"type": "http.response.body", "body": reply.body})


_BROKEN = "the scenario closes this connection without a reply"


def _abort(context: _RequestContext) -> None:
    """Close a connection without a reply; without `ConnectionControl`, by an error of the task that serves the request.

    :raises ConnectionAbortedError: if this is the task, and the server has no `ConnectionControl`.
    """
    connection = connection_control_of(context.scope)
    if connection is not None:
        connection.abort()
    elif context.waiter is None:
        raise ConnectionAbortedError(_BROKEN)
    else:
        context.is_broken = True
        context.waiter.cancel()


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(refused: BodyRefused, receive: Receive, send: Send) -> None:
    """Send the error, then read and discard the rest of the body."""
    reply = refused.reply(0)
    start = reply_start(reply)
    start["headers"].append((b"connection", b"close"))
    await send(start)
    await send({"type": "http.response.body", "body": reply.body, "more_body": refused.unread})
    if refused.unread:
        await finish_reading(receive)
        await send({"type": "http.response.body", "body": b""})


async def serve_websocket(driver: Driver, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket from the upgrade to the close."""
    await receive()  # `websocket.connect` is always first
    conversation = driver.open(request_from(scope, driver.new_request_id(), headers_of(scope)))
    try:
        match await conversation.next():
            case Accept(headers=headers):
                fields = [*response_fields(headers)]
                await send({"type": "websocket.accept", "subprotocol": _first_offered(scope), "headers": fields})
                await _exchange_frames(conversation, receive, send)
            case Reply() as refusal:
                await _refuse_upgrade(refusal, send)
            case _:
                if (connection := connection_control_of(scope)) is not None:
                    connection.abort()
    finally:
        conversation.ended()


async def _exchange_frames(conversation: WebSocketConversation, receive: Receive, send: Send) -> None:
    sending = asyncio.create_task(_send(conversation, send))
    try:
        while (message := await receive())["type"] == "websocket.receive":
            if (text := message.get("text")) is not None:
                conversation.received(text)
            else:
                code, reason = BINARY_REFUSED
                with suppress(OSError):  # the WebSocket may be closed already
                    await send({"type": "websocket.close", "code": code, "reason": reason})
    finally:
        sending.cancel()


async def _send(conversation: WebSocketConversation, send: Send) -> None:
    """Send frames until the engine closes the connection or the client disconnects."""
    with suppress(OSError):  # the client has disconnected; `serve_websocket` reports it
        code = await conversation.send_frames(lambda text: send({"type": "websocket.send", "text": text}))
        await send({"type": "websocket.close", "code": code})


async def _refuse_upgrade(refusal: Reply, send: Send) -> None:
    fields = [*response_fields(refusal.headers), (b"content-length", b"%d" % len(refusal.body))]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": refusal.body})


def _first_offered(scope: Scope) -> str | None:
    """Return the first subprotocol that the client offers: browsers close a connection that accepts none of theirs."""
    return next(iter(scope["subprotocols"]), None)
