"""Compiles checked models, one block at a time; `linking` combines them into a scenario."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from cometreel.jsonvalue import JSON, JSONObject, sorted_text
from cometreel.scenario.normalized_request import normalize_path, without
from cometreel.scenario.request_pattern import (
    BodyMatcher,
    BytesBody,
    ExactPath,
    FormBody,
    JsonBody,
    MediaType,
    PathMatcher,
    PathText,
    PublishPattern,
    RequestPattern,
    Segments,
    TextBody,
    Trigger,
)

from .compiled import (
    Anchor,
    BayeuxSection,
    Binding,
    BreakConnection,
    Delay,
    DropEvent,
    DuplicateEvent,
    EndSession,
    Fault,
    FaultAction,
    HandshakeSection,
    Position,
    RefuseMessage,
    SessionSection,
    SetStatus,
    SettingsSection,
    SubscriptionAnchor,
)
from .durations import parse_duration
from .field_types import Anchors
from .matchers import Matcher, matcher
from .model import (
    BayeuxBlock,
    BindBlock,
    EventBlock,
    FaultBlock,
    HandshakeBlock,
    PublishBlock,
    ReplyBlock,
    RequestBlock,
    SessionBlock,
    SettingsBlock,
)
from .runtime_expressions import parse_expression
from .specs import EventSpec, PublishReplySpec, ReplySpec
from .value_markers import marker_of
from .values import Fixed, Locate, Value, ValuePath, value_of

__all__ = [
    "anchor",
    "anchors",
    "bayeux",
    "binding",
    "events",
    "fault",
    "identity",
    "names",
    "reply",
    "reply_headers",
    "request_pattern",
    "session",
    "settings",
]


_NO_QUERY = matcher({})


def names(written: str | list[str] | None) -> tuple[str, ...]:
    """Return one name or a list of names as a tuple."""
    return (written,) if isinstance(written, str) else tuple(written or ())


def anchors(written: Anchors | None) -> tuple[Anchor, ...]:
    """Return one start or end of a timeline entry, or a list of them, as a tuple."""
    items = written if isinstance(written, list) else [] if written is None else [written]
    return tuple(anchor(item) for item in items)


def anchor(written: str | dict[str, str]) -> Anchor:
    """Return the start of a timeline entry."""
    if isinstance(written, str):
        return written
    ((key, channel),) = written.items()
    return SubscriptionAnchor("subscribe" if key == "subscribe" else "unsubscribe", channel)


def request_pattern(block: RequestBlock | PublishBlock, ignored: Sequence[str]) -> Trigger:
    """Compile the request of an exchange; `ignored` are JSON Pointers to ids that the client chooses."""
    if isinstance(block, PublishBlock):
        data = matcher(_without_ignored(block.data, ignored))
        return PublishPattern(matcher(block.publish), data, matcher(block.ext) if _has(block, "ext") else None)
    headers = tuple((name, _header(name, pattern)) for name, pattern in (block.headers or {}).items())
    query = matcher(block.query) if block.query else _NO_QUERY
    return RequestPattern(block.method.upper(), _path(block.path), query, headers, _body(block, ignored))


def _header(name: str, pattern: JSON) -> Matcher:
    return MediaType(pattern) if name.lower() == "content-type" and isinstance(pattern, str) else matcher(pattern)


def _has(block: RequestBlock | PublishBlock | ReplyBlock | FaultBlock, key: str) -> bool:
    return key in block.model_fields_set


def _path(written: JSON) -> PathMatcher:
    if isinstance(written, str):
        return ExactPath(normalize_path(written))
    if not isinstance(written, list):
        return PathText(matcher(written))
    if all(isinstance(segment, str) for segment in written):
        return ExactPath(normalize_path("/" + "/".join(map(str, written))))
    segments = list(written)
    if len(segments) > 3 and segments[0] == "api" and re.fullmatch(r"v[0-9.]+", str(segments[1])):
        segments = [segment for number, segment in enumerate(segments) if number != 2 or segment != "me"]
    return Segments(tuple(matcher(segment) for segment in segments))


def _body(block: RequestBlock, ignored: Sequence[str]) -> BodyMatcher:
    if _has(block, "body"):
        return JsonBody(matcher(_without_ignored(block.body, ignored)))
    if _has(block, "form"):
        return FormBody(matcher({} if block.form is None else block.form))
    if _has(block, "text"):
        return (
            BytesBody(block.text.encode(), is_text=True)
            if isinstance(block.text, str)
            else TextBody(matcher(block.text))
        )
    return BytesBody(base64.b64decode(block.base64 or ""))


def _without_ignored(body: JSON, ignored: Sequence[str]) -> JSON:
    marker = marker_of(body)
    if marker is not None and marker[0] == "$partial":
        return {"$partial": without(marker[1], ignored)}
    return without(body, ignored)


def identity(block: RequestBlock | PublishBlock, ignored: Sequence[str]) -> str:
    """Return a text that is equal for equal requests, however they are written."""
    if isinstance(block, PublishBlock):
        parts: JSON = ["publish", block.publish, _without_ignored(block.data, ignored), block.ext, block.authenticated]
    else:
        path: JSON = block.path
        if isinstance(path, str):
            normalized = normalize_path(path)
            path = ["path", list(normalized.segments), normalized.me]
        headers: JSONObject = {name.lower(): pattern for name, pattern in (block.headers or {}).items()}
        body: list[JSON] = [
            [_without_ignored(block.body, ignored)] if _has(block, "body") else None,
            block.text,
            block.base64,
        ]
        if _has(block, "form"):
            body.append({"form": block.form or {}})
        parts = [block.method.upper(), path, block.query or {}, headers, body, block.authenticated]
    return sorted_text(parts)


def under(locate: Locate, *steps: str | int) -> Locate:
    """Return a function that locates paths below these steps."""

    def locate_below(path: ValuePath) -> Position:
        return locate((*steps, *path))

    return locate_below


def reply(
    block: ReplyBlock, publish: bool, locate: Locate, common: Sequence[tuple[str, Value]] = ()
) -> ReplySpec | PublishReplySpec:
    """Compile the reply of an exchange; `common` are the header fields of all HTTP replies of its file."""
    values = _values(block, locate, _REPLY_VALUES)
    if publish:
        members = tuple((name, values.pop(name)) for name in ("data", "ext") if name in values)
        return PublishReplySpec(
            _position(locate, [*values.values(), *dict(members).values()]), members=members, **values
        )
    own = {name.lower() for name in block.headers or {}}
    inherited = [(name, value) for name, value in common if name.lower() not in own]
    headers = (*_headers(block.headers, under(locate, "headers")), *inherited)
    position = _position(locate, [*values.values(), *(value for _, value in headers)])
    return ReplySpec(position, headers=headers, content=base64.b64decode(block.base64 or ""), **values)


_REPLY_VALUES = frozenset(ReplyBlock.model_fields) - {"headers", "base64"}
_EVENT_VALUES = frozenset(EventBlock.model_fields) - {"deliver"}


def _values(block: ReplyBlock | EventBlock, locate: Locate, names: frozenset[str]) -> dict[str, Value]:
    """Compile the fields with these names that are set; null is a value only of JSON."""
    return {
        name: value_of(value, under(locate, name))
        for name in block.model_fields_set
        if name in names and ((value := getattr(block, name)) is not None or name in ("body", "data", "ext"))
    }


def _position(locate: Locate, values: Iterable[Value]) -> Position | None:
    """Return the position of a reply or an event for its errors, None if all values are fixed."""
    return None if all(isinstance(value, Fixed) for value in values) else locate(())


def _headers(fields: Mapping[str, JSON] | None, locate: Locate) -> list[tuple[str, Value]]:
    return [
        _fixed_field(name, item) if isinstance(item, str) else (name, value_of(item, under(locate, name)))
        for name, written in (fields or {}).items()
        if written is not None
        for item in (written if isinstance(written, list) else [written])
    ]


@lru_cache(maxsize=4096)
def _fixed_field(name: str, text: str) -> tuple[str, Value]:
    """Return a header field with a constant value; frequent ones are shared."""
    return name, Fixed(text)


def reply_headers(fields: Mapping[str, JSON] | None, locate: Locate) -> tuple[tuple[str, Value], ...]:
    """Compile the header fields of all HTTP replies of a file."""
    return tuple(_headers(fields, locate))


def event(block: EventBlock, number: int, locate: Locate) -> EventSpec:
    """Compile one event."""
    values = _values(block, locate, _EVENT_VALUES)
    return EventSpec(_position(locate, values.values()), number, deliver=block.deliver or "asker", **values)


def events(blocks: Sequence[EventBlock] | None, locate: Locate) -> tuple[EventSpec, ...]:
    """Compile the events of an exchange."""
    return tuple(event(block, number, under(locate, number)) for number, block in enumerate(blocks or ()))


def bayeux(block: BayeuxBlock | None) -> BayeuxSection:
    """Compile the `bayeux:` block."""
    if block is None:
        return BayeuxSection()
    return BayeuxSection(
        endpoint=block.endpoint,
        timeout_ms=block.advice.timeout if block.advice else None,
        interval_ms=block.advice.interval if block.advice else None,
        max_interval_seconds=_seconds(block.max_interval),
        max_sessions_per_browser=block.max_sessions_per_browser,
        multi_session_interval_seconds=_seconds(block.multi_session_interval),
        meta_connect_deliver_only=block.meta_connect_deliver_only,
        ack=block.ack,
        require_cookie=block.require_cookie,
        on_hangup=block.on_hangup,
        deliver=block.deliver,
        dialect=block.dialect,
        transports=None if block.transports is None else tuple(block.transports),
        max_queue=block.max_queue,
        max_message_bytes=block.max_message_bytes,
        form=block.form,
        handshake=_handshake(block.handshake),
    )


def _handshake(block: HandshakeBlock | None) -> HandshakeSection | None:
    return None if block is None else HandshakeSection(block.ext, block.advice)


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else parse_duration(duration)


def session(block: SessionBlock | None) -> SessionSection:
    """Compile the `session:` block."""
    if block is None:
        return SessionSection()
    cookie = "JSESSIONID" if block.cookie is None else block.cookie
    default = SessionSection()
    return SessionSection(
        cookie=None if cookie == "none" else cookie,
        max_idle_seconds=_seconds(block.max_idle),
        credentials=block.credentials or default.credentials,
        anonymous=block.anonymous or default.anonymous,
        max_provisional=block.max_provisional or default.max_provisional,
        when_gone=block.when_gone or default.when_gone,
        bind=tuple(map(binding, block.bind or ())),
    )


def binding(block: BindBlock) -> Binding:
    """Compile one rule of `session.bind`."""
    source = parse_expression(block.from_)
    return Binding(block.name or source.last_token, source, tuple(map(parse_expression, block.in_)))


def settings(block: SettingsBlock | None) -> SettingsSection:
    """Compile the `settings:` block."""
    if block is None:
        return SettingsSection()
    seed = None if block.seed is None else str(block.seed)
    cors = None if block.cors is None else names(block.cors)
    return SettingsSection(seed, block.speed, block.repeat, block.unmatched, block.auth, cors)


def fault(block: FaultBlock, index: int, position: Position) -> Fault:
    """Compile one fault."""
    return Fault(
        index=index,
        action=_fault_action(block),
        exchanges=frozenset(names(block.exchange)),
        meta=block.meta,
        channel=block.channel,
        roles=frozenset(names(block.as_)),
        nth=block.nth,
        every=block.every,
        rate=block.rate,
        position=position,
    )


def _fault_action(block: FaultBlock) -> FaultAction:
    if block.status is not None:
        headers = tuple((block.headers or {}).items())
        if _has(block, "body"):
            return SetStatus(block.status, headers, block.body, None)
        return SetStatus(block.status, headers, content=(block.text or "").encode())
    if block.delay is not None:
        return Delay(parse_duration(block.delay))
    if block.drop_event is not None:
        return DropEvent(None if block.drop_event is True else block.drop_event)
    if block.duplicate_event is not None:
        return DuplicateEvent(None if block.duplicate_event is True else block.duplicate_event)
    if block.error is not None:
        return RefuseMessage(block.error, block.advice, block.ext)
    return BreakConnection() if block.broken else EndSession()
