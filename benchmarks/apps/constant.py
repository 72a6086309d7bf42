"""Applications that answer every request with the same reply, to measure the cost of the server alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Scope, Send

REPLY = b'{"statusCode":0,"referenceId":67}'
FIELDS = [(b"content-type", b"application/json;charset=UTF-8"), (b"content-length", b"%d" % len(REPLY))]


async def app(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as an ASGI application."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": FIELDS})
    await send({"type": "http.response.body", "body": REPLY})


async def rsgi(_scope: Any, protocol: Any) -> None:  # granian has no types for these two
    """Answer as an RSGI application, granian's own interface."""
    await protocol()
    protocol.response_bytes(200, [(name.decode(), value.decode()) for name, value in FIELDS], REPLY)


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    """Answer as a WSGI application."""
    environ["wsgi.input"].read()
    start_response("200 OK", [(name.decode(), value.decode()) for name, value in FIELDS])
    return [REPLY]
