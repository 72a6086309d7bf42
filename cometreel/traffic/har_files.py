"""Reads and writes HAR 1.2 files (http://www.softwareishard.com/blog/har-12-spec/), entry by entry.

WebSocket messages use the extension of Chrome's developer tools and mitmproxy: `_webSocketMessages` of the entry that
opened the connection, with `type` (send or receive), `time` in seconds since 1970, `opcode` and `data`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median_low
from typing import Annotated, BinaryIO, Literal
from urllib.parse import parse_qsl, urlencode

import ijson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cometreel import __version__
from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.traffic.traffic_events import (
    ReplyReceived,
    RequestFailed,
    RequestSent,
    SimulatedTraffic,
    SkipReporter,
    TrafficEvent,
    TrafficEvents,
    Transaction,
    WebSocketMessage,
    WebSocketOpened,
    headers_of,
    is_asset,
    is_far,
)
from cometreel.wire import Headers, Reply, Request

__all__ = ["read_har", "write_har"]

_EXPECTED = "HAR 1.2, as saved by developer tools"
_STARTED = re.compile(rb'"startedDateTime"\s*:\s*"([^"\\]{1,60})"')
_BLOCK = 1024 * 1024
_OVERLAP = 200  # bytes; more than a match of _STARTED has
_WEB_URL = re.compile(r"(https?|wss?)://", re.IGNORECASE)
_ENTRIES = ["", "log", "entries"]
_MAX_DEPTH = 100
_YEARS = range(1970, 9000)
_BINARY = 2
"""Opcode of a binary frame (RFC 6455 §5.2), whose data is Base64."""


class _HarModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _HarNameValue(_HarModel):
    name: str
    value: str = ""


class _HarContent(_HarModel):
    text: str | None = Field(None, repr=False)
    encoding: str | None = None
    size: float = 0
    mime_type: str = Field("", alias="mimeType")


class _HarPostData(_HarModel):
    mime_type: str = Field("", alias="mimeType")
    text: str | None = Field(None, repr=False)
    encoding: str | None = None
    params: list[_HarNameValue] = Field([], repr=False)


class _HarRequest(_HarModel):
    method: Annotated[str, Field(pattern=r"^[A-Za-z]+$")]
    url: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:")]
    headers: list[_HarNameValue] = Field([], repr=False)
    cookies: list[_HarNameValue] = Field([], repr=False)
    post_data: _HarPostData | None = Field(None, alias="postData")


class _HarResponse(_HarModel):
    status: Annotated[int, Field(ge=0, le=599)] = 0
    headers: list[_HarNameValue] = Field([], repr=False)
    content: _HarContent = _HarContent()
    error: str | None = Field(None, alias="_error")


class _HarMessage(_HarModel):
    type: Literal["send", "receive"]
    time: float
    opcode: int = 1
    data: str = Field("", repr=False)


def _timestamp(value: object) -> datetime:
    """Parse a time in ISO 8601; pydantic would also accept numbers."""
    try:
        timestamp = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("not a time like 2026-11-23T10:00:00.000Z") from None
    if timestamp.year not in _YEARS:
        raise ValueError(f"the year is {timestamp.year}")
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


class _HarEntry(_HarModel):
    started: Annotated[datetime, BeforeValidator(_timestamp)] = Field(alias="startedDateTime")
    time: float | None = None
    request: _HarRequest
    response: _HarResponse
    messages: list[object] | None = Field(None, alias="_webSocketMessages", repr=False)
    resource: str = Field("", alias="_resourceType")


def read_har(
    file: BinaryIO, name: str, is_wanted: Callable[[str], bool], skip: SkipReporter
) -> Iterator[TrafficEvents]:
    """Yield the events of each entry of a HAR file; `is_wanted` selects the URLs to keep besides CometD.

    Invalid entries are skipped; `skip` is called with the number and the reason, without values.

    :raises FileInvalid: if it isn't HAR, or is truncated.
    """
    start = file.tell()
    times = _start_times(file)
    file.seek(start)
    groups = _groups(file, name, is_wanted, skip, median_low(times) if times else None)
    if times == sorted(times):
        yield from groups
    else:
        yield from sorted(groups, key=lambda events: events[0].at)


def _groups(
    file: BinaryIO, name: str, is_wanted: Callable[[str], bool], skip: SkipReporter, usual: float | None
) -> Iterator[TrafficEvents]:
    """Yield the events of each entry in the order of the file; `usual` is the time of most entries."""
    number = 0
    try:
        for number, value in enumerate(_values(file), 1):
            try:
                entry = _entry(value, usual)
            except _EntryInvalid as error:
                skip(f"entry {number}: {error}")
                continue
            if _WEB_URL.match(entry.request.url):  # browsers also save inline images, `data:…`
                yield _events(entry, str(number), is_wanted, skip)
    except (ijson.JSONError, UnicodeDecodeError):
        where = f"after entry {number}" if number else "before its first entry"
        raise _invalid(name, f"invalid or truncated JSON {where}") from None
    if not number:
        raise _invalid(name, "log.entries is missing or empty")


class _EntryInvalid(Exception):
    """An entry that can't be read; the text is the reason without values."""


