"""Compiled replies and events, which are rendered when an exchange is played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cometreel.jsonvalue import JSON, JSONObject, as_text
from cometreel.value_copies import copy_by_constructor

from .checks import FieldCheck, channel, count, duration, flag, header_line, status
from .compiled import EventOut, EventPlan, Position, PublishReplyOut, RenderContext, ReplyOut
from .durations import parse_duration
from .templates import TemplateFailed
from .values import Fixed, Scope, Value

__all__ = ["EventSpec", "PublishReplySpec", "ReplySpec"]

_AT_ONCE = Fixed("0s")
_OK = Fixed(200)
_NULL = Fixed(None)
_NO = Fixed(False)
_ONCE = Fixed(1)


def _checked(value: Value, check: FieldCheck, scope: Scope, position: Position | None) -> JSON:
    """Render and check a field; fixed values were checked at load."""
    return value.value if isinstance(value, Fixed) else _valid(value.render(scope), check, position)


def _valid(result: JSON, check: FieldCheck, position: Position | None) -> JSON:
    for finding in check(result):
        raise TemplateFailed(str(result), f"{finding.found}; expected {finding.expected}", str(position))
    return result


def _seconds(value: Value, scope: Scope, position: Position | None) -> float:
    return parse_duration(str(_checked(value, duration, scope, position)))


def _line(value: Value, scope: Scope, position: Position | None) -> str:
    text = as_text(value.render(scope))
    for finding in header_line(text):
        raise TemplateFailed(text, f"{finding.found}; expected {finding.expected}", str(position))
    return text


@dataclass(slots=True, unsafe_hash=True)
class ReplySpec:
    """The reply to an HTTP request."""

    position: Position | None
    """None if all values are fixed: none of them can be invalid then."""

    after: Value = _AT_ONCE
    status: Value = _OK
    headers: Sequence[tuple[str, Value]] = ()
    body: Value | None = None
    text: Value | None = None
    content: bytes = b""

    def render(self, context: RenderContext) -> ReplyOut:
        """Render the reply.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        scope = Scope(context, "reply")
        code = _checked(self.status, status, scope, self.position)
        assert isinstance(code, int)
        return ReplyOut(
            after_seconds=_seconds(self.after, scope, self.position),
            status=code,
            headers=tuple((name, _line(value, scope, self.position)) for name, value in self.headers),
            body=None if self.body is None else self.body.render(scope),
            content=self._content(scope) if self.body is None else None,
        )

    def _content(self, scope: Scope) -> bytes:
        if self.text is None:
            return self.content
        return as_text(self.text.render(scope)).encode(errors="replace")


@dataclass(slots=True, unsafe_hash=True)
class PublishReplySpec:
    """The reply to a publish."""

    position: Position | None
    """None if all values are fixed: none of them can be invalid then."""

    after: Value = _AT_ONCE
    successful: Value | None = None
    error: Value | None = None
    members: Sequence[tuple[str, Value]] = ()

    def render(self, context: RenderContext) -> PublishReplyOut:
        """Render the reply; if `successful` is left out, it is true unless there is an `error`.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        scope = Scope(context, "reply")
        error = None if self.error is None else self.error.render(scope)
        successful: JSON = error is None
        if self.successful is not None:
            successful = _checked(self.successful, flag, scope, self.position)
        return PublishReplyOut(
            after_seconds=_seconds(self.after, scope, self.position),
            successful=successful is True,
            error=None if error is None else as_text(error),
            members={name: value.render(scope) for name, value in self.members},
        )


@dataclass(slots=True, unsafe_hash=True)
class EventSpec:
    """One event of an exchange or of the timeline; `number` is its index there."""

    position: Position | None
    """None if all values are fixed: none of them can be invalid then."""

    number: int = 0
    after: Value = _AT_ONCE
    channel: Value | None = None
    data: Value = _NULL
    ext: Value | None = None
    disconnect: Value = _NO
    deliver: str = "asker"
    batch: Value | None = None
    count: Value = _ONCE
    gap: Value = _AT_ONCE

    def plan(self, context: RenderContext) -> EventPlan:
        """Return the schedule of the event.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        scope = Scope(context, f"event {self.number}")
        times = self._times(scope)
        gap = _seconds(self.gap, scope, self.position) if times > 1 else 0.0
        return EventPlan(_seconds(self.after, scope, self.position), times, gap)

    def _times(self, scope: Scope) -> int:
        times = _checked(self.count, count, scope, self.position)
        assert isinstance(times, int)
        return times

    def render(self, context: RenderContext, seq: int = 0) -> EventOut:
        """Render the event; `seq` counts its repetitions from 0.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        times = self._times(Scope(context, f"event {self.number}"))
        scope = Scope(context, f"event {self.number}", seq=seq, count=times)
        if _checked(self.disconnect, flag, scope, self.position) is True:
            return EventOut({}, disconnect=True, deliver=self.deliver)
        return EventOut(self._message(scope), self._batch(scope), deliver=self.deliver)

    def _message(self, scope: Scope) -> JSONObject:
        if self.channel is None:
            name = _valid("", channel, self.position)
        else:
            name = _checked(self.channel, channel, scope, self.position)
        message = {"channel": name, "data": self.data.render(scope)}
        if self.ext is not None:
            message["ext"] = self.ext.render(scope)
        return message

    def _batch(self, scope: Scope) -> str | None:
        """Return the name of the batch; false or null from a template means none."""
        batch = None if self.batch is None else self.batch.render(scope)
        return None if batch is None or batch is False else as_text(batch)


copy_by_constructor(__name__)
