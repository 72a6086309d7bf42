"""Traffic as flows of mitmproxy, written by its own code. Loaded only when such a file is asked for."""

from __future__ import annotations

import io
import uuid
from urllib.parse import urlsplit

from mitmproxy import connection, flow, http
from mitmproxy.io import FlowWriter

from cometreel.exporting.playing import Traffic
from cometreel.exporting.spoken import Spoken
from cometreel.wire import Headers

__all__ = ["flows"]

_PEER = ("127.0.0.1", 0)
_NAMES = uuid.UUID("8e3b1c5a-2d4f-5a60-9c41-6f0b7d1e2a37")
"""What the ids of flows are made from, so that the same scenario is the same file."""


def flows(traffic: Traffic) -> bytes:
    """Write traffic as a flow file, as `mitmdump -w` would."""
    file = io.BytesIO()
    writer = FlowWriter(file)
    for number, one in enumerate(traffic.spoken, 1):
        writer.add(_flow(one, number))
    return file.getvalue()


def _flow(one: Spoken, number: int) -> http.HTTPFlow:
    at = urlsplit(one.request.base)
    client = connection.Client(peername=_PEER, sockname=_PEER, timestamp_start=one.at)
    server = connection.Server(address=(at.hostname or "", at.port or 80))
    client.id, server.id = (str(uuid.uuid5(_NAMES, f"{number} {side}")) for side in ("client", "server"))
    made = http.HTTPFlow(client, server)
    made.id = str(uuid.uuid5(_NAMES, str(number)))
    made.timestamp_created = one.at
    query = f"?{one.request.query}" if one.request.query else ""
    made.request = http.Request(
        host=at.hostname or "",
        port=at.port or 80,
        method=one.request.method.encode(),
        scheme=at.scheme.encode(),
        authority=b"",
        path=f"{one.request.path}{query}".encode(),
        http_version=b"HTTP/1.1",
        headers=_fields(Headers([("Host", at.netloc), *one.request.headers])),
        content=one.request.body,
        trailers=None,
        timestamp_start=one.at,
        timestamp_end=one.at,
    )
    if one.reply is None:
        made.error = flow.Error("the client hung up", one.ended)
    else:
        reply = one.reply
        made.response = http.Response(
            b"HTTP/1.1",
            reply.status,
            reply.reason.encode(),
            _fields(reply.headers),
            reply.body,
            None,
            one.ended,
            one.ended,
        )
    return made


def _fields(headers: Headers) -> http.Headers:
    return http.Headers(
        [(name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape")) for name, value in headers]
    )
