"""Bodies: what kind a body is, and what of it may stand in the journal.

Bayeux messages are found by shape, in a POST, in a form, in the query of callback-polling and in its wrapped
reply. What can't be redacted safely (pages, XML, binary, JSON that would not survive) is left out, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from cometreel.bayeux import looks_like_bayeux
from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode
from cometreel.recording.policy import PolicyRule, Treatment
from cometreel.recording.redaction import RedactionMarks, Redactor
from cometreel.scenario.findings import can_be_written

__all__ = ["LARGEST", "ParsedBody", "parse", "parse_frame", "parse_query", "redact"]

LARGEST = 16 * 1024 * 1024
"""The largest body, in bytes, that is looked into."""

_DEEPEST = 64
"""JSON with no more brackets than this can't be nested too deeply for YAML."""

_NEVER_WHOLE = "never whole: streamed by the proxy (stream_large_bodies), or not kept in the file"
_CALLBACK = re.compile(rb"^\s*(?:/\*\*/)?\s*[\w$.\[\]]{1,200}\s*\((.*)\)\s*;?\s*$", re.DOTALL)
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """A body as it came, by kind; `reason` says why one is left out and never shows values."""

    kind: Literal["none", "bayeux", "json", "form", "text", "omitted"]
    value: JSON = None
    reason: str = ""


_NONE = ParsedBody("none")


def parse(body: bytes | None, content_type: str, *, bayeux: bool = False, callback: bool = False) -> ParsedBody:
    """Tell what a body is. `bayeux`: it answers Bayeux messages; `callback`: it may be wrapped in a function call."""
    if body is None:
        return ParsedBody("omitted", reason=_NEVER_WHOLE)
    if not body:
        return _NONE
    if len(body) > LARGEST:
        return ParsedBody("omitted", reason=f"larger than {LARGEST} bytes")
    kind = content_type.partition(";")[0].strip().lower()
    if callback and (wrapped := _CALLBACK.match(body)):
        body = wrapped[1]
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"[") or "json" in kind:
        return _json(body, bayeux)
    if kind == _FORM:
        return _form(body)
    if kind.startswith("text/plain") or not kind:
        return _plain(body, kind)
    return _left_out(kind, body)


def parse_query(query: str) -> list[JSONObject]:
    """Find the Bayeux messages in the query of callback-polling (Bayeux 1.0 §7.2); empty if there are none."""
    if "message=" not in query:
        return []
    return _messages_of(parse_qsl(query, errors="backslashreplace"))


def parse_frame(frame: str | bytes, *, bayeux: bool) -> ParsedBody:
    """Tell what a WebSocket message is."""
    if not frame:
        return _NONE
    if len(frame) > LARGEST:
        return ParsedBody("omitted", reason=f"larger than {LARGEST} bytes")
    if frame[:64].lstrip()[:1] in ("{", "[", b"{", b"["):
        return _json(frame, bayeux)
    return _left_out("a text frame" if isinstance(frame, str) else "a binary frame", frame)


def redact(parsed: ParsedBody, redactor: Redactor) -> JSONObject:
    """Give the fields of a journal line for a body."""
    if parsed.kind == "none":
        return {}
    if parsed.kind == "omitted":
        return {"omitted": parsed.reason}
    if parsed.kind == "text":
        text = str(parsed.value)
        if text.strip() in redactor.policy.literal_texts:
            return {"body": text}
        return {"omitted": f"text that can't be redacted safely, {len(text)} characters"}
    try:
        value, marks = _redacted(parsed, redactor)
    except RecursionError:
        return {"omitted": "JSON that is nested too deeply"}
    fields: JSONObject = {parsed.kind: value}
    line = marks.line()
    if line:
        fields["hid"] = line
    return fields


def _redacted(parsed: ParsedBody, redactor: Redactor) -> tuple[JSON, RedactionMarks]:
    if parsed.kind == "bayeux":
        messages = parsed.value if isinstance(parsed.value, list) else [parsed.value]
        found, marks = redactor.messages([message for message in messages if isinstance(message, dict)])
        return list(found), marks
    if parsed.kind == "form":
        return _redacted_form(parsed.value, redactor)
    return redactor.json(parsed.value)


def _redacted_form(value: JSON, redactor: Redactor) -> tuple[JSON, RedactionMarks]:
    """A field that the policy doesn't name may hold anything, so it counts as personal."""
    marks, made = RedactionMarks(), list[JSON]()
    for pair in value if isinstance(value, list) else []:
        if isinstance(pair, list) and len(pair) == 2:
            name, text = str(pair[0]), str(pair[1])
            rule = redactor.policy.query(name) or PolicyRule(Treatment.TREE)
            shown, what = redactor.by_rule(rule, text)
            (marks.secret if what == "secret" else marks.personal).append(f"/{redactor.key(name)}")
            made.append([redactor.key(name), shown])
    return made, marks


def _json(body: str | bytes, bayeux: bool) -> ParsedBody:
    try:
        value = decode(body)
    except NotJSON as error:
        twice = "twice" in str(error)
        return ParsedBody(
            "omitted", reason="JSON with a key twice" if twice else "not JSON, or JSON that would not survive"
        )
    if _may_not_survive(body) and not can_be_written(value):
        return ParsedBody("omitted", reason="JSON that a scenario can't hold: nested too deeply, or half a character")
    messages = _may_be_messages(body) and (looks_like_bayeux(value) or (bayeux and _has_channels(value)))
    return ParsedBody("bayeux" if messages else "json", value)


def _may_be_messages(body: str | bytes) -> bool:
    """Look at the text for the one word that all Bayeux messages hold, which spares most bodies a closer look."""
    return "channel" in body if isinstance(body, str) else b"channel" in body


def _may_not_survive(body: str | bytes) -> bool:
    """Look at the text for what is worth a closer look: deep nesting, or halves of characters written as escapes."""
    text = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return text.count(b"{") + text.count(b"[") > _DEEPEST or b"\\ud" in text or b"\\uD" in text


def _has_channels(value: JSON) -> bool:
    messages = value if isinstance(value, list) else [value]
    return all(isinstance(message, dict) and isinstance(message.get("channel"), str) for message in messages)


def _form(body: bytes) -> ParsedBody:
    pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, errors="backslashreplace")
    messages = _messages_of(pairs)
    if messages:
        return ParsedBody("bayeux", list(messages))
    return ParsedBody("form", [[name, value] for name, value in pairs])


def _messages_of(pairs: list[tuple[str, str]]) -> list[JSONObject]:
    """The messages in the `message` parameters of a form or a query (Bayeux 1.0 §6.1)."""
    found: list[JSONObject] = []
    for name, text in pairs:
        if name != "message":
            continue
        try:
            value = decode(text)
        except NotJSON:
            return []
        if not looks_like_bayeux(value):
            return []
        found += [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]
    return found


def _plain(body: bytes, kind: str) -> ParsedBody:
    try:
        return ParsedBody("text", body.decode())
    except UnicodeDecodeError:
        return _left_out(kind or "unknown", body)


def _left_out(kind: str, body: str | bytes) -> ParsedBody:
    shown = kind if re.fullmatch(r"[\w.+/ -]{1,60}", kind) else "unknown"
    return ParsedBody("omitted", reason=f"not JSON: {shown}, {len(body)} bytes")
