"""Flows of mitmproxy into requests of the engine, and its replies back into flows. No addon of its own, no state."""

from __future__ import annotations

from collections.abc import Iterator

from mitmproxy import http
from mitmproxy.net.http import url
from mitmproxy.proxy.mode_specs import ReverseMode

from cometreel.http_fields import (
    BODILESS,
    CONNECTION_SPECIFIC,
    RawFields,
    drop_fields,
    headers_from_raw,
    raw_from_headers,
)
from cometreel.wire import Reply, Request

__all__ = ["raw_field", "reply_into", "request_from"]


def request_from(flow: http.HTTPFlow, request_id: int) -> Request:
    """Translate a flow's request for the engine.

    :raises ValueError: if the body isn't what its Content-Encoding says.
    """
    asked = flow.request
    path, _, query = asked.path.partition("?")
    headers = headers_from_raw(asked.headers.fields)
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
    fields = raw_from_headers(reply.headers)
    if http2:
        fields = [(name.lower(), value) for name, value in drop_fields(fields, CONNECTION_SPECIFIC)]
    yield from fields
    if reply.status not in BODILESS and "content-length" not in reply.headers.names():
        yield b"content-length", str(len(reply.body)).encode()


def raw_field(fields: RawFields, wanted: bytes) -> bytes:
    """Look up a field by its name in lower case, empty where there is none; mitmproxy's look-up costs far more."""
    for name, value in fields:
        if name.lower() == wanted:
            return value
    return b""
