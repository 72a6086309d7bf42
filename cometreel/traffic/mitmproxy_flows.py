"""Reads and writes mitmproxy flow files (`mitmdump -w`) with mitmproxy's own code. Imported only for such files.

mitmproxy writes a flow when it ends, so a held poll comes after the flows that ended meanwhile. The file is read
twice, first for the start times and then in their order, so that only concurrent flows are in memory.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from typing import BinaryIO
from urllib.parse import urlsplit

from mitmproxy import connection, exceptions, http
from mitmproxy.flow import Error, Flow
from mitmproxy.io import FlowReader, FlowWriter
from mitmproxy.websocket import WebSocketData

from cometreel.errors import FileInvalid, Problem
from cometreel.http_fields import headers_from_raw, raw_from_headers
from cometreel.traffic.traffic_events import (
    ReplyReceived,
    RequestFailed,
    RequestSent,
    SimulatedTraffic,
    TrafficEvent,
    TrafficEvents,
    Transaction,
    WebSocketClosed,
    WebSocketMessage,
    WebSocketOpened,
    headers_of,
    is_asset,
)
from cometreel.wire import Headers

__all__ = ["read_flows", "write_flows"]

_ABNORMAL_CLOSURE = 1006
"""Close code of a WebSocket that ended without a close frame (RFC 6455 §7.4.1)."""

_EXPECTED = "a flow file written by `mitmdump -w`"
_UNREADABLE = (exceptions.FlowReadException, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""The exceptions of mitmproxy's reader, including those for flows with missing or invalid fields."""


def read_flows(file: BinaryIO, name: str, is_wanted: Callable[[str], bool]) -> Iterator[TrafficEvents]:
    """Yield the events of each HTTP flow of a file; `is_wanted` selects the URLs to keep besides CometD.

    Flows of other protocols are skipped.

    :raises FileInvalid: if it isn't a flow file of this or an earlier mitmproxy, or is truncated.
    """
    for _, offset in sorted(_offsets(file, name)):
        file.seek(offset)
        found = _next_flow(file, name, 0)
        if isinstance(found, http.HTTPFlow):
            yield _events(found, is_wanted)


def _offsets(file: BinaryIO, name: str) -> Iterator[tuple[float, int]]:
    """Yield the start time of each HTTP flow and its offset in the file."""
    number, offset = 1, file.tell()
    while (found := _next_flow(file, name, number)) is not None:
        if isinstance(found, http.HTTPFlow):
            yield found.request.timestamp_start, offset
        number, offset = number + 1, file.tell()
    if number == 1:
        raise FileInvalid([Problem(name, 0, 0, "it contains no flow", _EXPECTED)])


def _next_flow(file: BinaryIO, name: str, number: int) -> Flow | None:
    try:
        return next(iter(FlowReader(file).stream()), None)
    except _UNREADABLE as error:
        wrong_version = "version" in str(error)
        found = "it was written by an incompatible mitmproxy version" if wrong_version else "not a flow, or truncated"
        raise FileInvalid([Problem(f"{name}: flow {number}", 0, 0, found, _EXPECTED)]) from None


def _events(flow: http.HTTPFlow, is_wanted: Callable[[str], bool]) -> TrafficEvents:
    request, response = flow.request, flow.response
    at, url = request.timestamp_start, request.pretty_url
    headers, body = _content(request)
    if flow.websocket is not None:
        return [WebSocketOpened(at, flow.id, url, headers), *_websocket_events(flow.id, flow.websocket)]
    wanted = is_wanted(url) and not (response is not None and is_asset(response.headers.get("content-type", "")))
    return [RequestSent(at, flow.id, request.method, url, headers, body, wanted), *_end(flow)]


def _websocket_events(flow_id: str, websocket: WebSocketData) -> Iterator[TrafficEvent]:
    for message in websocket.messages:
        content = message.text if message.is_text else message.content
        yield WebSocketMessage(message.timestamp, flow_id, message.from_client, content)
    if websocket.timestamp_end is not None:
        yield WebSocketClosed(websocket.timestamp_end, flow_id, websocket.close_code or _ABNORMAL_CLOSURE)


def _end(flow: http.HTTPFlow) -> Iterator[TrafficEvent]:
    response = flow.response
    started = flow.request.timestamp_start
    if response is not None and flow.error is None:
        headers, body = _content(response)
        ended = max(response.timestamp_end or response.timestamp_start, started)
        yield ReplyReceived(ended, flow.id, response.status_code, headers, body)
    elif flow.error is not None:
        yield RequestFailed(max(flow.error.timestamp, started), flow.id, flow.error.msg)


def _content(message: http.Message) -> tuple[Headers, bytes | None]:
    """Return header fields and the decoded body, or both unchanged if the body can't be decoded."""
    fields = headers_from_raw(message.headers.fields)
    try:
        return headers_of(fields, decoded=True), message.content
    except ValueError:
        return headers_of(fields, decoded=False), message.raw_content


_CLIENT_ADDRESS = ("127.0.0.1", 0)
_ID_NAMESPACE = uuid.UUID("8e3b1c5a-2d4f-5a60-9c41-6f0b7d1e2a37")
"""Namespace of the flow ids, so that the same scenario always gives the same file."""


def write_flows(traffic: SimulatedTraffic) -> bytes:
    """Return traffic as a flow file in the format of `mitmdump -w`."""
    file = io.BytesIO()
    writer = FlowWriter(file)
    for number, transaction in enumerate(traffic.transactions, 1):
        writer.add(_flow(transaction, number))
    return file.getvalue()


def _flow(transaction: Transaction, number: int) -> http.HTTPFlow:
    request, url = transaction.request, urlsplit(transaction.request.base)
    client = connection.Client(peername=_CLIENT_ADDRESS, sockname=_CLIENT_ADDRESS, timestamp_start=transaction.at)
    server = connection.Server(address=(url.hostname or "", url.port or 80))
    client.id, server.id = (str(uuid.uuid5(_ID_NAMESPACE, f"{number} {side}")) for side in ("client", "server"))
    flow = http.HTTPFlow(client, server)
    flow.id = str(uuid.uuid5(_ID_NAMESPACE, str(number)))
    flow.timestamp_created = transaction.at
    query = f"?{request.query}" if request.query else ""
    flow.request = http.Request(
        host=url.hostname or "",
        port=url.port or 80,
        method=request.method.encode(),
        scheme=url.scheme.encode(),
        authority=b"",
        path=f"{request.path}{query}".encode(),
        http_version=b"HTTP/1.1",
        headers=_fields(Headers([("Host", url.netloc), *request.headers])),
        content=request.body,
        trailers=None,
        timestamp_start=transaction.at,
        timestamp_end=transaction.at,
    )
    if transaction.reply is None:
        flow.error = Error("the client disconnected", transaction.ended)
    else:
        reply = transaction.reply
        flow.response = http.Response(
            b"HTTP/1.1",
            reply.status,
            reply.reason.encode(),
            _fields(reply.headers),
            reply.body,
            None,
            transaction.ended,
            transaction.ended,
        )
    return flow


def _fields(headers: Headers) -> http.Headers:
    return http.Headers(raw_from_headers(headers))
