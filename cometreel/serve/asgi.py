"""ASGI's scopes into requests of the engine, and its replies back into ASGI's messages. No state but equal headers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from starlette.types import Message, Scope

from cometreel.http_fields import BODILESS, cached_headers, field_bytes, field_text
from cometreel.wire import Headers, Reply, Request

__all__ = [
    "CONNECTION_CONTROL",
    "ConnectionControl",
    "HttpConnectionControl",
    "connection_control_of",
    "headers_of",
    "http_connection_control_of",
    "reply_start",
    "request_from",
    "response_fields",
]

FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})
"""What the server decides by itself, whatever a scenario says."""


def headers_of(scope: Scope) -> Headers:
    """Return the header fields of a request; a client that sends the same again gets the same object, already read."""
    return cached_headers(tuple(scope["headers"]))


def request_from(scope: Scope, request_id: int, headers: Headers, body: bytes = b"") -> Request:
    """Translate a request whose body was read, or the upgrade that opens a WebSocket."""
    websocket = scope["type"] == "websocket"
    return Request(
        request_id,
        "GET" if websocket else scope["method"],
        field_text(scope["raw_path"]),
        field_text(scope["query_string"]),
        headers,
        body,
        _base(scope, headers),
        websocket,
    )


def _base(scope: Scope, headers: Headers) -> str:
    """Return scheme and authority as the client asked; a balancer where TLS ends says so."""
    secure = scope["scheme"] in ("https", "wss") or headers.get("x-forwarded-proto") == "https"
    scheme = "https" if secure else "http"
    host = headers.get("host")
    if not host:
        address, port = scope["server"]
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"{scheme}://{host}"


def reply_start(reply: Reply) -> Message:
    """Make the message that begins a response."""
    fields = [*response_fields(reply.headers)]
    if reply.status not in BODILESS:
        fields.append((b"content-length", b"%d" % len(reply.body)))
    return {"type": "http.response.start", "status": reply.status, "headers": fields}


def response_fields(headers: Headers) -> Iterator[tuple[bytes, bytes]]:
    """Yield header fields as ASGI has them, without those of the framing."""
    for name, value in headers:
        if (field := _field(name, value)) is not None:
            yield field


@lru_cache(maxsize=1024)
def _field(name: str, value: str) -> tuple[bytes, bytes] | None:
    lower = name.lower()
    return None if lower in FRAMING else (field_bytes(lower), field_bytes(value))


CONNECTION_CONTROL = "cometreel.line"
"""Under this key of `scope["extensions"]`."""


class ConnectionControl(Protocol):
    """One connection."""

    lost: bool
    """Whether the client is gone, so that what is sent now can't reach it."""

    def abort(self) -> None:
        """End the connection at once; what was not written yet is thrown away."""


class HttpConnectionControl(ConnectionControl, Protocol):
    """The connection of an HTTP request, which can hold an answer back until it is whole."""

    def gather(self) -> None:
        """Hold back what is written from now on, until `flush`: head and body of an answer that is whole."""

    def flush(self) -> None:
        """Write at once what was held back: a client that waits is woken once, by one packet."""


def connection_control_of(scope: Scope) -> ConnectionControl | None:
    """Return the line that a request came on; None if the server offers none."""
    line: ConnectionControl | None = scope.get("extensions", {}).get(CONNECTION_CONTROL)
    return line


def http_connection_control_of(scope: Scope) -> HttpConnectionControl | None:
    """Return the line of an HTTP request; None if the server offers none."""
    line: HttpConnectionControl | None = scope.get("extensions", {}).get(CONNECTION_CONTROL)
    return line
