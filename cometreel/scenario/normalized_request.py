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
from cometreel.bounded_cache import BoundedCache
from cometreel.http_fields import CACHED_LENGTH, headers_size
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.json_pointer import remove
from cometreel.value_copies import copy_by_constructor
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
_LONGEST = 4096
"""The maximum length of path, query and body of a cached request."""

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


def normalize_path(text: str) -> NormalizedPath:
    """Normalise a path: `api/v2/me/workbins/` and `/api/v2/me/workbins` are the same, and `%41` is `A`.

    `/api/v2/me/x` and `/api/v2/x` are the same resource for most operations, so only `me` differs; if a scenario has
    both, the exact spelling takes precedence.
    """
    return _short_path(text) if len(text) <= CACHED_LENGTH else _path(text)


def _path(text: str) -> NormalizedPath:
    bare = without_session(text)
    segments = tuple(_decoded(segment) for segment in bare.split("/") if segment)
    if len(segments) > 3 and segments[0] == "api" and _API.fullmatch(segments[1]) and segments[2] == "me":
        return NormalizedPath((*segments[:2], *segments[3:]), me=True)
    return NormalizedPath(segments)


_short_path = lru_cache(maxsize=1024)(_path)


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


@dataclass(init=False, slots=True, unsafe_hash=True)
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
    other_headers: int = field(default=0, init=False, repr=False, compare=False)
    """The `id` of the header fields of the latest equal request that had others; for the cache of equal requests."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        method: str,
        path: NormalizedPath,
        query: JSONObject | None = None,
        content: bytes = b"",
        is_json: bool = False,
        body: JSON = None,
        compared: JSON = None,
        headers: Headers = Headers(),
        key: RequestKey | None = None,
    ) -> None:
        self.method, self.path, self.query, self.content = method, path, ({} if query is None else query), content
        self.is_json, self.body, self.compared, self.headers = is_json, body, compared, headers
        self.key = key
        self.other_headers = 0

    def form(self) -> JSONObject:
        """Return the fields of the body, read as a form."""
        return form_of(self.content, self.headers.charset())


@dataclass(slots=True, unsafe_hash=True)
class NormalizedPublish:
    """A normalised Bayeux publish. `compared` is `data` without the ids that the client chooses."""

    channel: str
    data: JSON = None
    ext: JSON = None
    compared: JSON = None
    message: Mapping[str, JSON] = field(default_factory=dict)


RequestOrPublish: TypeAlias = NormalizedRequest | NormalizedPublish


def normalize_request(request: Request, ignored: tuple[str, ...] = ()) -> NormalizedRequest:
    """Normalise an HTTP request; `ignored` are JSON Pointers to ids in its body that the client chooses.

    Equal requests of one client are the same object, so that each request after the first one costs one lookup.
    """
    found = _requests.get((request.method, request.path, request.query, request.body, ignored))
    if found is not None and found.headers is request.headers:
        return found
    return _normalized(request, ignored, found)


def _normalized(request: Request, ignored: tuple[str, ...], equal: NormalizedRequest | None) -> NormalizedRequest:
    """Return a new normalised request; it shares the values of an equal one with other header fields.

    It takes the place of the equal one in the cache if it comes twice in succession, because a client then sends it.
    """
    key = (request.method, request.path, request.query, request.body)
    size, headers = len(request.path) + len(request.query) + len(request.body), request.headers
    if size > _LONGEST or (request.body and headers.charset()):
        return NormalizedRequest(*_parsed(key, ignored), headers)
    if equal is None:
        made = NormalizedRequest(*_parsed(key, ignored), headers, key)
    else:
        method, path, query, body, compared = equal.method, equal.path, equal.query, equal.body, equal.compared
        made = NormalizedRequest(method, path, query, equal.content, equal.is_json, body, compared, headers, equal.key)
        if equal.other_headers != id(headers):
            equal.other_headers = id(headers)
            return made
    entry_size = _ENTRY_SIZE + _PARSED_SIZE * (len(request.query) + len(request.body)) + headers_size(headers)
    _requests.put((*key, ignored), made, entry_size)
    return made


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
_requests: BoundedCache[tuple[str, str, str, bytes, tuple[str, ...]], NormalizedRequest] = BoundedCache(64_000_000)
_ENTRY_SIZE = 2_000  # bytes of an entry without its query, body and header fields
_PARSED_SIZE = 32  # bytes of a parsed JSON value for each byte of its text, at most: `[[],[],[]]`


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


def form_of(content: bytes, charset: str = "") -> JSONObject:
    """Parse a form like a query: names to texts, or to arrays for repeated names. Equal forms share the result.

    `charset` is that of percent-encoded bytes, if it isn't UTF-8.
    """
    key = (content, charset or "utf-8")
    form = _forms.get(key)
    if form is None:
        form = _form(*key)
        _forms.put(key, form, _ENTRY_SIZE + _PARSED_SIZE * len(content))
    return form


@lru_cache(maxsize=1)  # a long form is not in `_forms`, and is compared with several patterns
def _form(content: bytes, charset: str) -> JSONObject:
    try:
        text = content.decode()
    except UnicodeDecodeError:  # in the character set of an old page
        text = content.decode("latin-1")
    return query_of(text, charset)


_forms: BoundedCache[tuple[bytes, str], JSONObject] = BoundedCache(32_000_000)


def query_of(text: str, charset: str = "utf-8") -> JSONObject:
    """Parse a query string: names to texts, or to arrays for repeated names."""
    if not text:
        return {}
    found: dict[str, list[JSON]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, encoding=charset, errors="backslashreplace"):
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


copy_by_constructor(__name__)
