"""The content view for Bayeux: shows messages as YAML, and the request that a notification answers.

Supports mitmproxy 11 (the view is called) and 12 (`prettify`). Requests and notifications are matched with a
correlation profile and the cookies of their session. References are kept in memory; the oldest ones are dropped.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import parse_qs

from mitmproxy import http

from cometreel.bayeux import MalformedMessages, Message, looks_like_bayeux, parse_messages
from cometreel.jsonvalue import JSON, NotJSON, decode, encode, readable
from cometreel.scenario import Profile
from cometreel.scenario.json_pointer import find

if TYPE_CHECKING:
    from mitmproxy.flow import Flow
    from mitmproxy.websocket import WebSocketMessage

__all__ = ["BayeuxContentView", "PromisedNotifications", "messages_in"]

_JSONP = re.compile(rb"\s*(?:/\*\*/)?\s*[\w$.\[\]]+\s*\((.*)\)\s*;?\s*", re.DOTALL)
_PLAIN_SCALAR = re.compile(r"(?!(?:true|false|null)$)/?[A-Za-z_][\w/*.-]*")  # a string without quotes in YAML 1.2
_MAX_COLUMNS = 100
_MAX_REFERENCES = 10_000

SessionMarks = frozenset[tuple[str, str]]
"""Cookies and credentials; two requests with a common one belong to the same session."""


class _NamedView(Protocol):
    """The other views, which mitmproxy sorts by name."""

    name: str


class BayeuxContentView:
    """Shows Bayeux messages as YAML; a view for mitmproxy 11 and 12."""

    name = "Bayeux"
    syntax_highlight = "yaml"

    def __init__(self, notifications: PromisedNotifications) -> None:
        self.notifications = notifications

    def __lt__(self, other: _NamedView) -> bool:
        return self.name < other.name

    def prettify(self, data: bytes, metadata: object) -> str:
        """Return messages as YAML, other data unchanged (mitmproxy 12)."""
        return self._text(data, getattr(metadata, "flow", None), getattr(metadata, "websocket_message", None))

    def __call__(
        self,
        data: bytes,
        *,
        flow: Flow | None = None,
        websocket_message: WebSocketMessage | None = None,
        **_: object,
    ) -> tuple[str, Iterator[list[tuple[str, str]]]]:
        """Return messages as YAML, other data unchanged (mitmproxy 11)."""
        text = self._text(data, flow, websocket_message)
        return self.name, ([("text", line)] for line in text.split("\n"))

    def render_priority(self, data: bytes, metadata: object = None, **_: object) -> float:
        """Return a higher priority than the JSON view for Bayeux messages, the lowest for other data."""
        return 2 if messages_in(data) else -1

    def _text(self, data: bytes, flow: Flow | None, frame: WebSocketMessage | None) -> str:
        messages = messages_in(data)
        if not messages:
            return data.decode(errors="backslashreplace")
        marks, at = (_marks(flow), _time(flow, frame)) if isinstance(flow, http.HTTPFlow) else (frozenset(), 0.0)
        text = "\n".join(_yaml(message, self.notifications.find(message, marks, at)) for message in messages)
        return text.encode(errors="backslashreplace").decode()  # a lone surrogate can't be printed


def messages_in(data: bytes) -> list[Message]:
    """Return the Bayeux messages of a body or frame: JSON, JSONP (callback-polling) or a form."""
    if jsonp := _JSONP.fullmatch(data):
        data = jsonp[1]
    elif data.startswith(b"message="):
        data = parse_qs(data).get(b"message", [b""])[0]
    try:
        messages = parse_messages(data)
    except MalformedMessages:
        return []
    return messages if looks_like_bayeux(cast("JSON", messages)) else []


def _yaml(message: Message, request: str | None) -> str:
    members = {key: value for key, value in message.items() if key != "channel"}
    comment = f"  # answers {request}" if request else ""
    lines = [f"- channel: {_scalar(message['channel'])}{comment}"]
    lines += [f"  {_scalar(key)}: {_value(value)}" for key, value in members.items()]
    return "\n".join(lines)


def _scalar(value: JSON) -> str:
    plain = isinstance(value, str) and _PLAIN_SCALAR.fullmatch(value)
    return str(value) if plain else readable(value)


def _value(value: JSON) -> str:
    line = readable(value)
    if len(line) <= _MAX_COLUMNS:
        return line
    return readable(value, indent=2).replace("\n", "\n  ")


def _time(flow: http.HTTPFlow, frame: WebSocketMessage | None) -> float:
    if frame:
        return frame.timestamp
    return (flow.response and flow.response.timestamp_end) or flow.request.timestamp_start


@dataclass(frozen=True, slots=True)
class _Promise:
    """A request with a reference to a later notification."""

    reference: bytes
    request: str
    at: float
    marks: SessionMarks = field(repr=False)


class PromisedNotifications:
    """The references to notifications in the flows so far, by value and session; at the places of some profiles."""

    def __init__(self, *profiles: Profile) -> None:
        self.profiles = profiles
        self._oldest_first: deque[_Promise] = deque()
        self._by_reference: dict[bytes, list[_Promise]] = {}

    def add(self, flow: http.HTTPFlow) -> None:
        """Add the references in a request and its reply."""
        request, reply = _json_body(flow.request), _json_body(flow.response)
        references: list[JSON] = []
        for profile in self.profiles:
            references += [*_values(request, profile.request), *_values(reply, profile.reply)]
            for group in _values(reply, profile.map):
                references += group.values() if isinstance(group, dict) else ()
        label = self._label(flow.request, request)
        for reference in dict.fromkeys(map(encode, references)):
            self._add(_Promise(reference, label, flow.request.timestamp_start, _marks(flow)))

    def find(self, message: Message, marks: SessionMarks, at: float) -> str | None:
        """Return the latest request of the session before `at` that a notification answers, or None."""
        pointers = dict.fromkeys(pointer for profile in self.profiles for pointer in profile.event)
        references = [encode(value) for value in _values(message.get("data"), [*pointers])]
        promises = [promise for reference in references for promise in self._by_reference.get(reference, ())]
        own = [promise for promise in promises if promise.marks & marks and promise.at <= at]
        return max(own, key=lambda promise: promise.at).request if own else None

    def _add(self, promise: _Promise) -> None:
        self._oldest_first.append(promise)
        self._by_reference.setdefault(promise.reference, []).append(promise)
        if len(self._oldest_first) > _MAX_REFERENCES:
            oldest = self._oldest_first.popleft()
            others = self._by_reference[oldest.reference]
            others.remove(oldest)
            if not others:
                del self._by_reference[oldest.reference]

    def _label(self, request: http.Request, body: JSON) -> str:
        operations = _values(body, [profile.operation for profile in self.profiles if profile.operation])
        path = request.path.partition("?")[0]
        names = [operation for operation in operations if isinstance(operation, str) and operation.isprintable()]
        return " ".join([request.method, path, *names])


def _json_body(message: http.Message | None) -> JSON:
    content = message.get_content(strict=False) if message else None
    try:
        return decode(content) if content else None
    except NotJSON:
        return None


def _values(document: JSON, pointers: Sequence[str]) -> list[JSON]:
    return [value for pointer in pointers for _, value in find(document, pointer)]


def _marks(flow: http.HTTPFlow) -> SessionMarks:
    """Return the cookies and credentials of a flow, or the client address if there are none."""
    marks = {(name, value) for name, value in flow.request.cookies.items(multi=True)}
    if flow.response:
        marks |= {(name, value) for name, (value, _) in flow.response.cookies.items(multi=True)}
    if credentials := flow.request.headers.get("authorization"):
        marks.add(("authorization", credentials))
    if not marks and flow.client_conn.peername:
        marks.add(("peer", flow.client_conn.peername[0]))
    return frozenset(marks)
