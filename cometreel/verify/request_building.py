"""Builds a request from the pattern that a scenario contains.

No value is invented: a request with `{$any: string}` cannot be built, because the recording does not contain the value.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from cometreel.errors import CometreelError
from cometreel.http_fields import FORM_TYPE, SAFE_IN_SEGMENT
from cometreel.jsonvalue import JSON, JSONObject, as_text, encode
from cometreel.scenario import CompiledScenario, Exchange, Match, Mismatch, PublishBlock, RequestBlock, RequestOrPublish
from cometreel.scenario.value_markers import marker_of, unescaped
from cometreel.scenario.yaml_writer import inline
from cometreel.verify.expected_values import SessionVariables
from cometreel.wire import Headers, Request

__all__ = ["BuiltPublish", "BuiltRequest", "RequestNotBuildable", "build_request", "match_request"]


class RequestNotBuildable(CometreelError):
    """A request that cannot be built or sent; the text is the reason."""


@dataclass(frozen=True, slots=True)
class BuiltRequest:
    """An HTTP request to send. `path` and `query` are percent-encoded."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def url(self) -> str:
        """Path and query as in a request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class BuiltPublish:
    """A Bayeux publish to send. `ext` is None if there is none."""

    channel: str
    data: JSON
    ext: JSONObject | None = None


def build_request(block: RequestBlock | PublishBlock, variables: SessionVariables) -> BuiltRequest | BuiltPublish:
    """Build the request of a block.

    :raises RequestNotBuildable: if it has a marker whose value is unknown.
    """
    builder = _ValueBuilder(variables)
    if isinstance(block, PublishBlock):
        ext = builder.value(block.ext, "ext")
        data = builder.value(block.data, "data")
        return BuiltPublish(builder.text(block.publish, "channel"), data, ext if isinstance(ext, dict) else None)
    body, kind = _body(block, builder)
    headers = [(name, builder.text(value, f"header {name}")) for name, value in (block.headers or {}).items()]
    if kind and "content-type" not in {name.lower() for name, _ in headers}:
        headers.append(("Content-Type", kind))
    path = _path(block.path, builder)
    return BuiltRequest(block.method.upper(), path, _query(block.query, builder), tuple(headers), body)


def match_request(
    scenario: CompiledScenario, exchange: Exchange, built: BuiltRequest | BuiltPublish, ids: JSONObject
) -> tuple[RequestOrPublish, Match]:
    """Return the normalized request, and its match with the exchange.

    :raises RequestNotBuildable: if the exchange does not match, for example because of an option's value.
    """
    if isinstance(built, BuiltPublish):
        message: JSONObject = {"channel": built.channel, "data": built.data}
        normalized: RequestOrPublish = scenario.normalize_publish(
            message if built.ext is None else {**message, "ext": built.ext}
        )
    else:
        request = Request(1, built.method, built.path, built.query, Headers(built.headers), built.body)
        normalized = scenario.normalize_request(request)
    found = exchange.match(normalized, ids)
    if isinstance(found, Mismatch):
        first = found.differences[0]
        raise RequestNotBuildable(
            f"the built request has {first.found} at {first.where}; the exchange expects {first.expected}"
        )
    return normalized, found


def _path(written: JSON, builder: _ValueBuilder) -> str:
    if isinstance(written, list):
        return "/" + "/".join(quote(builder.text(segment, "path"), safe=SAFE_IN_SEGMENT) for segment in written)
    path = builder.text(written, "path")
    return quote(path if path.startswith("/") else f"/{path}", safe=f"{SAFE_IN_SEGMENT}/%;")


def _query(written: JSON, builder: _ValueBuilder, where: str = "query") -> str:
    marker = marker_of(written)
    if marker is not None and marker[0] == "$any":
        return ""  # any query matches, and so does an empty one
    query = builder.value(written or {}, where)
    if not isinstance(query, dict):
        return ""
    return urlencode(list(_pairs(query)), safe="*,:", quote_via=quote)


def _pairs(query: JSONObject) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, as_text(item)


def _body(block: RequestBlock, builder: _ValueBuilder) -> tuple[bytes, str]:
    """Return the body and its content type."""
    if "body" in block.model_fields_set:
        return encode(builder.value(block.body, "body")), "application/json"
    if "form" in block.model_fields_set:
        return _query(block.form, builder, "form").encode(), FORM_TYPE
    if block.text is not None:
        return builder.text(block.text, "text").encode(), "text/plain;charset=UTF-8"
    return (base64.b64decode(block.base64), "application/octet-stream") if block.base64 else (b"", "")


class _ValueBuilder:
    """Builds values from patterns."""

    def __init__(self, variables: SessionVariables) -> None:
        self._variables = variables

    def text(self, pattern: JSON, where: str) -> str:
        """Return the value of a pattern as text."""
        return as_text(self.value(pattern, where))

    def value(self, pattern: JSON, where: str) -> JSON:
        """Return the value of a pattern; `where` is its place in the request, for the error."""
        marker = marker_of(pattern)
        if marker is not None:
            return self._marker_value(marker[0], marker[1], where)
        if isinstance(pattern, dict):
            return {unescaped(key): self.value(member, f"{where}/{key}") for key, member in pattern.items()}
        if isinstance(pattern, list):
            return [self.value(item, f"{where}/{number}") for number, item in enumerate(pattern)]
        return pattern

    def _marker_value(self, key: str, argument: JSON, where: str) -> JSON:
        if key == "$one-of" and isinstance(argument, list):
            return self._first_buildable(argument, where)
        if key == "$csv" and isinstance(argument, list):
            return ",".join(self.text(item, where) for item in argument)
        if key == "$partial":
            return self.value(argument, where)
        name = str(argument)
        if key in ("$id", "$capture"):
            found = self._variables.id(name) if key == "$id" else self._variables.capture(name)
            if found is not None:
                return found
            option = f"--value {name.removeprefix('session.')}=…"
            raise RequestNotBuildable(
                f"the value of {_marker(key, argument)} in its {where} is unknown (set it with {option})"
            )
        raise RequestNotBuildable(f"the scenario does not contain the value of {_marker(key, argument)} in its {where}")

    def _first_buildable(self, choices: list[JSON], where: str) -> JSON:
        reasons: list[RequestNotBuildable] = []
        for choice in choices:
            try:
                return self.value(choice, where)
            except RequestNotBuildable as reason:
                reasons.append(reason)
        raise reasons[0]


def _marker(key: str, argument: JSON) -> str:
    return inline({key: argument})
