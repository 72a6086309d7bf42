"""Checks of single field values: one generator per kind of field, which yields a finding for each error.

A check sees one value, not its position and not the rest of the file.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeAlias

from cometreel.cors import is_origin
from cometreel.http_fields import CONTROL_CHARACTER
from cometreel.jsonvalue import JSON
from cometreel.scenario.json_pointer import parse_pointer

from .durations import parse_duration
from .findings import Finding, can_be_written, describe, near
from .value_markers import MATCHED, RENDERED, check_markers, marker_of

CHANNEL = r'^(/[^/\s\x00-\x1f\x7f"<>\\^`]+)+$'
"""Bayeux 1.0 §2.2.1, extended by characters that real servers accept, such as letters of any language."""

NAME = r"^(?=.*\S)[^\n]+$"
FIELD_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
_FIELD_NAME = re.compile(FIELD_NAME)
META_CHANNELS = ("/meta/handshake", "/meta/connect", "/meta/subscribe", "/meta/unsubscribe", "/meta/disconnect")
CORRELATION_SOURCE = r"^(path-tail|map-keys|query:.+|body:/.*)$"
_CHANNEL = re.compile(CHANNEL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_METHOD = re.compile(r"[A-Za-z][A-Za-z-]*")

FieldCheck: TypeAlias = Callable[[JSON], Iterator[Finding]]


def plain(value: JSON) -> Iterator[Finding]:
    """Check that YAML can hold the JSON value."""
    if not can_be_written(value):
        yield Finding(
            (), "a value that YAML can't hold", "JSON without lone surrogates, NaN and infinity, at most 90 levels deep"
        )


def pattern(value: JSON) -> Iterator[Finding]:
    """Check a value to match."""
    yield from plain(value)
    yield from check_markers(value, MATCHED)


def rendered(value: JSON) -> Iterator[Finding]:
    """Check a value to send."""
    yield from plain(value)
    yield from check_markers(value, RENDERED)


def text_pattern(value: JSON) -> Iterator[Finding]:
    """Check text to match."""
    if isinstance(value, str):
        yield from plain(value)
    elif marker_of(value) is None:
        yield Finding((), describe(value), "text or a marker")
    else:
        yield from check_markers(value, MATCHED - {"$partial"})


def path_pattern(value: JSON) -> Iterator[Finding]:
    """Check a path: text, a marker, or a list of segments, each of which may be a marker."""
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
        yield Finding((), describe(value), "a path", "put the part after '?' under query:")
    elif not value.strip("/") and value != "/":
        yield Finding((), describe(value), "a path such as /api/v2/workbins")


def query_pattern(value: JSON) -> Iterator[Finding]:
    """Check a query: a mapping of names to text, to a list of texts, or to a marker."""
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
        yield Finding((), describe(value), "text", "quote it: query values are text")
    else:
        yield from text_pattern(value)


def _at(step: str | int, findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield Finding((step, *finding.path), finding.found, finding.expected, finding.hint, finding.at_key)


def text_value(value: JSON) -> Iterator[Finding]:
    """Check text to send."""
    if not isinstance(value, str):
        yield Finding((), describe(value), "text or a template")
    yield from plain(value)


def duration(value: JSON) -> Iterator[Finding]:
    """Check a duration: a number with a unit."""
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
    """Check a channel that messages are sent on."""
    if not isinstance(value, str) or not _CHANNEL.match(value) or value.endswith("\n"):
        hint = "a channel starts with '/' and doesn't end with it" if isinstance(value, str) else ""
        yield Finding((), describe(value), "a channel such as /v2/me/workbins", hint)
    elif not {"*", "**"}.isdisjoint(value.split("/")):
        yield Finding((), describe(value), "a channel without wildcards", "only subscriptions may use wildcards")
    elif value.startswith("/meta/"):
        yield Finding((), describe(value), "a channel of the application", "use faults: to change meta messages")


def subscription(value: JSON) -> Iterator[Finding]:
    """Check a channel, with or without wildcards."""
    if not isinstance(value, str) or not _CHANNEL.match(value) or value.endswith("\n"):
        yield Finding((), describe(value), "a channel such as /v2/me/workbins or /v2/me/*")


def status(value: JSON) -> Iterator[Finding]:
    """Check an HTTP status."""
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        yield Finding((), describe(value), "an HTTP status from 200 to 599")


def count(value: JSON) -> Iterator[Finding]:
    """Check a number of repetitions."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        yield Finding((), describe(value), "a whole number, 0 or more")


def flag(value: JSON) -> Iterator[Finding]:
    """Check a boolean."""
    if not isinstance(value, bool):
        yield Finding((), describe(value), "true or false")


def positive(value: JSON) -> Iterator[Finding]:
    """Check a whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        yield Finding((), describe(value), "a whole number, 1 or more")


def rate(value: JSON) -> Iterator[Finding]:
    """Check a probability."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        yield Finding((), describe(value), "a number from 0 to 1")


