"""What of an exchange needs no rendering: a reply and events without a template, made ready once for each scenario.

Only the reference numbers differ from play to play. What comes out is, byte for byte, what rendering would give;
where that can't be promised (a template, an address that follows the client, an id that the client chooses) nothing
is made ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias

from cometreel.engine.play_state import Numbering
from cometreel.engine.replies import JSON_TYPE, rebase
from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import (
    EventOut,
    EventSpec,
    Exchange,
    NormalizedRequest,
    Profile,
    PublishReplySpec,
    RenderContext,
    ReplyOut,
    ReplySpec,
)
from cometreel.scenario.json_pointer import replace
from cometreel.scenario.normalized_request import normalize_path
from cometreel.scenario.values import Fixed, Identifier, Items, Members, Templated, Value

__all__ = ["StaticReply", "StaticResponse", "literal_of", "reads", "static_response_of"]

_NOBODY = RenderContext(NormalizedRequest("GET", normalize_path("/")))
"""Whoever asks: what is fixed doesn't look."""
_MARK = "\x00number\x00"
_CUT = encode(_MARK)[1:-1]


@dataclass(frozen=True, slots=True)
class StaticReply:
    """A reply of which only the numbers are filled in: `pieces` are bytes as sent, and recorded numbers."""

    after_seconds: float
    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[bytes | int, ...]

    def fill(self, numbering: Numbering) -> ReplyOut:
        """Put the live numbers in."""
        content = b"".join(
            [piece if isinstance(piece, bytes) else b"%d" % numbering.lookup(piece) for piece in self.pieces]
        )
        return ReplyOut(self.after_seconds, self.status, self.headers, None, content)


@dataclass(frozen=True, slots=True)
class StaticResponse:
    """What is ready of one exchange; None where it must be rendered.

    `events` are those of the exchange in its order: seconds since the cause, place from 1, and the event as recorded.
    """

    reply: StaticReply | None = None
    events: tuple[tuple[float, int, EventOut], ...] | None = None


def static_response_of(exchange: Exchange, profile: Profile) -> StaticResponse:
    """Make ready what can be."""
    if profile.request:  # the id that the client chose would be put in
        return StaticResponse()
    reply = _reply(exchange.reply, profile) if isinstance(exchange.reply, ReplySpec) else None
    events = [event for place, spec in enumerate(exchange.events, start=1) if (event := _event(spec, place))]
    return StaticResponse(reply, tuple(events) if len(events) == len(exchange.events) else None)


def _reply(spec: ReplySpec, profile: Profile) -> StaticReply | None:
    if not _is_fixed(spec):
        return None
    out = spec.render(_NOBODY)
    if out.content is not None:
        return StaticReply(out.after_seconds, out.status, out.headers, (out.content,))
    if _moves(out.body) or _CUT in encode(out.body):
        return None
    typed = any(name.lower() == "content-type" for name, _ in out.headers)
    headers = out.headers if typed else (*out.headers, JSON_TYPE)
    return StaticReply(out.after_seconds, out.status, headers, _pieces(out.body, profile))


def _event(spec: EventSpec, place: int) -> tuple[float, int, EventOut] | None:
    if not _is_fixed(spec) or (plan := spec.plan(_NOBODY)).count != 1:
        return None
    out = spec.render(_NOBODY)
    return None if _moves(out.message.get("data")) else (max(0.0, plan.after_seconds), place, out)


def _is_fixed(part: object) -> bool:
    """Tell whether no part of a reply or an event depends on who asks."""
    if isinstance(part, ReplySpec | EventSpec):
        return all(_is_fixed(getattr(part, field.name)) for field in fields(part))
    if isinstance(part, tuple | list):
        return all(map(_is_fixed, part))
    return not isinstance(part, Templated | Identifier | Members | Items)


def _moves(value: JSON) -> bool:
    """Tell whether an address in a value follows the host that the client asked."""
    return rebase(value, "") != value


def _pieces(body: JSON, profile: Profile) -> tuple[bytes | int, ...]:
    """Encode a body, cut wherever the correlation says that a number stands."""
    numbers: list[int] = []

    def mark(value: JSON) -> JSON:
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        numbers.append(value)
        return f"{_MARK}{len(numbers) - 1}{_MARK}"

    def mark_all(value: JSON) -> JSON:
        return {name: mark(each) for name, each in value.items()} if isinstance(value, dict) else mark(value)

    for pointer in profile.reply:
        body = replace(body, pointer, mark)
    for pointer in profile.map:
        body = replace(body, pointer, mark_all)
    parts = encode(body).replace(b'"' + _CUT, _CUT).replace(_CUT + b'"', _CUT).split(_CUT)
    return tuple(numbers[int(part)] if place % 2 else part for place, part in enumerate(parts))


Spec: TypeAlias = ReplySpec | PublishReplySpec | EventSpec


def literal_of(value: Value | None) -> JSON:
    """Return a value as written, with null wherever something is filled in; members with such a key are left out."""
    if isinstance(value, Fixed):
        return value.value
    if isinstance(value, Members):
        return {str(key.value): literal_of(member) for key, member in value.members if isinstance(key, Fixed)}
    if isinstance(value, Items) and not value.joined:
        return [literal_of(item) for item in value.items]
    return None


def reads(spec: Spec, name: str) -> bool:
    """Tell whether a template anywhere in a reply or an event reads this name."""
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
