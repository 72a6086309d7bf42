"""Static responses: replies and events without a template, encoded once per scenario.

Only the reference numbers differ from play to play. The bytes are the same as those that `ExchangeRenderer` gives.
Exchanges whose response depends on the request (templates, absolute URIs, ids chosen by the client) have none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

from cometreel.bayeux import EncodedMessage
from cometreel.bayeux.message_handlers import encoded_message, own_members
from cometreel.engine.rendering import TimedEvents, delivered_once, in_order, rebase
from cometreel.http_fields import JSON_TYPE
from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import (
    EventOut,
    EventSpec,
    Exchange,
    NormalizedRequest,
    Profile,
    PublishReplySpec,
    RenderContext,
    ReplySpec,
)
from cometreel.scenario.json_pointer import replace
from cometreel.scenario.normalized_request import normalize_path
from cometreel.scenario.values import Fixed, Identifier, Items, Members, Templated, Value
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Headers

__all__ = [
    "NumberedBytes",
    "ReadyResponse",
    "StaticEvents",
    "StaticReply",
    "StaticResponse",
    "literal_of",
    "reads",
    "ready_response_of",
    "static_response_of",
]

_NO_REQUEST = RenderContext(NormalizedRequest("GET", normalize_path("/")))
"""A context for parts that don't depend on it."""
_MARK = "\x00number\x00"
_CUT = encode(_MARK)[1:-1]


@dataclass(frozen=True, slots=True)
class NumberedBytes:
    """Bytes as sent, with a place for each reference number: a format string of `%` if there are numbers."""

    text: bytes
    recorded: tuple[int, ...] = ()
    """The recorded number at each place."""

    def joined(self, live: Mapping[int, int]) -> bytes:
        """Return the bytes with live reference numbers; `live` maps recorded numbers to them."""
        recorded = self.recorded
        if not recorded:
            return self.text
        if len(recorded) == 1:
            return self.text % live.get(recorded[0], recorded[0])
        return self.text % tuple([live.get(number, number) for number in recorded])


@dataclass(frozen=True, slots=True)
class StaticReply:
    """A reply whose body is ready except for its reference numbers."""

    after_seconds: float
    status: int
    headers: Headers
    body: NumberedBytes


@dataclass(frozen=True, slots=True)
class StaticEvents:
    """The messages due at the same time, as recorded, and the bytes of each message that has a reference number."""

    timed: TimedEvents
    numbered: tuple[tuple[int, NumberedBytes], ...]
    """The index of the message, and its bytes."""


