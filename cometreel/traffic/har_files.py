"""HAR 1.2 files (http://www.softwareishard.com/blog/har-12-spec/), entry by entry, however long the file is.

WebSocket messages are where Chrome's developer tools and mitmproxy put them: `_webSocketMessages` of the entry that
opened the connection, with `type` send or receive, `time` in seconds since 1970, `opcode` and `data`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, BinaryIO, Literal
from urllib.parse import parse_qsl, urlencode

import ijson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cometreel import __version__
from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.traffic.simulated_client import Transaction
from cometreel.traffic.simulation import Traffic
from cometreel.traffic.traffic_events import (
    ReplyReceived,
    RequestFailed,
    RequestSent,
    TrafficEvent,
    TrafficEvents,
    WebSocketMessage,
    WebSocketOpened,
    headers_of,
    is_asset,
)
from cometreel.wire import Headers, Reply, Request

__all__ = ["read_har", "write_har"]

_EXPECTED = "HAR 1.2, as developer tools save it"
_WEB = re.compile(r"(https?|wss?)://", re.IGNORECASE)
_ENTRIES = ["", "log", "entries"]
_DEEPEST = 100
_YEARS = range(1970, 9000)
_BINARY = 2
"""The opcode of a binary frame (RFC 6455 §5.2); its data is Base64."""


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


def _moment(value: object) -> datetime:
    """Read a time as HAR writes it; pydantic would take a number for one too."""
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("not a time as 2026-11-23T10:00:00.000Z") from None
    if moment.year not in _YEARS:
        raise ValueError(f"the year {moment.year}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _HarEntry(_HarModel):
    started: Annotated[datetime, BeforeValidator(_moment)] = Field(alias="startedDateTime")
    time: float | None = None
    request: _HarRequest
    response: _HarResponse
    messages: list[_HarMessage] | None = Field(None, alias="_webSocketMessages", repr=False)
    resource: str = Field("", alias="_resourceType")


def read_har(file: BinaryIO, name: str, wants: Callable[[str], bool]) -> Iterator[TrafficEvents]:
    """Give what each entry of a HAR file tells; `wants` says which URLs are kept besides CometD.

    :raises FileInvalid: if it isn't HAR, at the first entry that can't be read; the sentence shows no value of it.
    """
    number = 0
    try:
        for number, value in enumerate(_values(file), 1):
            entry = _entry(value, name, number)
            if _WEB.match(entry.request.url):  # pages hold pictures of their own, `data:…`
                yield _story(entry, str(number), wants)
    except _TooDeep:
        raise _invalid(f"{name}: entry {number + 1}", f"nested more than {_DEEPEST} deep") from None
    except (ijson.JSONError, UnicodeDecodeError):
        where = f"after entry {number}" if number else "before its first entry"
        raise _invalid(name, f"not JSON, or cut off, {where}") from None
    if not number:
        raise _invalid(name, "no entry under log.entries")


class _TooDeep(Exception):
    """What no HAR file needs, and no reader should follow."""


def _values(file: BinaryIO) -> Iterator[object]:
    """Give the items of the array `log.entries`, one after the other."""
    way: list[str] = []  # the key under which each open object or array stands
    key, depth, item = "", 0, ijson.ObjectBuilder()
    for event, value in ijson.basic_parse(file, use_float=True):
        starts, ends = event.startswith("start_"), event.startswith("end_")
        if depth or (way == _ENTRIES and not ends):
            item.event(event, value)
            depth += starts - ends
            if depth == 0:
                yield item.value
                item = ijson.ObjectBuilder()
        elif event == "map_key":
            key = value
        elif starts:
            way.append(key)
        elif ends:
            way.pop()
        if depth + len(way) > _DEEPEST:
            raise _TooDeep


def _invalid(where: str, found: str) -> FileInvalid:
    return FileInvalid([Problem(where, 0, 0, found, _EXPECTED)])


def _entry(value: object, name: str, number: int) -> _HarEntry:
    try:
        return _HarEntry.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(map(str, first["loc"])) or "the entry"
        found = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        raise _invalid(f"{name}: entry {number}", f"{key} can't be used: {found}") from None


def _story(entry: _HarEntry, flow: str, wants: Callable[[str], bool]) -> TrafficEvents:
    at = entry.started.timestamp()
    wanted = wants(entry.request.url)
    headers = _request_headers(entry.request)
    if entry.messages is not None or entry.resource == "websocket":
        opened = WebSocketOpened(at, flow, entry.request.url, headers)
        said = [
            WebSocketMessage(message.time, flow, message.type == "send", _frame(message))
            for message in entry.messages or ()
        ]
        return [opened, *sorted(said, key=lambda one: one.at)]
    kept = wanted and not is_asset(_type_of(entry.response))
    asked = RequestSent(at, flow, entry.request.method, entry.request.url, headers, _request_body(entry.request), kept)
    return [asked, _end(entry, flow, at + max(entry.time or 0.0, 0.0) / 1000)]


def _end(entry: _HarEntry, flow: str, at: float) -> TrafficEvent:
    reply = entry.response
    if not reply.status:  # Chrome: cancelled, blocked, or the connection broke
        return RequestFailed(at, flow, reply.error or "no reply")
    fields = [(pair.name, pair.value) for pair in reply.headers]
    return ReplyReceived(at, flow, reply.status, headers_of(fields, decoded=True), _reply_body(reply.content))


def _request_headers(request: _HarRequest) -> Headers:
    fields = [(pair.name, pair.value) for pair in request.headers]
    if request.cookies and not any(name.lower() == "cookie" for name, _ in fields):
        fields.append(("Cookie", "; ".join(f"{cookie.name}={cookie.value}" for cookie in request.cookies)))
    return headers_of(fields, decoded=True)


def _request_body(request: _HarRequest) -> bytes:
    posted = request.post_data
    if posted is None:
        return b""
    if posted.text is None:
        return urlencode([(pair.name, pair.value) for pair in posted.params]).encode()
    return posted.text.encode("utf-8", "surrogatepass")


def _reply_body(content: _HarContent) -> bytes | None:
    if content.text is None:
        return None if content.size > 0 else b""
    if content.encoding == "base64":
        return _decoded(content.text)
    return content.text.encode("utf-8", "surrogatepass")


def _frame(message: _HarMessage) -> str | bytes:
    return (_decoded(message.data) or b"") if message.opcode == _BINARY else message.data


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return None


def _type_of(reply: _HarResponse) -> str:
    fields = (pair.value for pair in reply.headers if pair.name.lower() == "content-type")
    return next(fields, reply.content.mime_type)


def write_har(traffic: Traffic) -> bytes:
    """Write traffic as a HAR file."""
    entries: list[JSON] = [_written_entry(one) for one in traffic.spoken]
    creator: JSON = {"name": "cometreel", "version": __version__}
    return encode({"log": {"version": "1.2", "creator": creator, "comment": traffic.title, "entries": entries}}) + b"\n"


def _written_entry(one: Transaction) -> JSONObject:
    took = round((one.ended - one.at) * 1000, 3)
    return {
        "startedDateTime": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="microseconds"),
        "time": took,
        "request": _request(one.request),
        "response": _response(one.reply),
        "cache": {},
        "timings": {"send": 0, "wait": took, "receive": 0},
    }


def _request(request: Request) -> JSONObject:
    query = f"?{request.query}" if request.query else ""
    written: JSONObject = {
        "method": request.method,
        "url": f"{request.base}{request.path}{query}",
        "httpVersion": "HTTP/1.1",
        "cookies": [{"name": name, "value": value} for name, value in request.headers.cookies().items()],
        "headers": _fields(request.headers),
        "queryString": [{"name": name, "value": value} for name, value in parse_qsl(request.query, True)],
        "headersSize": -1,
        "bodySize": len(request.body),
    }
    if request.body:
        kind = request.headers.get("content-type") or ""
        written["postData"] = {"mimeType": kind, "text": request.body.decode("utf-8", "replace")}
    return written


def _response(reply: Reply | None) -> JSONObject:
    shared: JSONObject = {"httpVersion": "HTTP/1.1", "cookies": [], "redirectURL": "", "headersSize": -1}
    if reply is None:  # as Chrome writes a request that its user cancelled
        empty: JSONObject = {"status": 0, "statusText": "", "headers": [], "content": {"size": 0, "mimeType": ""}}
        return {**empty, **shared, "bodySize": -1, "_error": "net::ERR_ABORTED"}
    kind = reply.headers.get("content-type") or ""
    content: JSONObject = {"size": len(reply.body), "mimeType": kind}
    try:
        content["text"] = reply.body.decode()
    except UnicodeDecodeError:
        content |= {"text": base64.b64encode(reply.body).decode(), "encoding": "base64"}
    said: JSONObject = {"status": reply.status, "statusText": reply.reason, "headers": _fields(reply.headers)}
    return {**said, "content": content, **shared, "bodySize": len(reply.body)}


def _fields(headers: Iterable[tuple[str, str]] | Headers) -> list[JSON]:
    return [{"name": name, "value": value} for name, value in headers]
