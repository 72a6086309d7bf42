"""What a client asked, in the one form in which requests are compared: the question.

Normalises both sides alike: a trailing slash, a missing leading one, percent-encoding, the order of a query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote_to_bytes

from cometreel import jsonvalue
from cometreel.immutable import immutable
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.json_pointer import remove
from cometreel.wire import Headers, Request

__all__ = [
    "NormalizedRequest",
    "NormalizedPath",
    "NormalizedPublish",
    "Question",
    "normalize_publish",
    "normalize_request",
]

_SESSION_PARAMETER = re.compile(r";jsessionid=[^;/]*", re.IGNORECASE)
_DEEPEST = 100
_API = re.compile(r"v[0-9]+(\.[0-9]+)?")
_REMEMBERED = 4096
"""How many requests are remembered, each with at most so many bytes of body."""

RequestKey: TypeAlias = "tuple[str, str, str, bytes]"
"""Method, path, query and body, as sent."""


@dataclass(frozen=True, slots=True)
class NormalizedPath:
    """A path as decoded segments, without `/me` behind the API's version; `me` says whether it was there."""

    segments: tuple[str, ...]
    me: bool = False

    def __str__(self) -> str:
        segments = (*self.segments[:2], "me", *self.segments[2:]) if self.me else self.segments
        return "/" + "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


@lru_cache(maxsize=1024)
def normalize_path(text: str) -> NormalizedPath:
    """Normalise a path: `api/v2/me/workbins/` and `/api/v2/me/workbins` are the same, and `%41` is `A`.

    `/api/v2/me/x` keeps in `me` that it was asked as `me`: it is the same resource as `/api/v2/x` for most
    operations, and the exact spelling is preferred where a scenario has both.
    """
    bare = without_session(text)
    segments = tuple(_decoded(segment) for segment in bare.split("/") if segment)
    if len(segments) > 3 and segments[0] == "api" and _API.fullmatch(segments[1]) and segments[2] == "me":
        return NormalizedPath((*segments[:2], *segments[3:]), me=True)
    return NormalizedPath(segments)


def without_session(path: str) -> str:
    """The path without the session id that a servlet container writes into it where cookies are off."""
    return _SESSION_PARAMETER.sub("", path) if ";" in path else path


def _decoded(segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:  # not UTF-8: only the very same spelling is the same
        return segment


@immutable
class NormalizedRequest:
    """An HTTP request, normalised.

    `query` maps each name to its text, or to the array of its texts where it was repeated. `body` is the JSON
    value if `is_json`, `content` always the bytes. `compared` is the body without the ids that the client chooses.
    Equal requests share these values: never change one. `asked` is all of the request but its headers, None where it
    is too long to be remembered.
    """

    method: str
    path: NormalizedPath
    query: JSONObject = field(default_factory=dict)
    content: bytes = b""
    is_json: bool = False
    body: JSON = None
    compared: JSON = None
    headers: Headers = Headers()
    asked: RequestKey | None = None


@immutable
class NormalizedPublish:
    """A Bayeux publish. `data` is as sent, `compared` without the ids that the client chooses."""

    channel: str
    data: JSON = None
    ext: JSON = None
    compared: JSON = None
    message: Mapping[str, JSON] = field(default_factory=dict)


Question: TypeAlias = NormalizedRequest | NormalizedPublish


def normalize_request(request: Request, ignored: Sequence[str] = ()) -> NormalizedRequest:
    """Normalise an HTTP request; `ignored` are JSON Pointers to ids in its body that the client chooses."""
    asked = (request.method, request.path, request.query, request.body)
    if len(request.body) > _REMEMBERED:
        return NormalizedRequest(*_read(asked, tuple(ignored)), request.headers)
    return NormalizedRequest(*_remembered(asked, tuple(ignored)), request.headers, asked)


def _read(asked: RequestKey, ignored: tuple[str, ...]) -> _ParsedRequest:
    method, path, query, content = asked
    is_json, body = False, None
    if content:
        try:
            body = jsonvalue.decode(content)
            if len(content) >= 2 * _DEEPEST:  # what is shorter can't be nested so deeply
                body = _shallow(body)
            is_json = True
        except jsonvalue.NotJSON:
            body = None
    return method.upper(), normalize_path(path), query_of(query), content, is_json, body, without(body, ignored)


_ParsedRequest: TypeAlias = "tuple[str, NormalizedPath, JSONObject, bytes, bool, JSON, JSON]"
_remembered = lru_cache(maxsize=_REMEMBERED)(_read)


def normalize_publish(message: Mapping[str, JSON], ignored: Sequence[str] = ()) -> NormalizedPublish:
    """Normalise a Bayeux publish; `ignored` are JSON Pointers to ids in its data that the client chooses."""
    channel = message.get("channel")
    try:
        data, ext = _shallow(message.get("data")), _shallow(message.get("ext"))
    except jsonvalue.NotJSON:
        data, ext = None, None
    return NormalizedPublish(
        channel=channel if isinstance(channel, str) else "",
        data=data,
        ext=ext,
        compared=without(data, ignored),
        message=message,
    )


def _shallow(value: JSON) -> JSON:
    """The value, unless it is nested more deeply than any scenario can be.

    :raises NotJSON: if it is; comparing it would exhaust the stack.
    """
    level: list[JSON] = [value]
    for _ in range(_DEEPEST):
        members = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [member for group in members for member in group]
        if not level:
            return value
    raise jsonvalue.NotJSON("nested too deeply")


def without(value: JSON, ignored: Sequence[str]) -> JSON:
    """The value without what the pointers name."""
    for pointer in ignored:
        value = remove(value, pointer)
    return value


def query_of(text: str) -> JSONObject:
    """Read a query string: name to text, or to the array of texts where a name is repeated."""
    if not text:
        return {}
    found: dict[str, list[JSON]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="backslashreplace", max_num_fields=None):
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
