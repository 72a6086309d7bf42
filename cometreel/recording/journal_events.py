"""The lines of a journal: its header and one redacted event for each request, reply or WebSocket message.

Converts lines from and to JSON; does not read or write files.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Never, Self, TypeAlias, TypeVar, get_args

from cometreel.errors import NEWER_VERSION
from cometreel.jsonvalue import JSON, JSONObject, decode_encoded, encode

__all__ = [
    "NO_BODY",
    "VERSION",
    "EventKind",
    "JournalHeader",
    "JournalLineInvalid",
    "RecordedBody",
    "RedactedPaths",
    "SharedValues",
    "WireEvent",
    "event_of",
    "header_of",
]

VERSION = 1
EventKind: TypeAlias = Literal[
    "request", "reply", "error", "open", "frame", "close", "mark", "resume", "lost", "unwanted"
]
_KINDS = frozenset(get_args(EventKind))
_MAX_STARTED = 253_402_300_800  # the year 10000, beyond the range of datetime
_NONE: Mapping[str, Never] = MappingProxyType({})
_T = TypeVar("_T")


class JournalLineInvalid(ValueError):
    """An invalid journal line; the message contains no values."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class JournalHeader:
    """The first line of a journal. `started` is in seconds since 1970.

    `correlation` is the profile itself if it isn't an included one.
    """

    cometreel: str
    started: float
    profile: str
    policy: str
    correlation: JSON = None

    def to_json(self) -> JSONObject:
        """Return the header as a journal line."""
        line: JSONObject = {
            "journal": VERSION,
            "cometreel": self.cometreel,
            "started": self.started,
            "profile": self.profile,
            "policy": self.policy,
        }
        return line if self.correlation is None else {**line, "correlation": self.correlation}


@dataclass(frozen=True, slots=True)
class RedactedPaths:
    """The JSON Pointers of the replaced values of a body, by class; identifiers (strict policy) with their kind."""

    secret: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    identifiers: Mapping[str, str] = field(default_factory=lambda: _NONE)

    @property
    def pointers(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.secret, *self.personal, *self.identifiers)


_NOTHING_REPLACED = RedactedPaths()
_BodyKind: TypeAlias = Literal["none", "bayeux", "json", "form", "pieces", "text", "omitted"]


@dataclass(frozen=True, slots=True)
class RecordedBody:
    """A redacted body: Bayeux messages, another JSON value, a form, a text, nothing, or the reason of an omission.

    The value is kept as JSON text, which needs a tenth of the memory, and is decoded each time it is read.
    `partly` is the reason why some messages are missing; `in_form` is true for messages that a client sent in a form.
    """

    kind: _BodyKind = "none"
    encoded: bytes = b"null"
    hidden: RedactedPaths = _NOTHING_REPLACED
    partly: str = ""
    in_form: bool = False
    digest: str = ""
    """Equal for equal requests: a keyed digest of a body that was left out; a number if only secrets differ."""

    @classmethod
    def of(cls, kind: _BodyKind, value: JSON, hidden: RedactedPaths = _NOTHING_REPLACED, digest: str = "") -> Self:
        """Return the body with this value."""
        return cls(kind, encode(value), hidden, digest=digest)

    @property
    def value(self) -> JSON:
        """The value; a new one each time."""
        return decode_encoded(self.encoded)

    @property
    def messages(self) -> list[JSONObject]:
        """The Bayeux messages; empty for other bodies."""
        value = self.value if self.kind == "bayeux" else None
        return [message for message in value if isinstance(message, dict)] if isinstance(value, list) else []


NO_BODY = RecordedBody()


@dataclass(frozen=True, slots=True)
class WireEvent:
    """One journal line. `at` is in seconds since the start of the journal; `line` counts from 1.

    `identity` contains pseudonyms: session cookies by name, and `user` for credentials with a user name. `cookies` are
    the tokens of other cookies, by name, and `credentials` is the token of Bearer credentials. A reply has the cookies
    that it sets. `values` maps places, as `$request.query.code`, to the tokens of values that may belong to one
    session. `client_side` is true for a frame of the client. `hidden_query` and `hidden_path` map the name of a
    parameter or the number of a path segment to the class of the replaced value: `secret`, `personal` or `id KIND`.
    `hidden_headers` are the names of the omitted header fields with credentials, `dropped_headers` those of a reply
    that a replay doesn't repeat, `replaced_headers` those with a replaced value. `hosts` are the pseudonyms of the host
    that a request was sent to. `weak` are the places of secrets that are not searched for elsewhere.
    """

    line: int
    at: float
    kind: EventKind
    flow: str = ""
    method: str = ""
    path: str = ""
    query: str = ""
    status: int = 0
    headers: Mapping[str, str | tuple[str, ...]] = field(default_factory=lambda: _NONE)
    identity: Mapping[str, str] = field(default_factory=lambda: _NONE)
    cookies: Mapping[str, str] = field(default_factory=lambda: _NONE)
    credentials: str = ""
    values: Mapping[str, str] = field(default_factory=lambda: _NONE)
    body: RecordedBody = NO_BODY
    client_side: bool = False
    text: str = ""
    count: int = 0
    hidden_query: Mapping[str, str] = field(default_factory=lambda: _NONE)
    hidden_path: Mapping[str, str] = field(default_factory=lambda: _NONE)
    hidden_headers: tuple[str, ...] = ()
    dropped_headers: tuple[str, ...] = ()
    replaced_headers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()


