"""Flow files of mitmproxy (`mitmdump -w`), read by its own code. Loaded only when there is one to read.

A program writes a flow when it ends, so a held poll stands behind what happened meanwhile. The file is read twice:
for the times, then in their order, so that only what goes on at one time is in memory.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from typing import BinaryIO
from urllib.parse import urlsplit

from mitmproxy import connection, exceptions, flow, http
from mitmproxy.io import FlowReader, FlowWriter
from mitmproxy.websocket import WebSocketData

from cometreel.errors import FileInvalid, Problem
from cometreel.http_fields import headers_from_raw, raw_from_headers
from cometreel.traffic.simulated_client import Transaction
from cometreel.traffic.simulation import Traffic
from cometreel.traffic.traffic_events import (
    ReplyReceived,
    RequestFailed,
    RequestSent,
    TrafficEvent,
    TrafficEvents,
    WebSocketClosed,
    WebSocketMessage,
    WebSocketOpened,
    headers_of,
    is_asset,
)
from cometreel.wire import Headers

__all__ = ["read_flows", "write_flows"]

_BROKEN = 1006
"""A WebSocket that ended without a word (RFC 6455 §7.4.1)."""

_UNREADABLE = (exceptions.FlowReadException, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What mitmproxy's own reader raises, and what it trips over where a flow lacks what it looks for."""


def read_flows(file: BinaryIO, name: str, wants: Callable[[str], bool]) -> Iterator[TrafficEvents]:
    """Give what each flow of a file tells; `wants` says which URLs are kept besides CometD.

    Flows that aren't HTTP are passed over.

    :raises FileInvalid: if it isn't a flow file of this or an earlier mitmproxy, or is cut off.
    """
    for _, place in sorted(_places(file, name)):
        file.seek(place)
        one = _next(file, name, 0)
        if isinstance(one, http.HTTPFlow):
            yield _story(one, wants)


def _places(file: BinaryIO, name: str) -> Iterator[tuple[float, int]]:
    """When each HTTP flow began, and where it lies in the file."""
    number, place = 1, file.tell()
    while (one := _next(file, name, number)) is not None:
        if isinstance(one, http.HTTPFlow):
            yield one.request.timestamp_start, place
        number, place = number + 1, file.tell()
    if number == 1:
        raise FileInvalid([Problem(name, 0, 0, "no flow in it", "a flow file, as `mitmdump -w` writes it")])


def _next(file: BinaryIO, name: str, number: int) -> flow.Flow | None:
    try:
        return next(iter(FlowReader(file).stream()), None)
    except _UNREADABLE as error:
        found = "it was written by another mitmproxy" if "version" in str(error) else "not a flow, or cut off"
        expected = "a flow file, as `mitmdump -w` writes it"
        raise FileInvalid([Problem(f"{name}: flow {number}", 0, 0, found, expected)]) from None


def _story(one: http.HTTPFlow, wants: Callable[[str], bool]) -> TrafficEvents:
    asked = one.request
    wanted = wants(asked.pretty_url)
    headers, body = _content(asked)
    if one.websocket is not None:
        opened = WebSocketOpened(asked.timestamp_start, one.id, asked.pretty_url, headers)
        return [opened, *_messages(one, one.websocket)]
    kept = wanted and not (one.response is not None and is_asset(one.response.headers.get("content-type", "")))
    first = RequestSent(asked.timestamp_start, one.id, asked.method, asked.pretty_url, headers, body, kept)
    return [first, *_end(one)]


def _messages(one: http.HTTPFlow, socket: WebSocketData) -> Iterator[TrafficEvent]:
    for message in socket.messages:
        content = message.text if message.is_text else message.content
        yield WebSocketMessage(message.timestamp, one.id, message.from_client, content)
    if socket.timestamp_end is not None:
        yield WebSocketClosed(socket.timestamp_end, one.id, socket.close_code or _BROKEN)


def _end(one: http.HTTPFlow) -> Iterator[TrafficEvent]:
    reply = one.response
    began = one.request.timestamp_start
    if reply is not None and one.error is None:
        headers, body = _content(reply)
        ended = max(reply.timestamp_end or reply.timestamp_start, began)
        yield ReplyReceived(ended, one.id, reply.status_code, headers, body)
    elif one.error is not None:
        yield RequestFailed(max(one.error.timestamp, began), one.id, one.error.msg)


def _content(message: http.Message) -> tuple[Headers, bytes | None]:
    """Give header fields and the body without its Content-Encoding; as it came where that can't be undone."""
    fields = headers_from_raw(message.headers.fields)
    try:
        return headers_of(fields, decoded=True), message.content
    except ValueError:
        return headers_of(fields, decoded=False), message.raw_content


_PEER = ("127.0.0.1", 0)
_NAMES = uuid.UUID("8e3b1c5a-2d4f-5a60-9c41-6f0b7d1e2a37")
"""What the ids of flows are made from, so that the same scenario is the same file."""


def write_flows(traffic: Traffic) -> bytes:
    """Write traffic as a flow file, as `mitmdump -w` would."""
    file = io.BytesIO()
    writer = FlowWriter(file)
    for number, one in enumerate(traffic.spoken, 1):
        writer.add(_flow(one, number))
    return file.getvalue()


def _flow(one: Transaction, number: int) -> http.HTTPFlow:
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
    return http.Headers(raw_from_headers(headers))
