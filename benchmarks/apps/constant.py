"""An ASGI application that answers every request with the same reply, to measure the cost of the server alone."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

REPLY = b'{"statusCode":0,"referenceId":67}'
FIELDS = [(b"content-type", b"application/json;charset=UTF-8"), (b"content-length", b"%d" % len(REPLY))]


async def app(_scope: Scope, receive: Receive, send: Send) -> None:
    """Read the request and answer."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": FIELDS})
    await send({"type": "http.response.body", "body": REPLY})
