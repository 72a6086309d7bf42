"""The ASGI door: hands each request to the driver and tells it what became of the answer.

Thin, as the mitmproxy addon is: it translates, waits and writes. What to answer is decided in `cometreel.engine`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.engine.driver import Driver, DriverReply, WebSocketConversation
from cometreel.http_fields import error_reply
from cometreel.serve.asgi import (
    connection_control_of,
    headers_of,
    http_connection_control_of,
    reply_start,
    request_from,
    response_fields,
)
from cometreel.serve.request_body import BodyRefused, ClientDisconnected, finish_reading, read_body
from cometreel.wire import Accept, Drop, Forward, Frame, Reply, Request

__all__ = ["ADMIN", "ReplayApp", "converse"]

ADMIN = "/__reel__"
"""Paths that begin with this belong to the admin app, if there is one, and never reach the engine."""

MAX_BODY = 16 * 1024 * 1024

ForwardRequest = Callable[[Request], Awaitable[Reply]]


@dataclass(slots=True)  # frozen ones cost twice as much to make, and this is made for each request
class _RequestContext:
    """One HTTP request under way, as ASGI has it; only what its answer needs."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: int


class ReplayApp:
    """The ASGI application in front of one driver: HTTP and WebSocket. It must be called on the driver's event loop.

    `admin` gets all that is under `/__reel__`. `forward` answers what the engine wants forwarded; without one that is
    a 502. `max_body` is the longest body that is read, in bytes, sent and decoded.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        admin: ASGIApp | None = None,
        forward: ForwardRequest | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self.driver = driver
        self._admin, self._forward, self._max_body = admin, forward, max_body
        self._writing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope. Lifespan is not served: the driver must have been made on a loop already."""
        kind = scope["type"]
        if self._admin is not None and kind != "lifespan" and _is_admin(scope["path"]):
            await self._admin(scope, receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await converse(self.driver, scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, headers = self.driver.new_request_id(), headers_of(scope)
        try:
            body = await read_body(headers, receive, self._max_body)
        except ClientDisconnected:
            return
        except BodyRefused as refused:
            await _refuse(refused, receive, send)
            return
        request = request_from(scope, request_id, headers, body)
        answer = self.driver.begin(request)
        if isinstance(answer, Forward):
            answer = await self._forwarded(request)
        turn = _RequestContext(scope, receive, send, request_id)
        del headers, body, request  # a poll may be held for long, and they are its largest part
        if answer is None:
            await self._hold(turn)
        else:
            await self._put(turn, answer)
            if isinstance(answer, Drop):
                await _until_gone(receive)

    async def _hold(self, turn: _RequestContext) -> None:
        """Wait for the client to hang up; the answer, when it comes, is written by a task of its own.

        `receive` tells of both ends: it returns when the client is gone and when the response is complete. So a held
        poll costs one task, not two.
        """
        held = self.driver.hold(turn.request_id)
        held.add_done_callback(lambda answered: self._begin_writing(turn, answered))
        await _until_gone(turn.receive)
        if not held.done():
            self.driver.hung_up(turn.request_id)

    def _begin_writing(self, turn: _RequestContext, answered: asyncio.Future[DriverReply]) -> None:
        writing = asyncio.ensure_future(self._put(turn, answered.result()))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _put(self, turn: _RequestContext, answer: DriverReply) -> None:
        if isinstance(answer, Reply):
            await self._write(turn, answer)
        else:  # the engine orders `Forward` at once or never
            _end(turn.scope)

    async def _write(self, turn: _RequestContext, reply: Reply) -> None:
        """Write a reply and tell the engine whether it could be written."""
        line = http_connection_control_of(turn.scope)
        if line is not None:
            line.gather()
        try:
            await turn.send(reply_start(reply))
            await turn.send({"type": "http.response.body", "body": reply.body})
        except OSError:  # as ASGI 2.4 has it for a client that is gone
            lost = True
        else:
            lost = line is not None and line.lost
        finally:
            if line is not None:
                line.flush()
        (self.driver.hung_up if lost else self.driver.written)(turn.request_id)

    async def _forwarded(self, request: Request) -> Reply:
        if self._forward is None:
            return error_reply(request.id, 502, 4, "nothing here answers this, and there is no server to forward it to")
        return await self._forward(request)


def _is_admin(path: str) -> bool:
    return path.startswith(ADMIN) and path[len(ADMIN) :][:1] in ("", "/")


def _end(scope: Scope) -> None:
    """End a connection without a reply.

    :raises ConnectionAbortedError: if the server gives us no other way.
    """
    line = connection_control_of(scope)
    if line is None:
        raise ConnectionAbortedError("the scenario ends this connection")
    line.abort()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(refused: BodyRefused, receive: Receive, send: Send) -> None:
    """Say why, and let the client finish sending what nobody reads."""
    reply = refused.reply(0)
    start = reply_start(reply)
    start["headers"].append((b"connection", b"close"))
    await send(start)
    await send({"type": "http.response.body", "body": reply.body, "more_body": refused.unread})
    if refused.unread:
        await finish_reading(receive)
        await send({"type": "http.response.body", "body": b""})


UNSUPPORTED_DATA = 1003  # RFC 6455 §7.4.1: Bayeux is text


async def converse(driver: Driver, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket from its upgrade to its end."""
    await receive()  # `websocket.connect`, always the first
    conversation = driver.open(request_from(scope, driver.new_request_id(), headers_of(scope)))
    try:
        match await conversation.next():
            case Accept(headers=headers):
                fields = [*response_fields(headers)]
                await send({"type": "websocket.accept", "subprotocol": _first_offered(scope), "headers": fields})
                await _talk(conversation, receive, send)
            case Reply() as refusal:
                await _refuse_upgrade(refusal, send)
            case _:
                if (line := connection_control_of(scope)) is not None:
                    line.abort()
    finally:
        conversation.ended()


async def _talk(conversation: WebSocketConversation, receive: Receive, send: Send) -> None:
    sending = asyncio.create_task(_send(conversation, send))
    try:
        while (message := await receive())["type"] == "websocket.receive":
            if (text := message.get("text")) is not None:
                conversation.received(text)
            else:
                await send({"type": "websocket.close", "code": UNSUPPORTED_DATA, "reason": "Bayeux messages are text"})
    finally:
        sending.cancel()


async def _send(conversation: WebSocketConversation, send: Send) -> None:
    """Send what the engine says until it ends the connection or the client is gone."""
    try:
        while isinstance(turn := await conversation.next(), Frame):
            await send({"type": "websocket.send", "text": turn.text})
            conversation.sent()
        await send({"type": "websocket.close", "code": turn.code if isinstance(turn, Drop) else 1000})
    except OSError:
        pass  # the client is gone; `converse` tells the engine


async def _refuse_upgrade(refusal: Reply, send: Send) -> None:
    fields = [*response_fields(refusal.headers), (b"content-length", b"%d" % len(refusal.body))]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": refusal.body})


def _first_offered(scope: Scope) -> str | None:
    """Agree to the client's first subprotocol: a browser ends a connection on which none was agreed."""
    return next(iter(scope["subprotocols"]), None)
