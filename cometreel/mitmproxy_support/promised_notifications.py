"""Which request a notification answers, for the content view: the promises seen in this process.

The correlation profile says where the references are; sessions are told apart by their cookies. Nothing is written
down, and the oldest promises are forgotten. No addon of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from mitmproxy import http

from cometreel.bayeux import Message
from cometreel.jsonvalue import JSON, NotJSON, decode, encode
from cometreel.scenario import Profile
from cometreel.scenario.json_pointer import find

__all__ = ["PromisedNotifications", "SessionMarks", "marks_of"]

_REMEMBERED = 10_000

SessionMarks = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Promise:
    """One request whose reply promised a notification."""

    reference: bytes
    label: str
    asked_at: float
    marks: SessionMarks = field(repr=False)  # cookies and credentials: what says that two requests are one session's


class PromisedNotifications:
    """The promised notifications of the flows seen in this process, found again by reference and session."""

    def __init__(self, rule: Profile) -> None:
        self.rule = rule
        self._order: deque[Promise] = deque()
        self._by_reference: dict[bytes, list[Promise]] = {}

    def remember(self, flow: http.HTTPFlow) -> None:
        """Take note of the references that a request chose or its reply promised."""
        asked, answered = _json_body(flow.request), _json_body(flow.response)
        references = [*_found(asked, self.rule.request), *_found(answered, self.rule.reply)]
        references += [item for group in _found(answered, self.rule.map) for item in _members(group)]
        label = self._label(flow.request, asked)
        for reference in references:
            self._add(Promise(encode(reference), label, flow.request.timestamp_start, marks_of(flow)))

    def answered_by(self, message: Message, marks: SessionMarks, at: float) -> str | None:
        """Name the request that this notification answers: the session's latest one before it, or None."""
        references = [encode(value) for value in _found(message.get("data"), self.rule.event)]
        promises = [promise for reference in references for promise in self._by_reference.get(reference, ())]
        own = [promise for promise in promises if promise.marks & marks and promise.asked_at <= at]
        return max(own, key=lambda promise: promise.asked_at).label if own else None

    def _add(self, promise: Promise) -> None:
        self._order.append(promise)
        self._by_reference.setdefault(promise.reference, []).append(promise)
        if len(self._order) > _REMEMBERED:
            oldest = self._order.popleft()
            others = self._by_reference[oldest.reference]
            others.remove(oldest)
            if not others:
                del self._by_reference[oldest.reference]

    def _label(self, request: http.Request, asked: JSON) -> str:
        operations = _found(asked, [self.rule.operation] if self.rule.operation else [])
        path = request.path.partition("?")[0]
        names = [operation for operation in operations if isinstance(operation, str) and operation.isprintable()]
        return " ".join([request.method, path, *names])


def _json_body(message: http.Message | None) -> JSON:
    content = message.get_content(strict=False) if message else None
    try:
        return decode(content) if content else None
    except NotJSON:
        return None


def _found(document: JSON, pointers: Sequence[str]) -> list[JSON]:
    return [value for pointer in pointers for _, value in find(document, pointer)]


def _members(group: JSON) -> list[JSON]:
    return list(group.values()) if isinstance(group, dict) else []


def marks_of(flow: http.HTTPFlow) -> SessionMarks:
    """Tell what a session is known by: the cookies and credentials of a request and the cookies of its reply."""
    marks = {(name, value) for name, value in flow.request.cookies.items(multi=True)}
    if flow.response:
        marks |= {(name, value) for name, (value, _) in flow.response.cookies.items(multi=True)}
    if credentials := flow.request.headers.get("authorization"):
        marks.add(("authorization", credentials))
    if not marks and flow.client_conn.peername:
        marks.add(("peer", flow.client_conn.peername[0]))
    return frozenset(marks)
