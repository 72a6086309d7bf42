"""HAR 1.2 files (http://www.softwareishard.com/blog/har-12-spec/), entry by entry, however long the file is.

WebSocket messages are where Chrome's developer tools and mitmproxy put them: `_webSocketMessages` of the entry that
opened the connection, with `type` send or receive, `time` in seconds since 1970, `opcode` and `data`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, BinaryIO, Literal
from urllib.parse import urlencode

import ijson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cometreel.errors import FileInvalid, Problem
from cometreel.importing.steps import Answered, Asked, Failed, Opened, Said, Step, Story, headers_of, is_asset
from cometreel.wire import Headers

__all__ = ["har_stories"]

_EXPECTED = "HAR 1.2, as developer tools save it"
_WEB = re.compile(r"(https?|wss?)://", re.IGNORECASE)
_ENTRIES = ["", "log", "entries"]
_DEEPEST = 100
_YEARS = range(1970, 9000)
_BINARY = 2
"""The opcode of a binary frame (RFC 6455 §5.2); its data is Base64."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Pair(_Part):
    name: str
    value: str = ""


class _Content(_Part):
    text: str | None = Field(None, repr=False)
    encoding: str | None = None
    size: float = 0
    mime_type: str = Field("", alias="mimeType")


class _PostData(_Part):
    mime_type: str = Field("", alias="mimeType")
    text: str | None = Field(None, repr=False)
    params: list[_Pair] = Field([], repr=False)


class _Request(_Part):
    method: Annotated[str, Field(pattern=r"^[A-Za-z]+$")]
    url: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:")]
    headers: list[_Pair] = Field([], repr=False)
    cookies: list[_Pair] = Field([], repr=False)
    post_data: _PostData | None = Field(None, alias="postData")


class _Response(_Part):
    status: Annotated[int, Field(ge=0, le=599)] = 0
    headers: list[_Pair] = Field([], repr=False)
    content: _Content = _Content()
    error: str | None = Field(None, alias="_error")


class _Message(_Part):
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


class _Entry(_Part):
    started: Annotated[datetime, BeforeValidator(_moment)] = Field(alias="startedDateTime")
    time: float | None = None
    request: _Request
    response: _Response
    messages: list[_Message] | None = Field(None, alias="_webSocketMessages", repr=False)
    resource: str = Field("", alias="_resourceType")


def har_stories(file: BinaryIO, name: str, wants: Callable[[str], bool]) -> Iterator[Story]:
    """Give what each entry of a HAR file tells; `wants` says which URLs are kept besides CometD.

    :raises FileInvalid: if it isn't HAR, at the first entry that can't be read; the sentence shows no value of it.
    """
    number = 0
    try:
        for number, value in enumerate(_values(file), 1):
            entry = _entry(value, name, number)
            if _WEB.match(entry.request.url):  # pages hold pictures of their own, `data:…`
                yield _story(entry, str(number), wants)
    except _Deep:
        raise _invalid(f"{name}: entry {number + 1}", f"nested more than {_DEEPEST} deep") from None
    except (ijson.JSONError, UnicodeDecodeError):
        where = f"after entry {number}" if number else "before its first entry"
        raise _invalid(name, f"not JSON, or cut off, {where}") from None
    if not number:
        raise _invalid(name, "no entry under log.entries")


class _Deep(Exception):
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
            raise _Deep


def _invalid(where: str, found: str) -> FileInvalid:
    return FileInvalid([Problem(where, 0, 0, found, _EXPECTED)])


def _entry(value: object, name: str, number: int) -> _Entry:
    try:
        return _Entry.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(map(str, first["loc"])) or "the entry"
        found = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        raise _invalid(f"{name}: entry {number}", f"{key} can't be used: {found}") from None


def _story(entry: _Entry, flow: str, wants: Callable[[str], bool]) -> Story:
    at = entry.started.timestamp()
    wanted = wants(entry.request.url)
    headers = _request_headers(entry.request)
    if entry.messages is not None or entry.resource == "websocket":
        opened = Opened(at, flow, entry.request.url, headers)
        said = [Said(message.time, flow, message.type == "send", _frame(message)) for message in entry.messages or ()]
        return [opened, *sorted(said, key=lambda one: one.at)]
    kept = wanted and not is_asset(_type_of(entry.response))
    asked = Asked(at, flow, entry.request.method, entry.request.url, headers, _request_body(entry.request), kept)
    return [asked, _end(entry, flow, at + max(entry.time or 0.0, 0.0) / 1000)]


def _end(entry: _Entry, flow: str, at: float) -> Step:
    reply = entry.response
    if not reply.status:  # Chrome: cancelled, blocked, or the connection broke
        return Failed(at, flow, reply.error or "no reply")
    fields = [(pair.name, pair.value) for pair in reply.headers]
    return Answered(at, flow, reply.status, headers_of(fields, decoded=True), _reply_body(reply.content))


def _request_headers(request: _Request) -> Headers:
    fields = [(pair.name, pair.value) for pair in request.headers]
    if request.cookies and not any(name.lower() == "cookie" for name, _ in fields):
        fields.append(("Cookie", "; ".join(f"{cookie.name}={cookie.value}" for cookie in request.cookies)))
    return headers_of(fields, decoded=True)


def _request_body(request: _Request) -> bytes:
    posted = request.post_data
    if posted is None:
        return b""
    if posted.text is None:
        return urlencode([(pair.name, pair.value) for pair in posted.params]).encode()
    return posted.text.encode("utf-8", "surrogatepass")


def _reply_body(content: _Content) -> bytes | None:
    if content.text is None:
        return None if content.size > 0 else b""
    if content.encoding == "base64":
        return _decoded(content.text)
    return content.text.encode("utf-8", "surrogatepass")


def _frame(message: _Message) -> str | bytes:
    return (_decoded(message.data) or b"") if message.opcode == _BINARY else message.data


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return None


def _type_of(reply: _Response) -> str:
    fields = (pair.value for pair in reply.headers if pair.name.lower() == "content-type")
    return next(fields, reply.content.mime_type)
