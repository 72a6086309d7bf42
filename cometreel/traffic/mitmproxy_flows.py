"""Reads and writes mitmproxy flow files (`mitmdump -w`) with mitmproxy's own code. Imported only for such files.

mitmproxy writes a flow when it ends, so a held poll comes after the flows that ended meanwhile. The file is read
twice, first for the start times and then in their order, so that only concurrent flows are in memory.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from statistics import median_low
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from mitmproxy import connection, exceptions, http
from mitmproxy.flow import Error, Flow
from mitmproxy.io import FlowWriter, compat, tnetstring
from mitmproxy.websocket import WebSocketData

from cometreel.errors import FileInvalid, Problem
from cometreel.http_fields import field_bytes, headers_from_raw, raw_from_headers
from cometreel.recording.streamed_bodies import decoded
from cometreel.traffic.traffic_events import (
    ReplyReceived,
    RequestFailed,
    RequestSent,
    SimulatedTraffic,
    SkipReporter,
    TrafficEvent,
    TrafficEvents,
    Transaction,
    WebSocketClosed,
    WebSocketMessage,
    WebSocketOpened,
    headers_of,
    is_asset,
    is_far,
)
from cometreel.wire import Headers

__all__ = ["read_flows", "write_flows"]

_ABNORMAL_CLOSURE = 1006
"""Close code of a WebSocket that ended without a close frame (RFC 6455 §7.4.1)."""

_NO_FLOW = "not a flow, or truncated"
_EXPECTED = "a flow file written by `mitmdump -w`"
_UNREADABLE = (
    *(exceptions.FlowReadException, AssertionError, AttributeError, LookupError),
    *(TypeError, ValueError, RecursionError),
)
"""The exceptions of mitmproxy's reader, including those for flows with missing or invalid fields."""


def read_flows(
    file: BinaryIO, name: str, is_wanted: Callable[[str], bool], skip: SkipReporter
) -> Iterator[TrafficEvents]:
    """Yield the events of each HTTP flow of a file; `is_wanted` selects the URLs to keep besides CometD.

    Flows of other protocols are ignored. Invalid ones are skipped; `skip` is called with the number and the reason,
    without values.

    :raises FileInvalid: if it isn't a flow file of this or an earlier mitmproxy, or is truncated.
    """
    found = sorted(_offsets(file, name, skip))
    usual = median_low([at for at, _, _ in found]) if found else 0.0
    for at, offset, number in found:
        if is_far(at, usual):
            skip(f"flow {number}: its time is {datetime.fromtimestamp(at, UTC):%Y-%m-%d}, too far from the other flows")
            continue
        file.seek(offset)
        flow = _flow_of(tnetstring.load(file))
        if isinstance(flow, http.HTTPFlow):
            try:
                yield _events(flow, at, is_wanted, partial(_skip_part, skip, number))
            except _UNREADABLE as error:
                skip(f"flow {number}: it can't be read: {type(error).__name__}")


def _skip_part(skip: SkipReporter, number: int, reason: str) -> None:
    skip(f"flow {number}: {reason}")


def _offsets(file: BinaryIO, name: str, skip: SkipReporter) -> Iterator[tuple[float, int, int]]:
    """Yield the start time of each HTTP flow, its offset in the file and its number.

    :raises FileInvalid: if the file is damaged, or none of its flows can be read.
    """
    skipped: list[str] = []
    number, readable = 0, 0
    while True:
        offset, number = file.tell(), number + 1
        try:
            loaded = tnetstring.load(file)
        except (ValueError, TypeError, IndexError, RecursionError) as error:
            if str(error) == "not a tnetstring: empty file":
                break
            raise _invalid(name, number, _NO_FLOW) from None
        try:
            flow = _flow_of(loaded)
            at = _started(flow) if isinstance(flow, http.HTTPFlow) else None
        except _UNREADABLE as error:
            incompatible = "version" in str(error)
            skipped.append("it was written by an incompatible mitmproxy version" if incompatible else _NO_FLOW)
            skip(f"flow {number}: {skipped[-1]}")
            continue
        readable += 1
        if at is not None:
            yield at, offset, number
    if skipped and not readable:
        raise _invalid(name, 1, skipped[0])
    if number == 1:
        raise FileInvalid([Problem(name, 0, 0, "it contains no flow", _EXPECTED)])


