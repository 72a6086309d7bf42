"""From a request as a scenario writes it to one that can be sent: patterns become values, or the reason why not.

The opposite of matching. Nothing is invented: `{$any: string}` stands for a value that the recording doesn't hold.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from cometreel.errors import CometreelError
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario import Exchange, Match, Mismatch, PublishBlock, Question, RequestBlock, Scenario
from cometreel.scenario.markers import marker_of, unescaped
from cometreel.scenario.yaml_writer import inline
from cometreel.verify.expected_values import SessionVariables
from cometreel.wire import Headers, Request

__all__ = ["RequestNotBuildable", "BuiltRequest", "BuiltPublish", "build_request", "match_request"]

_SAFE = "~!$&'()*+,=:@"


class RequestNotBuildable(CometreelError):
    """A request that can't be made from what the scenario says; the text is the reason."""


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
        """Path and query as they stand in a request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class BuiltPublish:
    """A Bayeux publish to send. `ext` None is none."""

    channel: str
    data: JSON
    ext: JSONObject | None = None


def build_request(block: RequestBlock | PublishBlock, knowledge: SessionVariables) -> BuiltRequest | BuiltPublish:
    """Make the request that a block describes.

    :raises CantAsk: if it has a marker whose value nobody has said.
    """
    maker = _ValueBuilder(knowledge)
    if isinstance(block, PublishBlock):
        ext = maker.value(block.ext, "ext")
        data = maker.value(block.data, "data")
        return BuiltPublish(maker.text(block.publish, "channel"), data, ext if isinstance(ext, dict) else None)
    body, kind = _body(block, maker)
    headers = [(name, maker.text(value, f"header {name}")) for name, value in (block.headers or {}).items()]
    if kind and "content-type" not in {name.lower() for name, _ in headers}:
        headers.append(("Content-Type", kind))
    path = _path(block.path, maker)
    return BuiltRequest(block.method.upper(), path, _query(block.query, maker), tuple(headers), body)


def match_request(
    scenario: Scenario, exchange: Exchange, ask: BuiltRequest | BuiltPublish, ids: JSONObject
) -> tuple[Question, Match]:
    """What the scenario makes of a request: the question, and what its pattern captures.

    :raises CantAsk: if the request isn't one that the exchange answers, as after a value that doesn't fit.
    """
    if isinstance(ask, BuiltPublish):
        message: JSONObject = {"channel": ask.channel, "data": ask.data}
        question: Question = scenario.publish_question(message if ask.ext is None else {**message, "ext": ask.ext})
    else:
        request = Request(1, ask.method, ask.path, ask.query, Headers(ask.headers), ask.body)
        question = scenario.question(request)
    found = exchange.match(question, ids)
    if isinstance(found, Mismatch):
        wrong = found.differences[0]
        raise RequestNotBuildable(
            f"the request that was made of it has {wrong.found} at {wrong.where}, not {wrong.expected}"
        )
    return question, found


def _path(written: JSON, maker: _ValueBuilder) -> str:
    if isinstance(written, list):
        return "/" + "/".join(quote(maker.text(segment, "path"), safe=_SAFE) for segment in written)
    path = maker.text(written, "path")
    return quote(path if path.startswith("/") else f"/{path}", safe=f"{_SAFE}/%;")


def _query(written: JSON, maker: _ValueBuilder) -> str:
    marker = marker_of(written)
    if marker is not None and marker[0] == "$any":
        return ""  # any query will do, and none is one
    made = maker.value(written or {}, "query")
    if not isinstance(made, dict):
        return ""
    return urlencode(list(_pairs(made)), safe="*,:", quote_via=quote)


def _pairs(query: JSONObject) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, _as_text(item)


def _body(block: RequestBlock, maker: _ValueBuilder) -> tuple[bytes, str]:
    """The bytes, and the type that is said of them."""
    if "body" in block.model_fields_set:
        return encode(maker.value(block.body, "body")), "application/json"
    if block.text is not None:
        return maker.text(block.text, "text").encode(), "text/plain;charset=UTF-8"
    return (base64.b64decode(block.base64), "application/octet-stream") if block.base64 else (b"", "")


class _ValueBuilder:
    """Makes values of patterns."""

    def __init__(self, knowledge: SessionVariables) -> None:
        self._known = knowledge

    def text(self, pattern: JSON, where: str) -> str:
        """A value where only text can stand."""
        return _as_text(self.value(pattern, where))

    def value(self, pattern: JSON, where: str) -> JSON:
        """The value that a pattern stands for; `where` names it in the reason why there is none."""
        marker = marker_of(pattern)
        if marker is not None:
            return self._marked(marker[0], marker[1], where)
        if isinstance(pattern, dict):
            return {unescaped(key): self.value(member, f"{where}/{key}") for key, member in pattern.items()}
        if isinstance(pattern, list):
            return [self.value(item, f"{where}/{number}") for number, item in enumerate(pattern)]
        return pattern

    def _marked(self, key: str, argument: JSON, where: str) -> JSON:
        if key == "$one-of" and isinstance(argument, list):
            return self._first(argument, where)
        if key == "$csv" and isinstance(argument, list):
            return ",".join(self.text(item, where) for item in argument)
        if key == "$partial":
            return self.value(argument, where)
        name = str(argument)
        if key in ("$id", "$capture"):
            found = self._known.id(name) if key == "$id" else self._known.capture(name)
            if found is not None:
                return found
            option = f"--value {name.removeprefix('session.')}=…"
            raise RequestNotBuildable(
                f"{_marker(key, argument)} in its {where} has no value yet (give one with {option})"
            )
        raise RequestNotBuildable(
            f"{_marker(key, argument)} in its {where} stands for a value that the scenario doesn't hold"
        )

    def _first(self, choices: list[JSON], where: str) -> JSON:
        reasons: list[RequestNotBuildable] = []
        for choice in choices:
            try:
                return self.value(choice, where)
            except RequestNotBuildable as reason:
                reasons.append(reason)
        raise reasons[0]


def _marker(key: str, argument: JSON) -> str:
    return inline({key: argument})


def _as_text(value: JSON) -> str:
    return value if isinstance(value, str) else encode(value).decode()