def speed(value: JSON) -> Iterator[Finding]:
    """Check a speed factor; 0 is as fast as possible."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
        yield Finding((), describe(value), "a number, 0 or more")


def names(value: JSON) -> Iterator[Finding]:
    """Check one name or a list of names."""
    items = value if isinstance(value, list) else [value]
    if not items:
        yield Finding((), "an empty list", "a name or a list of names")
    for number, item in enumerate(items):
        if not isinstance(item, str) or not item:
            yield Finding((number,) if isinstance(value, list) else (), describe(item), "a name or a list of names")


ANCHORS = ("handshake", "connect", "subscribe", "unsubscribe", "disconnect")
"""The steps of a CometD client that a timeline entry can start or end with."""


def anchor(value: JSON) -> Iterator[Finding]:
    """Check the start or the end of a timeline entry: a name, or the subscription to one channel."""
    if isinstance(value, dict):
        if len(value) != 1 or not value.keys() <= {"subscribe", "unsubscribe"}:
            yield Finding((), describe(value), "{subscribe: CHANNEL} or {unsubscribe: CHANNEL}")
            return
        for key, member in value.items():
            yield from _at(key, subscription(member))
    else:
        yield from name(value)


def anchors(value: JSON) -> Iterator[Finding]:
    """Check one start or end of a timeline entry, or a list of them."""
    if not isinstance(value, list):
        yield from anchor(value)
        return
    if not value:
        yield Finding((), "an empty list", "a name or a list of names")
    for number, item in enumerate(value):
        yield from _at(number, anchor(item))


def name(value: JSON) -> Iterator[Finding]:
    """Check a name: one line of text."""
    if not isinstance(value, str) or not re.fullmatch(NAME, value):
        yield Finding((), describe(value), "a name: one line of text")
    yield from plain(value)


def method(value: JSON) -> Iterator[Finding]:
    """Check an HTTP method."""
    if not isinstance(value, str) or not _METHOD.fullmatch(value):
        yield Finding((), describe(value), "an HTTP method such as GET or POST")


def base64_text(value: JSON) -> Iterator[Finding]:
    """Check bytes in Base64."""
    try:
        base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        yield Finding((), describe(value), "bytes in Base64")


def cookie(value: JSON) -> Iterator[Finding]:
    """Check the name of a cookie."""
    if not isinstance(value, str) or not re.fullmatch(FIELD_NAME, value):
        yield Finding((), describe(value), "the name of a cookie, or none")


def date_time(value: JSON) -> Iterator[Finding]:
    """Check a date and time in ISO 8601."""
    try:
        datetime.fromisoformat(value if isinstance(value, str) else "?")
    except ValueError:
        yield Finding((), describe(value), "a time such as 2026-11-23T10:00:00Z")


def pointer(value: JSON) -> Iterator[Finding]:
    """Check a JSON Pointer."""
    try:
        parse_pointer(value if isinstance(value, str) else "?")
    except ValueError:
        yield Finding((), describe(value), "a JSON Pointer such as /referenceId")


def endpoint(value: JSON) -> Iterator[Finding]:
    """Check the path of the CometD server."""
    if not isinstance(value, str) or not value.startswith("/") or "?" in value:
        yield Finding((), describe(value), "a path such as /api/v2/notifications")


def seed(value: JSON) -> Iterator[Finding]:
    """Check a seed: text or a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        yield Finding((), describe(value), "text or a whole number")


def origins(value: JSON) -> Iterator[Finding]:
    """Check one origin, or a list of them."""
    listed = value if isinstance(value, list) else [value]
    for number, one in enumerate(listed):
        if not isinstance(one, str) or not is_origin(one):
            path = (number,) if isinstance(value, list) else ()
            yield Finding(path, describe(one), "an origin without a path, such as http://localhost:3000, or * for any")
    if not listed:
        yield Finding((), describe(value), "at least one origin")


def event_choice(value: JSON) -> Iterator[Finding]:
    """Check a selection of events: all (true), one by its number from 1, or those on a channel."""
    if value is True or (isinstance(value, int) and value >= 1):
        return
    if isinstance(value, str) and _CHANNEL.match(value):
        return
    yield Finding((), describe(value), "true, the number of an event from 1, or a channel")


def meta_channel(value: JSON) -> Iterator[Finding]:
    """Check a meta channel of Bayeux 1.0 §5."""
    if value not in META_CHANNELS:
        yield Finding((), describe(value), " or ".join(META_CHANNELS), near(str(value), META_CHANNELS))


def batch(value: JSON) -> Iterator[Finding]:
    """Check the name of a batch."""
    if isinstance(value, bool):
        yield Finding((), describe(value), "the name of a batch")
    else:
        yield from name(value)


def or_template(check: FieldCheck) -> FieldCheck:
    """Return a check that also accepts a template or an `$id`, whose value is checked when it is rendered."""

    def run(value: JSON) -> Iterator[Finding]:
        if marker_of(value) is not None:
            yield from check_markers(value, frozenset({"$t", "$id"}))
        else:
            yield from check(value)

    return run


def header_value(value: JSON) -> Iterator[Finding]:
    """Check the value of a header field, or the list of values of a repeated field."""
    items = value if isinstance(value, list) and value else [value]
    for number, item in enumerate(items):
        findings = or_template(text_value)(item)
        yield from _at(number, findings) if isinstance(value, list) else findings
        if isinstance(item, str):
            yield from header_line(item)


def own_header_value(value: JSON) -> Iterator[Finding]:
    """Check the value of a header field of one reply; null leaves out the field of `reply_headers`."""
    if value is not None:
        yield from header_value(value)


def header_line(value: JSON) -> Iterator[Finding]:
    """Check one header value: no control characters, which could end the field or the header section."""
    if not isinstance(value, str) or CONTROL_CHARACTER.search(value):
        yield Finding((), describe(value), "one line of text")


def header_names(value: JSON) -> Iterator[Finding]:
    """Check the names of header fields: tokens (RFC 9110 §5.1)."""
    for name in value if isinstance(value, dict) else ():
        if not _FIELD_NAME.fullmatch(name):
            yield Finding((name,), describe(name), "the name of a header field", at_key=True)


def correlation_source(value: JSON) -> Iterator[Finding]:
    """Check the location of the value that a request shares with an event."""
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(item, str) or not re.fullmatch(CORRELATION_SOURCE, item):
            path = (number,) if isinstance(value, list) else ()
            yield Finding(path, describe(item), "path-tail, map-keys, query:NAME or body:POINTER")
