"""Translation between ASGI and the engine: scopes to requests, replies to messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote

from starlette.types import Message, Scope

from cometreel.http_fields import BODILESS, CACHED_LENGTH, HEADS, cached_headers, field_bytes, head_length
from cometreel.wire import Headers, Reply, Request

__all__ = [
    "CONNECTION_CONTROL",
    "ConnectionControl",
    "HttpConnectionControl",
    "base_url",
    "connection_control_of",
    "headers_of",
    "http_connection_control_of",
    "reply_fields",
    "reply_start",
    "request_from",
    "response_fields",
]

FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})
"""The fields that the server sets itself; those of a scenario are dropped."""


def headers_of(scope: Scope) -> Headers:
    """Return the header fields of a request. Equal fields give the same object, which is parsed once."""
    fields = tuple(scope["headers"])
    return HEADS.get((fields, False)) or cached_headers(fields)


def request_from(scope: Scope, request_id: int, headers: Headers, body: bytes = b"") -> Request:
    """Translate a request with its body, or the upgrade of a WebSocket.

    `raw_path` is optional in ASGI; without it, the path is encoded again.
    """
    websocket, client = scope["type"] == "websocket", scope.get("client")
    return Request(
        request_id,
        "GET" if websocket else scope["method"],
        (scope.get("raw_path") or quote(scope["path"]).encode()).decode("utf-8", "surrogateescape"),
        scope["query_string"].decode("utf-8", "surrogateescape"),
        headers,
        body,
        _base(scope, headers),
        websocket,
        client[0] if client else "",
    )


def _base(scope: Scope, headers: Headers) -> str:
    return base_url(headers, secure=scope["scheme"] in ("https", "wss"), server=lambda: scope["server"])


def base_url(headers: Headers, *, secure: bool, server: Callable[[], tuple[str, int]]) -> str:
    """Return scheme and authority as the client sees them; X-Forwarded-Proto comes from a proxy that terminates TLS.

    `server` returns the address of the server, for requests without Host.
    """
    scheme = "https" if secure or headers.get("x-forwarded-proto") == "https" else "http"
    host = headers.get("host")
    if not host:
        address, port = server()
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"{scheme}://{host}"


def reply_start(reply: Reply, method: str = "GET") -> Message:
    """Return the message that starts a response to a request with this method."""
    return {"type": "http.response.start", "status": reply.status, "headers": reply_fields(reply, method)}


def reply_fields(reply: Reply, method: str = "GET") -> list[tuple[bytes, bytes]]:
    """Return the fields of a response to a request with this method, with the length of its body."""
    fields = [*response_fields(reply.headers)]
    length = len(reply.body) if method != "HEAD" else head_length(reply)
    if length is not None and reply.status not in BODILESS:
        fields.append((b"content-length", b"%d" % length))
    return fields


def response_fields(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield fields for ASGI, without those that the server sets itself."""
    for name, value in headers:
        field = _short_field(name, value) if len(name) + len(value) <= CACHED_LENGTH else _field(name, value)
        if field is not None:
            yield field


def _field(name: str, value: str) -> tuple[bytes, bytes] | None:
    lower = name.lower()
    return None if lower in FRAMING else (field_bytes(lower), field_bytes(value))


_short_field = lru_cache(maxsize=1024)(_field)


CONNECTION_CONTROL = "cometreel.connection"
"""The key of `scope["extensions"]` for the `ConnectionControl` of a request."""


class ConnectionControl(Protocol):
    """Control over one connection of a client."""

    lost: bool
    """True if the client has disconnected."""

    def abort(self) -> None:
        """Close the connection immediately; unwritten bytes are discarded."""


class HttpConnectionControl(ConnectionControl, Protocol):
    """Control over the connection of an HTTP request, which can write a whole response with one send."""

    def buffer(self) -> None:
        """Buffer what is written from now on, until `flush`: head and body of one response."""

    def flush(self) -> None:
        """Write the buffered bytes with one send, so that the client gets one packet."""


def connection_control_of(scope: Scope) -> ConnectionControl | None:
    """Return the connection of a request; None if the server does not provide it."""
    connection: ConnectionControl | None = scope.get("extensions", {}).get(CONNECTION_CONTROL)
    return connection


def http_connection_control_of(scope: Scope) -> HttpConnectionControl | None:
    """Return the connection of an HTTP request; None if the server does not provide it."""
    connection: HttpConnectionControl | None = scope.get("extensions", {}).get(CONNECTION_CONTROL)
    return connection
