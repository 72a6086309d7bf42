"""The WebSocket side of the ASGI door: one conversation with the driver. Nothing about Bayeux may enter."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send

from cometreel.engine.driver import Driver, WebSocketConversation
from cometreel.serve.line import line_of
from cometreel.serve.translation import headers_of, request_from, response_fields
from cometreel.wire import Accept, Drop, Frame, Reply

__all__ = ["converse"]

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
                await _refuse(refusal, send)
            case _:
                if (line := line_of(scope)) is not None:
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


async def _refuse(refusal: Reply, send: Send) -> None:
    fields = [*response_fields(refusal.headers), (b"content-length", b"%d" % len(refusal.body))]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": refusal.body})


def _first_offered(scope: Scope) -> str | None:
    """Agree to the client's first subprotocol: a browser ends a connection on which none was agreed."""
    return next(iter(scope["subprotocols"]), None)