class SharedValues:
    """Keeps one copy of each of the first different header fields, hosts and identities, which many events have."""

    _MOST = 1000

    def __init__(self) -> None:
        self._kept: dict[Hashable, object] = {}

    def mapping(self, value: Mapping[str, _T]) -> Mapping[str, _T]:
        """Return an equal mapping with the same order; its values must be hashable."""
        return self._one(("mapping", *value.items()), value) if value else _NONE

    def names(self, value: tuple[str, ...]) -> tuple[str, ...]:
        """Return an equal tuple."""
        return self._one(value, value) if value else value

    def _one(self, key: Hashable, value: _T) -> _T:
        if len(self._kept) < self._MOST:
            return self._kept.setdefault(key, value)  # type: ignore[return-value]  # an equal value of the same type
        return self._kept.get(key, value)  # type: ignore[return-value]  # an equal value of the same type


def header_of(value: JSON) -> JournalHeader:
    """Parse the first line of a journal.

    :raises JournalLineInvalid: if it isn't a journal header of this version.
    """
    if not isinstance(value, dict) or "journal" not in value:
        raise JournalLineInvalid("not a Cometreel journal")
    if value["journal"] != VERSION or value["journal"] is True:
        newer = NEWER_VERSION if isinstance(value["journal"], int) and value["journal"] > VERSION else ""
        raise JournalLineInvalid(f"a journal of version {value['journal']!r}"[:60], newer)
    started = value.get("started")
    names = [value.get(key) for key in ("cometreel", "profile", "policy")]
    if isinstance(started, bool) or not isinstance(started, int | float) or not 0 <= started < _MAX_STARTED:
        raise JournalLineInvalid("a journal header without a valid start time")
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise JournalLineInvalid("an incomplete journal header")
    return JournalHeader(texts[0], float(started), texts[1], texts[2], value.get("correlation"))


def event_of(value: JSON, line: int, shared: SharedValues | None = None) -> WireEvent:
    """Parse one journal line; `shared` saves memory if many are parsed.

    :raises JournalLineInvalid: if it isn't an event.
    """
    if not isinstance(value, dict):
        raise JournalLineInvalid("not an event")
    kind, at = value.get("kind"), value.get("t")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise JournalLineInvalid("an event of an unknown kind")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise JournalLineInvalid("an event without a time")
    shared = shared or SharedValues()
    return WireEvent(
        line=line,
        at=float(at),
        kind=sys.intern(kind),  # type: ignore[arg-type]  # checked against the values of EventKind above
        flow=sys.intern(_text(value, "flow")),
        method=sys.intern(_text(value, "method")),
        path=sys.intern(_text(value, "path")),
        query=_text(value, "query"),
        status=_number(value, "status"),
        headers=shared.mapping(_fields(value.get("headers"))),
        identity=shared.mapping(_texts(value.get("who"))),
        cookies=shared.mapping(_texts(value.get("cookies"))),
        credentials=_text(value, "credentials"),
        values=_texts(value.get("values")),
        body=_body(value),
        client_side=value.get("from") == "client",
        text=_text(value, "text"),
        count=_number(value, "count"),
        hidden_query=shared.mapping(_texts(value.get("hid-query"))),
        hidden_path=shared.mapping(_texts(value.get("hid-path"))),
        hidden_headers=shared.names(_list(value.get("hid-headers"))),
        dropped_headers=shared.names(_list(value.get("out-headers"))),
        replaced_headers=shared.names(_list(value.get("new-headers"))),
        hosts=shared.names(_list(value.get("hosts"))),
        weak=shared.names(_list(value.get("weak"))),
    )


def _body(value: JSONObject) -> RecordedBody:
    hidden, digest = _hidden(value.get("hid")), _text(value, "digest")
    if "bayeux" in value:
        partly, in_form = _text(value, "partly"), value.get("in-form") is True
        return RecordedBody("bayeux", encode(value["bayeux"]), hidden, partly, in_form)
    if "json" in value:
        return RecordedBody.of("json", value["json"], hidden, digest)
    if "form" in value:
        return RecordedBody.of("form", value["form"], hidden, digest)
    if "pieces" in value:
        return RecordedBody.of("pieces", value["pieces"], hidden, digest)
    if "body" in value:
        return RecordedBody.of("text", value["body"], hidden)
    if "omitted" in value:
        return RecordedBody.of("omitted", _text(value, "omitted"), digest=digest)
    return RecordedBody(digest=digest) if digest else NO_BODY


def _hidden(value: JSON) -> RedactedPaths:
    if not isinstance(value, dict):
        return _NOTHING_REPLACED
    hidden = RedactedPaths(_list(value.get("secret")), _list(value.get("personal")), _texts(value.get("id")))
    if any(pointer and not pointer.startswith("/") for pointer in hidden.pointers):
        raise JournalLineInvalid("an event with an invalid JSON Pointer to a replaced value")
    return hidden


def _text(value: JSONObject, key: str) -> str:
    found = value.get(key, "")
    if not isinstance(found, str):
        raise JournalLineInvalid(f"an event whose {key} is not a string")
    return _printable(found, key)


def _printable(text: str, key: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise JournalLineInvalid(f"an event whose {key} contains a lone surrogate")
    return text


def _number(value: JSONObject, key: str) -> int:
    found = value.get(key, 0)
    if isinstance(found, bool) or not isinstance(found, int):
        raise JournalLineInvalid(f"an event whose {key} is not a number")
    return found


def _texts(value: JSON) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return _NONE
    return {key: item for key, item in value.items() if isinstance(item, str)}


def _fields(value: JSON) -> Mapping[str, str | tuple[str, ...]]:
    """Return header fields; a repeated field has several values."""
    if not value:
        return _NONE
    found: dict[str, str | tuple[str, ...]] = {}
    for name, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, str):
            found[name] = item
        elif isinstance(item, list) and all(isinstance(each, str) for each in item):
            found[name] = _list(item)
    return found


def _list(value: JSON) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
