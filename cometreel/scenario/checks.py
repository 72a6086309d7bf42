"""What each kind of field may hold: one small check per kind, each yields what is wrong.

A check knows one value, not where it stands nor what else the file says.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeAlias

from cometreel.jsonvalue import JSON
from cometreel.scenario.json_pointer import parse_pointer

from .durations import parse_duration
from .findings import Finding, can_be_written, describe, near
from .markers import MATCHED, RENDERED, check_markers, marker_of

CHANNEL = r'^(/[^/\s\x00-\x1f\x7f"<>\\^`]+)+$'
"""Bayeux 1.0 §2.2.1, and what real servers tolerate beside it: letters of any language, for example."""

NAME = r"^(?=.*\S)[^\n]+$"
FIELD_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
META_CHANNELS = ("/meta/handshake", "/meta/connect", "/meta/subscribe", "/meta/unsubscribe", "/meta/disconnect")
CORRELATION_SOURCE = r"^(path-tail|map-keys|query:.+|body:/.*)$"
_CHANNEL = re.compile(CHANNEL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_METHOD = re.compile(r"[A-Za-z][A-Za-z-]*")

FieldCheck: TypeAlias = Callable[[JSON], Iterator[Finding]]


def plain(value: JSON) -> Iterator[Finding]:
    """Any JSON value that YAML can hold."""
    if not can_be_written(value):
        yield Finding(
            (), "a value that YAML can't hold", "JSON without lone surrogates, NaN and infinity, at most 90 deep"
        )


def pattern(value: JSON) -> Iterator[Finding]:
    """A value to match."""
    yield from plain(value)
    yield from check_markers(value, MATCHED)


def rendered(value: JSON) -> Iterator[Finding]:
    """A value to send."""
    yield from plain(value)
    yield from check_markers(value, RENDERED)


def text_pattern(value: JSON) -> Iterator[Finding]:
    """Text to match."""
    if isinstance(value, str):
        yield from plain(value)
    elif marker_of(value) is None:
        yield Finding((), describe(value), "text or a marker")
    else:
        yield from check_markers(value, MATCHED - {"$partial"})


def path_pattern(value: JSON) -> Iterator[Finding]:
    """A path: text, a marker, or a list of segments of which each may be a marker."""
    if isinstance(value, str):
        yield from _path(value)
    elif isinstance(value, list) and value:
        for number, segment in enumerate(value):
            if isinstance(segment, str) and ("/" in segment or not segment):
                yield Finding((number,), describe(segment), "one segment of a path, without '/'")
            else:
                yield from _at(number, text_pattern(segment))
    else:
        yield from text_pattern(value)


def _path(value: str) -> Iterator[Finding]:
    yield from plain(value)
    if _SCHEME.match(value):
        yield Finding((), describe(value), "a path", "leave out scheme and host")
    elif "?" in value or "#" in value:
        yield Finding((), describe(value), "a path", "write what follows the '?' under query:")
    elif not value.strip("/") and value != "/":
        yield Finding((), describe(value), "a path such as /api/v2/workbins")


def query_pattern(value: JSON) -> Iterator[Finding]:
    """A map of query names to text, to the list of their texts, or to a marker."""
    marker = marker_of(value)
    if marker is not None and marker[0] == "$partial":
        yield from check_markers(value, MATCHED)
        for name, member in marker[1].items() if isinstance(marker[1], dict) else ():
            yield from _at("$partial", _at(name, _query_value(member)))
    elif marker is not None:
        yield from check_markers(value, frozenset({"$any", "$partial"}))
    elif not isinstance(value, dict):
        yield Finding((), describe(value), "a mapping of names to texts")
    else:
        for name, member in value.items():
            yield from _at(name, _query_value(member))


def _query_value(value: JSON) -> Iterator[Finding]:
    if isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _at(number, text_pattern(item))
    elif isinstance(value, bool | int | float) or value is None:
        yield Finding((), describe(value), "text", "quote it: a query holds only text")
    else:
        yield from text_pattern(value)


def _at(step: str | int, findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield Finding((step, *finding.path), finding.found, finding.expected, finding.hint, finding.at_key)


def text_value(value: JSON) -> Iterator[Finding]:
    """Text to send."""
    if not isinstance(value, str):
        yield Finding((), describe(value), "text or a template")
    yield from plain(value)


def duration(value: JSON) -> Iterator[Finding]:
    """A number with a unit."""
    hint = ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        hint = f"write {value:g}s or {value:g}ms"
    elif isinstance(value, str):
        try:
            parse_duration(value)
        except ValueError as error:
            hint = "" if "is not a duration" in str(error) else str(error)
        else:
            return
    yield Finding((), describe(value), "a duration such as 120ms, 5s or 1m", hint)


def channel(value: JSON) -> Iterator[Finding]:
    """A channel that messages are sent on."""
    if not isinstance(value, str) or not _CHANNEL.match(value) or value.endswith("\n"):
        hint = "a channel begins with '/' and doesn't end with one" if isinstance(value, str) else ""
        yield Finding((), describe(value), "a channel such as /v2/me/workbins", hint)
    elif not {"*", "**"}.isdisjoint(value.split("/")):
        yield Finding((), describe(value), "one channel", "wildcards are for subscriptions only")
    elif value.startswith("/meta/"):
        yield Finding((), describe(value), "a channel of the application", "use faults: to change meta messages")


def subscription(value: JSON) -> Iterator[Finding]:
    """A channel, with wildcards or without."""
    if not isinstance(value, str) or not _CHANNEL.match(value) or value.endswith("\n"):
        yield Finding((), describe(value), "a channel such as /v2/me/workbins or /v2/me/*")


def status(value: JSON) -> Iterator[Finding]:
    """An HTTP status."""
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        yield Finding((), describe(value), "an HTTP status from 200 to 599")


def count(value: JSON) -> Iterator[Finding]:
    """How often."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        yield Finding((), describe(value), "a whole number, 0 or more")


