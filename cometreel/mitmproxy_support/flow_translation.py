"""Flows of mitmproxy into requests of the engine, and its replies back into flows. No addon of its own, no state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

from mitmproxy import http
from mitmproxy.net.http import url
from mitmproxy.proxy.mode_specs import ReverseMode

from cometreel.jsonvalue import encode
from cometreel.wire import Headers, Reply, Request

__all__ = ["engine_headers", "raw_field", "refusal", "reply_into", "request_from"]

BODILESS = frozenset({204, 304})
CONNECTION_FIELDS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})


def request_from(flow: http.HTTPFlow, request_id: int) -> Request:
    """Translate a flow's request for the engine.

    :raises ValueError: if the body isn't what its Content-Encoding says.
    """
    asked = flow.request
    path, _, query = asked.path.partition("?")
    headers = engine_headers(asked.headers.fields)
    body = asked.raw_content if headers.get("content-encoding") is None else asked.content
    upgrade = asked.method == "GET" and (headers.get("upgrade") or "").lower() == "websocket"
    return Request(request_id, asked.method, path, query, headers, body or b"", _base(flow), upgrade)


def _base(flow: http.HTTPFlow) -> str:
    """Return scheme and authority as the client asked."""
    asked = flow.request
    if isinstance(flow.client_conn.proxy_mode, ReverseMode):  # here the request's own scheme is the target's
        scheme = "https" if flow.client_conn.tls else "http"
    else:
        scheme = asked.scheme
    return f"{scheme}://{asked.host_header or url.hostport(scheme, asked.host, asked.port)}"


def reply_into(flow: http.HTTPFlow, reply: Reply) -> None:
    """Make the flow's response what the engine replied, framed as the HTTP version of the client wants it."""
    fields = list(_fields(reply, http2=flow.request.is_http2 or flow.request.is_http3))
    body = b"" if reply.status in BODILESS or flow.request.method == "HEAD" else reply.body
    began = flow.request.timestamp_start
    flow.response = http.Response(
        b"HTTP/1.1", reply.status, reply.reason.encode(), http.Headers(fields), body, None, began, None
    )


def _fields(reply: Reply, *, http2: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header fields; over HTTP/2 in lower case and without what concerns a connection (RFC 9113 §8.2)."""
    measured = reply.status in BODILESS
    for name, value in reply.headers:
        field, lower = _bytes(name), _bytes(name).lower()
        measured = measured or lower == b"content-length"
        if not http2:
            yield field, _bytes(value)
        elif lower not in CONNECTION_FIELDS:
            yield lower, _bytes(value)
    if not measured:
        yield b"content-length", str(len(reply.body)).encode()


def refusal(status: int, reason: str) -> Reply:
    """Return the reply of an addon that can't ask the engine, in the form that clients of GWS know."""
    body = encode({"statusCode": 6, "statusMessage": f"cometreel: {reason}"})
    return Reply(0, status, Headers([("Content-Type", "application/json;charset=UTF-8")]), body)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


FlowFields: TypeAlias = tuple[tuple[bytes, bytes], ...]

_CODING = b"content-encoding"


@lru_cache(maxsize=4096)
def engine_headers(fields: FlowFields, *, decoded: bool = False) -> Headers:
    """Translate header fields; those of a body that was `decoded` lose their Content-Encoding."""
    return Headers((_text(name), _text(value)) for name, value in fields if not (decoded and name.lower() == _CODING))


def raw_field(fields: FlowFields, wanted: bytes) -> bytes:
    """Look up a field by its name in lower case, empty where there is none; mitmproxy's look-up costs far more."""
    for name, value in fields:
        if name.lower() == wanted:
            return value
    return b""


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")  # as mitmproxy reads them
