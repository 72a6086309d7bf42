"""What of an exchange needs no rendering: a reply and events without a template, made ready once for each scenario.

Only the reference numbers differ from play to play. What comes out is, byte for byte, what rendering would give;
where that can't be promised (a template, an address that follows the client, an id that the client chooses) nothing
is made ready.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from cometreel.jsonvalue import JSON, encode
from cometreel.replay.answers import JSON_TYPE
from cometreel.replay.hosts import rebase
from cometreel.replay.references import Numbering
from cometreel.scenario import EventOut, EventSpec, Exchange, HttpQuestion, Profile, RenderContext, ReplyOut, ReplySpec
from cometreel.scenario.pointer import replace
from cometreel.scenario.question import path_of
from cometreel.scenario.values import Identifier, Items, Members, Templated

__all__ = ["Readymade", "ReadyReply", "readymade_of"]

_NOBODY = RenderContext(HttpQuestion("GET", path_of("/")))
"""Whoever asks: what is fixed doesn't look."""
_MARK = "\x00number\x00"
_CUT = encode(_MARK)[1:-1]


@dataclass(frozen=True, slots=True)
class ReadyReply:
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
class Readymade:
    """What is ready of one exchange; None where it must be rendered.

    `events` are those of the exchange in its order: seconds since the cause, place from 1, and the event as recorded.
    """

    reply: ReadyReply | None = None
    events: tuple[tuple[float, int, EventOut], ...] | None = None


def readymade_of(exchange: Exchange, profile: Profile) -> Readymade:
    """Make ready what can be."""
    if profile.request:  # the id that the client chose would be put in
        return Readymade()
    reply = _reply(exchange.reply, profile) if isinstance(exchange.reply, ReplySpec) else None
    events = [event for place, spec in enumerate(exchange.events, start=1) if (event := _event(spec, place))]
    return Readymade(reply, tuple(events) if len(events) == len(exchange.events) else None)


def _reply(spec: ReplySpec, profile: Profile) -> ReadyReply | None:
    if not _is_fixed(spec):
        return None
    out = spec.render(_NOBODY)
    if out.content is not None:
        return ReadyReply(out.after_seconds, out.status, out.headers, (out.content,))
    if _moves(out.body) or _CUT in encode(out.body):
        return None
    typed = any(name.lower() == "content-type" for name, _ in out.headers)
    headers = out.headers if typed else (*out.headers, JSON_TYPE)
    return ReadyReply(out.after_seconds, out.status, headers, _pieces(out.body, profile))


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
