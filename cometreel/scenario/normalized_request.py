"""Normalised requests and publishes, the form in which they are compared.

Both the request and the scenario are normalised: trailing and missing leading slashes, percent-encoding, the order of
query parameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote_to_bytes

from cometreel import jsonvalue
from cometreel.immutable import immutable
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.json_pointer import remove
from cometreel.wire import Headers, Request

__all__ = [
    "NormalizedPath",
    "NormalizedPublish",
    "NormalizedRequest",
    "RequestOrPublish",
    "as_get",
    "form_of",
    "normalize_publish",
    "normalize_request",
]

_SESSION_PARAMETER = re.compile(r";jsessionid=[^;/]*", re.IGNORECASE)
_MAX_DEPTH = 100
_API = re.compile(r"v[0-9]+(\.[0-9]+)?")
_CACHE_SIZE = 4096
"""The number of cached requests, and the longest body of one in bytes."""

RequestKey: TypeAlias = "tuple[str, str, str, bytes]"
"""Method, path, query and body as sent."""


@dataclass(frozen=True, slots=True)
class NormalizedPath:
    """A path as decoded segments, without the `/me` after the API version; `me` is true if it was there."""

    segments: tuple[str, ...]
    me: bool = False

    def __str__(self) -> str:
        segments = (*self.segments[:2], "me", *self.segments[2:]) if self.me else self.segments
        return "/" + "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


@lru_cache(maxsize=1024)
def normalize_path(text: str) -> NormalizedPath:
    """Normalise a path: `api/v2/me/workbins/` and `/api/v2/me/workbins` are the same, and `%41` is `A`.

    `/api/v2/me/x` and `/api/v2/x` are the same resource for most operations, so only `me` differs; if a scenario has
    both, the exact spelling takes precedence.
    """
    bare = without_session(text)
    segments = tuple(_decoded(segment) for segment in bare.split("/") if segment)
    if len(segments) > 3 and segments[0] == "api" and _API.fullmatch(segments[1]) and segments[2] == "me":
        return NormalizedPath((*segments[:2], *segments[3:]), me=True)
    return NormalizedPath(segments)


def without_session(path: str) -> str:
    """Return the path without the session id that a servlet container adds if cookies are off."""
    return _SESSION_PARAMETER.sub("", path) if ";" in path else path


def _decoded(segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:  # not UTF-8: compare the encoded text
        return segment


@immutable
class NormalizedRequest:
    """A normalised HTTP request.

    `query` maps each name to its text, or to an array if it was repeated. `body` is the JSON value if `is_json`,
    `content` is always the bytes. `compared` is the body without the ids that the client chooses. Equal requests share
    these values: never modify one. `key` identifies the request without its headers; None if it is too long to cache.
    """

    method: str
    path: NormalizedPath
    query: JSONObject = field(default_factory=dict)
    content: bytes = b""
    is_json: bool = False
    body: JSON = None
    compared: JSON = None
    headers: Headers = Headers()
    key: RequestKey | None = None


@immutable
class NormalizedPublish:
    """A normalised Bayeux publish. `compared` is `data` without the ids that the client chooses."""

    channel: str
    data: JSON = None
    ext: JSON = None
    compared: JSON = None
    message: Mapping[str, JSON] = field(default_factory=dict)


RequestOrPublish: TypeAlias = NormalizedRequest | NormalizedPublish


def normalize_request(request: Request, ignored: Sequence[str] = ()) -> NormalizedRequest:
    """Normalise an HTTP request; `ignored` are JSON Pointers to ids in its body that the client chooses."""
    key = (request.method, request.path, request.query, request.body)
    if len(request.body) > _CACHE_SIZE:
        return NormalizedRequest(*_parsed(key, tuple(ignored)), request.headers)
    return NormalizedRequest(*_cached(key, tuple(ignored)), request.headers, key)


def _parsed(key: RequestKey, ignored: tuple[str, ...]) -> _ParsedRequest:
    method, path, query, content = key
    is_json, body = False, None
    if content:
        try:
            body = jsonvalue.decode_lenient(content)
            if len(content) >= 2 * _MAX_DEPTH:  # a shorter text can't be nested that deeply
                body = _with_limited_depth(body)
            is_json = True
        except jsonvalue.NotJSON:
            body = None
    return method.upper(), normalize_path(path), query_of(query), content, is_json, body, without(body, ignored)


def as_get(request: NormalizedRequest) -> NormalizedRequest:
    """Return a HEAD request as the GET of the same resource, whose answer it gets (RFC 9110 §9.3.2)."""
    key = None if request.key is None else ("GET", *request.key[1:])
    return replace(request, method="GET", key=key)


_ParsedRequest: TypeAlias = "tuple[str, NormalizedPath, JSONObject, bytes, bool, JSON, JSON]"
_cached = lru_cache(maxsize=_CACHE_SIZE)(_parsed)


def normalize_publish(message: Mapping[str, JSON], ignored: Sequence[str] = ()) -> NormalizedPublish:
    """Normalise a Bayeux publish; `ignored` are JSON Pointers to ids in its data that the client chooses."""
    channel = message.get("channel")
    try:
        data, ext = _with_limited_depth(message.get("data")), _with_limited_depth(message.get("ext"))
    except jsonvalue.NotJSON:
        data, ext = None, None
    return NormalizedPublish(
        channel=channel if isinstance(channel, str) else "",
        data=data,
        ext=ext,
        compared=without(data, ignored),
        message=message,
    )


def _with_limited_depth(value: JSON) -> JSON:
    """Return the value.

    :raises NotJSON: if it is nested deeper than scenarios can be; comparing it would exhaust the stack.
    """
    level: list[JSON] = [value]
    for _ in range(_MAX_DEPTH):
        members = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [member for group in members for member in group]
        if not level:
            return value
    raise jsonvalue.NotJSON("nested too deeply")


def without(value: JSON, ignored: Sequence[str]) -> JSON:
    """Return the value without the members at the pointers."""
    for pointer in ignored:
        value = remove(value, pointer)
    return value


@lru_cache(maxsize=1024)
def form_of(content: bytes) -> JSONObject:
    """Parse a form like a query: names to texts, or to arrays for repeated names. Equal forms share the result."""
    try:
        text = content.decode()
    except UnicodeDecodeError:  # in the character set of an old page
        text = content.decode("latin-1")
    return query_of(text)


def query_of(text: str) -> JSONObject:
    """Parse a query string: names to texts, or to arrays for repeated names."""
    if not text:
        return {}
    found: dict[str, list[JSON]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="backslashreplace", max_num_fields=None):
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