def _start_times(file: BinaryIO) -> list[float]:
    """Return the start times of the entries without parsing them; their median is not changed by one wrong time."""
    found: list[float] = []
    rest = b""
    while block := file.read(_BLOCK):
        rest += block
        for match in _STARTED.finditer(rest):
            try:
                found.append(_timestamp(match[1].decode("latin-1")).timestamp())
            except ValueError:
                continue
        rest = rest[-_OVERLAP:]
    return found


_TOO_DEEP = object()
"""Takes the place of an entry that is nested too deeply."""


def _values(file: BinaryIO) -> Iterator[object]:
    """Yield the items of the array `log.entries`."""
    path: list[str] = []  # the key of each open object or array
    key, depth, item, too_deep = "", 0, ijson.ObjectBuilder(), False
    for event, value in ijson.basic_parse(file, use_float=True):
        starts, ends = event.startswith("start_"), event.startswith("end_")
        if depth or (path == _ENTRIES and not ends):
            depth += starts - ends
            too_deep = too_deep or depth > _MAX_DEPTH
            if not too_deep:
                item.event(event, value)
            if depth == 0:
                yield _TOO_DEEP if too_deep else item.value
                item, too_deep = ijson.ObjectBuilder(), False
        elif event == "map_key":
            key = value
        elif starts:
            path.append(key)
        elif ends:
            path.pop()


def _invalid(where: str, found: str) -> FileInvalid:
    return FileInvalid([Problem(where, 0, 0, found, _EXPECTED)])


def _entry(value: object, usual: float | None) -> _HarEntry:
    if value is _TOO_DEEP:
        raise _EntryInvalid(f"it is nested more than {_MAX_DEPTH} deep")
    try:
        entry = _HarEntry.model_validate(value)
    except ValidationError as error:
        raise _EntryInvalid(_reason(error)) from None
    if usual is not None and is_far(entry.started.timestamp(), usual):
        raise _EntryInvalid(f"startedDateTime is {entry.started:%Y-%m-%d}, too far from the other entries")
    if entry.time is not None and is_far(entry.time / 1000, 0.0):
        raise _EntryInvalid("time is more than 30 days")
    return entry