def _invalid(name: str, number: int, found: str) -> FileInvalid:
    return FileInvalid([Problem(f"{name}: flow {number}", 0, 0, found, _EXPECTED)])


def _flow_of(loaded: object) -> Flow:
    state = compat.migrate_flow(cast("dict[bytes | str, object]", loaded))
    for part in ("request", "response"):
        _repair(state.get(part))
    return Flow.from_state(state)


def _repair(message: object) -> None:
    """Convert strings to bytes, as some versions and addons wrote them, and missing times to 0."""
    if not isinstance(message, dict):
        return
    for name in ("http_version", "method", "scheme", "authority", "path", "reason", "content"):
        if isinstance(message.get(name), str):
            message[name] = field_bytes(message[name])
    for name in ("timestamp_start", "timestamp_end"):
        message[name] = message.get(name) or 0
    message["headers"] = [tuple(map(_as_bytes, field)) for field in message["headers"]]


def _as_bytes(value: str | bytes) -> bytes:
    return field_bytes(value) if isinstance(value, str) else value


def _started(flow: http.HTTPFlow) -> float:
    """Return the start of a flow, from the first of its times that is not far from the last one; 0.0 without times."""
    request, response = flow.request, flow.response
    found = [request.timestamp_start, request.timestamp_end, response.timestamp_start if response is not None else None]
    times = [time for time in found if time is not None]
    return next((time for time in times if not is_far(time, max(times))), 0.0)


def _events(flow: http.HTTPFlow, at: float, is_wanted: Callable[[str], bool], skip: SkipReporter) -> TrafficEvents:
    request, response = flow.request, flow.response
    url = request.pretty_url
    headers, body, missing = _content(request)
    if flow.websocket is not None:
        reply_headers = _content(response)[0] if response is not None else Headers()
        opened = WebSocketOpened(at, flow.id, url, headers, reply_headers)
        return [opened, *_websocket_events(flow.id, at, flow.websocket, skip)]
    wanted = is_wanted(url) and not (response is not None and is_asset(response.headers.get("content-type", "")))
    sent = RequestSent(at, flow.id, request.method, url, headers, body, wanted, missing)
    return [sent, *_end(flow, at)]


def _websocket_events(flow_id: str, at: float, websocket: WebSocketData, skip: SkipReporter) -> Iterator[TrafficEvent]:
    for number, message in enumerate(websocket.messages, 1):
        content: str | bytes = message.content
        if message.is_text and isinstance(content, bytes):
            try:
                content = content.decode()
            except UnicodeDecodeError:
                skip(f"WebSocket message {number}: a text that is not UTF-8")
                continue
        yield WebSocketMessage(message.timestamp or at, flow_id, message.from_client, content)
    if websocket.timestamp_end is not None:
        yield WebSocketClosed(websocket.timestamp_end, flow_id, websocket.close_code or _ABNORMAL_CLOSURE)


def _end(flow: http.HTTPFlow, started: float) -> Iterator[TrafficEvent]:
    response = flow.response
    if response is not None and flow.error is None:
        headers, body, missing = _content(response)
        ended = max(response.timestamp_end or response.timestamp_start or started, started)
        yield ReplyReceived(ended, flow.id, response.status_code, headers, body, missing)
    elif flow.error is not None:
        yield RequestFailed(max(flow.error.timestamp or started, started), flow.id, flow.error.msg)


def _content(message: http.Message) -> tuple[Headers, bytes | None, str]:
    """Return header fields and the decoded body, or the reason why there is none."""
    fields = message.headers.fields
    try:
        headers, body, missing = decoded(fields, message.raw_content)
    except ModuleNotFoundError:  # zstd: mitmproxy 12 has another library than mitmproxy 11
        headers, body, missing = headers_from_raw(fields), message.content, ""
    return headers_of(headers, decoded=bool(body)), body, missing


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