@dataclass(frozen=True, slots=True)
class StaticResponse:
    """The static parts of one exchange; None for a part that must be rendered. Events are in the order of delivery."""

    reply: StaticReply | None = None
    events: tuple[StaticEvents, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReadyResponse:
    """The response of an exchange of which no part must be rendered."""

    reply: StaticReply
    events: tuple[StaticEvents, ...]
    numbers: tuple[int, ...]
    """The recorded reference numbers, those of the reply first."""
    first_after: float
    """The delay of the first events; that of the reply if there are none."""


def ready_response_of(static: StaticResponse, numbers: tuple[int, ...]) -> ReadyResponse | None:
    """Return the response of an exchange if it is static in all parts; otherwise None."""
    if static.reply is None or static.events is None:
        return None
    first_after = min([each.timed.after_seconds for each in static.events], default=static.reply.after_seconds)
    return ReadyResponse(static.reply, static.events, numbers, first_after)


def static_response_of(exchange: Exchange, profile: Profile) -> StaticResponse:
    """Return the static parts of an exchange."""
    if profile.request:  # the id that the client chose would be inserted
        return StaticResponse()
    reply = _reply(exchange.reply, profile) if isinstance(exchange.reply, ReplySpec) else None
    return StaticResponse(reply, _events(exchange, profile))


def _reply(spec: ReplySpec, profile: Profile) -> StaticReply | None:
    if not _is_fixed(spec):
        return None
    out = spec.render(_NO_REQUEST)
    if out.content is not None:
        return StaticReply(out.after_seconds, out.status, Headers(out.headers), NumberedBytes(out.content))
    if _has_uri(out.body) or _CUT in encode(out.body):
        return None
    typed = any(name.lower() == "content-type" for name, _ in out.headers)
    headers = out.headers if typed else (*out.headers, JSON_TYPE)
    body = _numbered_bytes(out.body, profile.reply, profile.map)
    return StaticReply(out.after_seconds, out.status, Headers(headers), body)


def _events(exchange: Exchange, profile: Profile) -> tuple[StaticEvents, ...] | None:
    timed = [event for place, spec in enumerate(exchange.events, start=1) if (event := _event(spec, place))]
    if len(timed) < len(exchange.events):
        return None
    return tuple([_encoded(one, profile) for one in in_order(timed, delivered_once)])


def _event(spec: EventSpec, place: int) -> tuple[float, int, EventOut] | None:
    if not _is_fixed(spec) or (plan := spec.plan(_NO_REQUEST)).count != 1:
        return None
    out = spec.render(_NO_REQUEST)
    if _has_uri(out.message.get("data")) or _CUT in encode(out.message):
        return None
    return plan.after_seconds, place, out


def _encoded(timed: TimedEvents, profile: Profile) -> StaticEvents:
    """Encode the messages, once for all plays."""
    encoded, numbered = [], []
    pointers = tuple([f"/data{pointer}" for pointer in profile.event])
    for index, message in enumerate(timed.messages):
        assert not isinstance(message, EncodedMessage)
        encoded.append(encoded_message(message))
        body = _numbered_bytes(own_members(message), pointers)
        if body.recorded:
            numbered.append((index, body))
    return StaticEvents(dataclasses.replace(timed, messages=tuple(encoded)), tuple(numbered))


def _is_fixed(part: object) -> bool:
    """True if no part of a reply or an event depends on the request or the session."""
    if isinstance(part, ReplySpec | EventSpec):
        return all(_is_fixed(getattr(part, field.name)) for field in fields(part))
    if isinstance(part, tuple | list):
        return all(map(_is_fixed, part))
    return not isinstance(part, Templated | Identifier | Members | Items)


def _has_uri(value: JSON) -> bool:
    """True if a value contains an absolute URI, whose host is replaced by the one that the client used."""
    return rebase(value, "") != value


def _numbered_bytes(body: JSON, pointers: Sequence[str], maps: Sequence[str] = ()) -> NumberedBytes:
    """Encode a value as bytes, with places for the reference numbers at the pointers and in the maps."""
    numbers: list[int] = []

    def mark(value: JSON) -> JSON:
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        numbers.append(value)
        return f"{_MARK}{len(numbers) - 1}{_MARK}"

    def mark_all(value: JSON) -> JSON:
        return {name: mark(each) for name, each in value.items()} if isinstance(value, dict) else mark(value)

    for pointer in pointers:
        body = replace(body, pointer, mark)
    for pointer in maps:
        body = replace(body, pointer, mark_all)
    parts = encode(body).replace(b'"' + _CUT, _CUT).replace(_CUT + b'"', _CUT).split(_CUT)
    if len(parts) == 1:
        return NumberedBytes(parts[0])
    text = b"%d".join([part.replace(b"%", b"%%") for part in parts[::2]])
    return NumberedBytes(text, tuple([numbers[int(part)] for part in parts[1::2]]))


Spec: TypeAlias = ReplySpec | PublishReplySpec | EventSpec


def literal_of(value: Value | None) -> JSON:
    """Return the fixed parts of a value, with null for the others; members with a templated key are omitted."""
    if isinstance(value, Fixed):
        return value.value
    if isinstance(value, Members):
        return {str(key.value): literal_of(member) for key, member in value.members if isinstance(key, Fixed)}
    if isinstance(value, Items) and not value.joined:
        return [literal_of(item) for item in value.items]
    return None


def reads(spec: Spec, name: str) -> bool:
    """True if a template in a reply or an event uses this variable."""
    return any(name in names for field in fields(spec) for names in _names(getattr(spec, field.name)))


def _names(part: object) -> Iterator[frozenset[str]]:
    if isinstance(part, Templated):
        yield part.template.names
    elif isinstance(part, Members):
        yield from _names(part.members)
    elif isinstance(part, Items):
        yield from _names(part.items)
    elif isinstance(part, (tuple, list)):
        for item in part:
            yield from _names(item)


copy_by_constructor(__name__)
