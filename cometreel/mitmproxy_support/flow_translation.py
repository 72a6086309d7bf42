"""Translates mitmproxy flows into requests of the engine, and replies of the engine into responses of flows."""

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
    head_length,
    headers_from_raw,
    raw_from_headers,
)
from cometreel.wire import Reply, Request

__all__ = ["raw_field", "reply_into", "request_from"]


def request_from(flow: http.HTTPFlow, request_id: int) -> Request:
    """Translate a flow's request for the engine.

    :raises ValueError: if the body can't be decoded as its Content-Encoding.
    """
    request = flow.request
    path, _, query = request.path.partition("?")
    headers = headers_from_raw(request.headers.fields)
    body = request.raw_content if headers.get("content-encoding") is None else request.content
    upgrade = request.method == "GET" and (headers.get("upgrade") or "").lower() == "websocket"
    address = str(flow.client_conn.peername[0])
    return Request(request_id, request.method, path, query, headers, body or b"", _base(flow), upgrade, address)


def _base(flow: http.HTTPFlow) -> str:
    """Return scheme and authority of the request as the client sent it."""
    request = flow.request
    if isinstance(flow.client_conn.proxy_mode, ReverseMode):  # the scheme of the request is the one of the target
        scheme = "https" if flow.client_conn.tls else "http"
    else:
        scheme = request.scheme
    return f"{scheme}://{request.host_header or url.hostport(scheme, request.host, request.port)}"


def reply_into(flow: http.HTTPFlow, reply: Reply) -> None:
    """Set the response of a flow to a reply of the engine, for the HTTP version of the client."""
    fields = list(_fields(reply, flow.request.method, http2=flow.request.is_http2 or flow.request.is_http3))
    body = b"" if reply.status in BODILESS or flow.request.method == "HEAD" else reply.body
    started = flow.request.timestamp_start
    flow.response = http.Response(
        b"HTTP/1.1", reply.status, reply.reason.encode(), http.Headers(fields), body, None, started, None
    )


def _fields(reply: Reply, method: str, *, http2: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header fields; for HTTP/2 in lower case and without connection-specific fields (RFC 9113 §8.2)."""
    fields = raw_from_headers(reply.headers)
    if http2:
        fields = [(name.lower(), value) for name, value in drop_fields(fields, CONNECTION_SPECIFIC)]
    yield from fields
    length = head_length(reply) if method == "HEAD" else len(reply.body)
    if reply.status not in BODILESS and length is not None and "content-length" not in reply.headers.names():
        yield b"content-length", b"%d" % length


def raw_field(fields: RawFields, lower_name: bytes) -> bytes:
    """Return the value of the first field with this name, or b""; much faster than mitmproxy's lookup."""
    for name, value in fields:
        if name.lower() == lower_name:
            return value
    return b""
