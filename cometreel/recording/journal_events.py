"""The lines of a journal: its header and one redacted event for each request, reply or WebSocket message.

Converts lines from and to JSON; does not read or write files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from cometreel.errors import NEWER_VERSION
from cometreel.jsonvalue import JSON, JSONObject

__all__ = [
    "NO_BODY",
    "VERSION",
    "EventKind",
    "JournalHeader",
    "JournalLineInvalid",
    "RecordedBody",
    "RedactedPaths",
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
    identifiers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedBody:
    """A redacted body: Bayeux messages, another JSON value, a form, a text, nothing, or the reason of an omission.

    `partly` is the reason why some messages are missing; `in_form` is true for messages that a client sent in a form.
    """

    kind: Literal["none", "bayeux", "json", "form", "pieces", "text", "omitted"] = "none"
    value: JSON = None
    hidden: RedactedPaths = RedactedPaths()
    partly: str = ""
    in_form: bool = False
    digest: str = ""
    """Equal for equal requests: a keyed digest of a body that was left out; a number if only secrets differ."""

    @property
    def messages(self) -> list[JSONObject]:
        """The Bayeux messages; empty for other bodies."""
        if self.kind != "bayeux" or not isinstance(self.value, list):
            return []
        return [message for message in self.value if isinstance(message, dict)]


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
    headers: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    identity: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    credentials: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    body: RecordedBody = NO_BODY
    client_side: bool = False
    text: str = ""
    count: int = 0
    hidden_query: Mapping[str, str] = field(default_factory=dict)
    hidden_path: Mapping[str, str] = field(default_factory=dict)
    hidden_headers: tuple[str, ...] = ()
    dropped_headers: tuple[str, ...] = ()
    replaced_headers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()


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


def event_of(value: JSON, line: int) -> WireEvent:
    """Parse one journal line.

    :raises JournalLineInvalid: if it isn't an event.
    """
    if not isinstance(value, dict):
        raise JournalLineInvalid("not an event")
    kind, at = value.get("kind"), value.get("t")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise JournalLineInvalid("an event of an unknown kind")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise JournalLineInvalid("an event without a time")
    return WireEvent(
        line=line,
        at=float(at),
        kind=kind,  # type: ignore[arg-type]  # checked against the values of EventKind above
        flow=_text(value, "flow"),
        method=_text(value, "method"),
        path=_text(value, "path"),
        query=_text(value, "query"),
        status=_number(value, "status"),
        headers=_fields(value.get("headers")),
        identity=_texts(value.get("who")),
        cookies=_texts(value.get("cookies")),
        credentials=_text(value, "credentials"),
        values=_texts(value.get("values")),
        body=_body(value),
        client_side=value.get("from") == "client",
        text=_text(value, "text"),
        count=_number(value, "count"),
        hidden_query=_texts(value.get("hid-query")),
        hidden_path=_texts(value.get("hid-path")),
        hidden_headers=_list(value.get("hid-headers")),
        dropped_headers=_list(value.get("out-headers")),
        replaced_headers=_list(value.get("new-headers")),
        hosts=_list(value.get("hosts")),
        weak=_list(value.get("weak")),
    )


def _body(value: JSONObject) -> RecordedBody:
    hidden, digest = _hidden(value.get("hid")), _text(value, "digest")
    if "bayeux" in value:
        partly, in_form = _text(value, "partly"), value.get("in-form") is True
        return RecordedBody("bayeux", value["bayeux"], hidden, partly, in_form)
    if "json" in value:
        return RecordedBody("json", value["json"], hidden, digest=digest)
    if "form" in value:
        return RecordedBody("form", value["form"], hidden, digest=digest)
    if "pieces" in value:
        return RecordedBody("pieces", value["pieces"], hidden, digest=digest)
    if "body" in value:
        return RecordedBody("text", value["body"], hidden)
    if "omitted" in value:
        return RecordedBody("omitted", _text(value, "omitted"), digest=digest)
    return RecordedBody(digest=digest) if digest else NO_BODY


def _hidden(value: JSON) -> RedactedPaths:
    if not isinstance(value, dict):
        return RedactedPaths()
    hidden = RedactedPaths(_list(value.get("secret")), _list(value.get("personal")), _texts(value.get("id")))
    pointers = (*hidden.secret, *hidden.personal, *hidden.identifiers)
    if any(pointer and not pointer.startswith("/") for pointer in pointers):
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


def _texts(value: JSON) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, str)}


def _fields(value: JSON) -> dict[str, str | tuple[str, ...]]:
    """Return header fields; a repeated field has several values."""
    found: dict[str, str | tuple[str, ...]] = {}
    for name, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, str):
            found[name] = item
        elif isinstance(item, list) and all(isinstance(each, str) for each in item):
            found[name] = _list(item)
    return found


def _list(value: JSON) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