def _reason(error: ValidationError) -> str:
    """Describe the first error without values."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    key = ".".join(map(str, first["loc"])) or "the entry"
    if first["type"] == "missing":
        return f"{key} is missing"
    found = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{key} is invalid: {found}"


def _events(entry: _HarEntry, flow: str, is_wanted: Callable[[str], bool], skip: SkipReporter) -> TrafficEvents:
    at = entry.started.timestamp()
    wanted = is_wanted(entry.request.url)
    headers = _request_headers(entry.request)
    if entry.messages is not None or entry.resource == "websocket":
        reply_headers = headers_of(_fields(entry.response), decoded=True)
        opened = WebSocketOpened(at, flow, entry.request.url, headers, reply_headers)
        return [opened, *sorted(_messages(entry, flow, skip), key=lambda message: message.at)]
    wanted = wanted and not is_asset(_content_type(entry.response))
    request = entry.request
    sent = RequestSent(at, flow, request.method, request.url, headers, _request_body(request), wanted)
    return [sent, _end(entry, flow, at + max(entry.time or 0.0, 0.0) / 1000)]


def _messages(entry: _HarEntry, flow: str, skip: SkipReporter) -> Iterator[WebSocketMessage]:
    """Yield the valid messages of a WebSocket; Chrome also lists its errors, with the type `error`."""
    for number, value in enumerate(entry.messages or (), 1):
        try:
            message = _HarMessage.model_validate(value)
        except ValidationError as error:
            skip(f"entry {flow}: WebSocket message {number}: {_reason(error)}")
            continue
        if is_far(message.time, entry.started.timestamp()):
            skip(f"entry {flow}: WebSocket message {number}: its time is too far from the one of the entry")
            continue
        yield WebSocketMessage(message.time, flow, message.type == "send", _frame(message))


def _end(entry: _HarEntry, flow: str, at: float) -> TrafficEvent:
    reply = entry.response
    if not reply.status:  # Chrome: canceled, blocked, or connection error
        return RequestFailed(at, flow, reply.error or "no reply")
    body = _reply_body(reply.content)
    return ReplyReceived(at, flow, reply.status, headers_of(_fields(reply), decoded=bool(body)), body)


def _fields(message: _HarRequest | _HarResponse) -> list[tuple[str, str]]:
    return [(pair.name, pair.value) for pair in message.headers]


def _request_headers(request: _HarRequest) -> Headers:
    fields = _fields(request)
    if request.post_data and not any(name.lower() == "content-type" for name, _ in fields):
        fields.append(("Content-Type", request.post_data.mime_type))
    if request.cookies and not any(name.lower() == "cookie" for name, _ in fields):
        fields.append(("Cookie", "; ".join(f"{cookie.name}={cookie.value}" for cookie in request.cookies)))
    return headers_of(fields, decoded=True)


def _request_body(request: _HarRequest) -> bytes:
    data = request.post_data
    if data is None:
        return b""
    if not data.text:
        return urlencode([(pair.name, pair.value) for pair in data.params]).encode()
    return _bytes(data.text, data.encoding)


def _reply_body(content: _HarContent) -> bytes | None:
    if content.text is None:
        return None if content.size > 0 else b""
    return _bytes(content.text, content.encoding)


def _frame(message: _HarMessage) -> str | bytes:
    return _bytes(message.data, "base64") if message.opcode == _BINARY else message.data


def _bytes(text: str, encoding: str | None) -> bytes:
    """Return the bytes of a text in Base64, or of a plain text; Firefox calls some plain texts Base64 (bug 1762313)."""
    if (encoding or "").lower() == "base64":
        digits = "".join(text.split()).rstrip("=")
        try:
            return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
        except ValueError:  # also for characters outside of ASCII
            pass
    return text.encode("utf-8", "surrogatepass")


def _content_type(reply: _HarResponse) -> str:
    fields = (pair.value for pair in reply.headers if pair.name.lower() == "content-type")
    return next(fields, reply.content.mime_type)


def write_har(traffic: SimulatedTraffic) -> bytes:
    """Return traffic as a HAR file."""
    entries: list[JSON] = [_entry_json(one) for one in traffic.transactions]
    creator: JSON = {"name": "cometreel", "version": __version__}
    return encode({"log": {"version": "1.2", "creator": creator, "comment": traffic.title, "entries": entries}}) + b"\n"


def _entry_json(transaction: Transaction) -> JSONObject:
    milliseconds = round((transaction.ended - transaction.at) * 1000, 3)
    return {
        "startedDateTime": datetime.fromtimestamp(transaction.at, UTC).isoformat(timespec="microseconds"),
        "time": milliseconds,
        "request": _request_json(transaction.request),
        "response": _response_json(transaction.reply),
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
    }


def _request_json(request: Request) -> JSONObject:
    query = f"?{request.query}" if request.query else ""
    members: JSONObject = {
        "method": request.method,
        "url": f"{request.base}{request.path}{query}",
        "httpVersion": "HTTP/1.1",
        "cookies": [{"name": name, "value": value} for name, value in request.headers.cookies().items()],
        "headers": _fields_json(request.headers),
        "queryString": [{"name": name, "value": value} for name, value in parse_qsl(request.query, True)],
        "headersSize": -1,
        "bodySize": len(request.body),
    }
    if request.body:
        content_type = request.headers.get("content-type") or ""
        members["postData"] = {"mimeType": content_type, **_body_json(request.body)}
    return members


def _response_json(reply: Reply | None) -> JSONObject:
    shared: JSONObject = {"httpVersion": "HTTP/1.1", "cookies": [], "redirectURL": "", "headersSize": -1}
    if reply is None:  # the same values as Chrome for a canceled request
        empty: JSONObject = {"status": 0, "statusText": "", "headers": [], "content": {"size": 0, "mimeType": ""}}
        return {**empty, **shared, "bodySize": -1, "_error": "net::ERR_ABORTED"}
    content: JSONObject = {"size": len(reply.body), "mimeType": reply.headers.get("content-type") or ""}
    content |= _body_json(reply.body)
    head: JSONObject = {"status": reply.status, "statusText": reply.reason, "headers": _fields_json(reply.headers)}
    return {**head, "content": content, **shared, "bodySize": len(reply.body)}


def _body_json(body: bytes) -> JSONObject:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}


def _fields_json(headers: Headers) -> list[JSON]:
    return [{"name": name, "value": value} for name, value in headers]