def flag(value: JSON) -> Iterator[Finding]:
    """True or false."""
    if not isinstance(value, bool):
        yield Finding((), describe(value), "true or false")


def positive(value: JSON) -> Iterator[Finding]:
    """A whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        yield Finding((), describe(value), "a whole number, 1 or more")


def rate(value: JSON) -> Iterator[Finding]:
    """A probability."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        yield Finding((), describe(value), "a number from 0 to 1")


def speed(value: JSON) -> Iterator[Finding]:
    """A factor for the pace; 0 is as fast as possible."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
        yield Finding((), describe(value), "a number, 0 or more")


def names(value: JSON) -> Iterator[Finding]:
    """One name or a list of names."""
    items = value if isinstance(value, list) else [value]
    if not items:
        yield Finding((), "an empty list", "a name or a list of names")
    for number, item in enumerate(items):
        if not isinstance(item, str) or not item:
            yield Finding((number,) if isinstance(value, list) else (), describe(item), "a name or a list of names")


def name(value: JSON) -> Iterator[Finding]:
    """A name: one line of text."""
    if not isinstance(value, str) or not re.fullmatch(NAME, value):
        yield Finding((), describe(value), "a name: one line of text")
    yield from plain(value)


def method(value: JSON) -> Iterator[Finding]:
    """An HTTP method."""
    if not isinstance(value, str) or not _METHOD.fullmatch(value):
        yield Finding((), describe(value), "an HTTP method such as GET or POST")


def base64_text(value: JSON) -> Iterator[Finding]:
    """Bytes in base64."""
    try:
        base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        yield Finding((), describe(value), "bytes in base64")


def cookie(value: JSON) -> Iterator[Finding]:
    """A cookie's name."""
    if not isinstance(value, str) or not re.fullmatch(FIELD_NAME, value):
        yield Finding((), describe(value), "the name of a cookie, or none")


def moment(value: JSON) -> Iterator[Finding]:
    """A point in time."""
    try:
        datetime.fromisoformat(value if isinstance(value, str) else "?")
    except ValueError:
        yield Finding((), describe(value), "a time such as 2026-11-23T10:00:00Z")


def pointer(value: JSON) -> Iterator[Finding]:
    """A JSON Pointer."""
    try:
        parse_pointer(value if isinstance(value, str) else "?")
    except ValueError:
        yield Finding((), describe(value), "a JSON Pointer such as /referenceId")


def endpoint(value: JSON) -> Iterator[Finding]:
    """The path of the CometD server."""
    if not isinstance(value, str) or not value.startswith("/") or "?" in value:
        yield Finding((), describe(value), "a path such as /api/v2/notifications")


def seed(value: JSON) -> Iterator[Finding]:
    """Text or a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        yield Finding((), describe(value), "text or a whole number")


def event_choice(value: JSON) -> Iterator[Finding]:
    """Which events: every one (true), one by its number from 1, or those on a channel."""
    if value is True or (isinstance(value, int) and value >= 1):
        return
    if isinstance(value, str) and _CHANNEL.match(value):
        return
    yield Finding((), describe(value), "true, the number of an event from 1, or a channel")


def meta_channel(value: JSON) -> Iterator[Finding]:
    """A meta channel of Bayeux 1.0 §5."""
    if value not in META_CHANNELS:
        yield Finding((), describe(value), " or ".join(META_CHANNELS), near(str(value), META_CHANNELS))


def batch(value: JSON) -> Iterator[Finding]:
    """A batch's name."""
    if isinstance(value, bool):
        yield Finding((), describe(value), "the name of a batch")
    else:
        yield from name(value)


def or_template(check: FieldCheck) -> FieldCheck:
    """What passes the check, or a template or an `$id`, whose value is checked when it is rendered."""

    def run(value: JSON) -> Iterator[Finding]:
        if marker_of(value) is not None:
            yield from check_markers(value, frozenset({"$t", "$id"}))
        else:
            yield from check(value)

    return run


def header_value(value: JSON) -> Iterator[Finding]:
    """A header's text, or the list of its texts where it is repeated."""
    items = value if isinstance(value, list) and value else [value]
    for number, item in enumerate(items):
        findings = or_template(text_value)(item)
        yield from _at(number, findings) if isinstance(value, list) else findings
        if isinstance(item, str):
            yield from header_line(item)


def header_line(value: JSON) -> Iterator[Finding]:
    """What may stand in a header field: no control character, which would end the field or the whole head."""
    if not isinstance(value, str) or _CONTROL.search(value):
        yield Finding((), describe(value), "one line of text")


def header_names(value: JSON) -> Iterator[Finding]:
    """The names of header fields are tokens (RFC 9110 §5.1)."""
    for name in value if isinstance(value, dict) else ():
        if not re.fullmatch(FIELD_NAME, name):
            yield Finding((name,), describe(name), "the name of a header field", at_key=True)


def correlation_source(value: JSON) -> Iterator[Finding]:
    """Where a request has the value that an event shares with it."""
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(item, str) or not re.fullmatch(CORRELATION_SOURCE, item):
            path = (number,) if isinstance(value, list) else ()
            yield Finding(path, describe(item), "path-tail, map-keys, query:NAME or body:POINTER")
