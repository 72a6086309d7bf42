"""Classifies and redacts bodies for the journal.

Bayeux messages are detected by their shape: in JSON bodies, in forms, and in the query and the JSONP reply of
callback-polling. Bodies that can't be redacted safely (HTML, XML, binary data, JSON that can't be stored) are omitted
with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from cometreel.bayeux import looks_like_bayeux
from cometreel.http_fields import FORM_TYPE, media_type
from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, decode_lenient
from cometreel.recording.policy import PolicyRule, Treatment
from cometreel.recording.redacted_texts import is_plain_word, redact_text
from cometreel.recording.redaction import RedactionMarks, Redactor
from cometreel.scenario.findings import can_be_written
from cometreel.scenario.normalized_request import form_of
from cometreel.secret_names import member_name
from cometreel.wire import charset_of

__all__ = ["MAX_BODY", "TOO_LARGE", "ParsedBody", "may_be_messages", "parse", "parse_frame", "parse_query", "redact"]

MAX_BODY = 16 * 1024 * 1024
"""The largest body that is parsed, in bytes."""

TOO_LARGE = f"larger than {MAX_BODY} bytes"

_SAFE_DEPTH = 64
"""JSON with no more brackets than this is not nested too deeply for YAML."""

_REASONS = {
    "twice": "JSON with a duplicate key",
    "out of range": "JSON that can't be stored",
    "": "invalid JSON, or JSON that can't be stored",
}
_NOT_AVAILABLE = "not available: the proxy streamed it (stream_large_bodies), or the imported file doesn't contain it"
_CALLBACK = re.compile(rb"^\s*(?:/\*\*/)?\s*[\w$.\[\]]{1,200}\s*\((.*)\)\s*;?\s*$", re.DOTALL)
_TEXT = re.compile(r"$|text/(?!html)|application/(?:[\w.+-]*xml|graphql|yaml|x-yaml|sql|javascript)")
"""The types of text in requests."""

_MAX_TEXT = 256 * 1024
_MESSAGE_FIELD = b"message="
"""The start of the form of faye's cross-origin transport, which browsers send as text/plain."""
_UNSUPPORTED = "nested too deeply, or a lone surrogate"


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """A body before redaction. `reason` is the reason of an omission, also of a part, and contains no values.

    `in_form` is true for Bayeux messages in the `message` fields of a form.
    """

    kind: Literal["none", "bayeux", "json", "form", "pieces", "text", "omitted"]
    value: JSON = None
    reason: str = ""
    in_form: bool = False


_NONE = ParsedBody("none")


def parse(
    body: bytes | None,
    content_type: str,
    *,
    bayeux: bool = False,
    callback: bool = False,
    request: bool = False,
    missing: str = "",
) -> ParsedBody:
    """Classify a body. `bayeux`: it replies to Bayeux messages; `callback`: it may be JSONP.

    Of a `request`, tolerant JSON and text are kept too, because a replay compares them. `missing` is the reason if
    there is no body.
    """
    if body is None:
        return ParsedBody("omitted", reason=missing or _NOT_AVAILABLE)
    if not body:
        return _NONE
    if len(body) > MAX_BODY:
        return ParsedBody("omitted", reason=TOO_LARGE)
    kind = media_type(content_type)
    body = _as_utf8(body, content_type)
    if callback and (wrapped := _CALLBACK.match(body)):
        body = wrapped[1]
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"[") or "json" in kind:
        found = _json(body, bayeux, lenient=request)
        if found.kind != "omitted" or not (request and kind and _TEXT.match(kind)):
            return found
    if kind == FORM_TYPE or body.startswith(_MESSAGE_FIELD):
        return _form(body, kind, charset_of(content_type))
    if request and _TEXT.match(kind) and len(body) <= _MAX_TEXT:
        return _pieces(body, kind)
    if kind.startswith("text/plain") or not kind:
        return _plain(body, kind)
    return _omitted(kind, body)


def parse_query(query: str) -> list[JSONObject]:
    """Return the Bayeux messages in the query of callback-polling (Bayeux 1.0 §7.2); empty if there are none."""
    if "message=" not in query:
        return []
    return _messages_of(parse_qsl(query, errors="backslashreplace"))


def parse_frame(frame: str | bytes, *, bayeux: bool) -> ParsedBody:
    """Classify a WebSocket message."""
    if not frame:
        return _NONE
    if len(frame) > MAX_BODY:
        return ParsedBody("omitted", reason=TOO_LARGE)
    if frame[:64].lstrip()[:1] in ("{", "[", b"{", b"["):
        return _json(frame, bayeux)
    return _omitted("a text frame" if isinstance(frame, str) else "a binary frame", frame)


def redact(parsed: ParsedBody, redactor: Redactor) -> JSONObject:
    """Return the members of a journal line for a body."""
    if parsed.kind == "none":
        return {}
    if parsed.kind == "omitted":
        return {"omitted": parsed.reason}
    text = str(parsed.value) if parsed.kind in ("text", "pieces") else ""
    if text and text.strip() in redactor.policy.literal_texts:
        return {"body": text}
    if parsed.kind == "text":
        return {"omitted": f"a text that can't be redacted safely, {len(text)} characters"}
    try:
        value, marks = _redacted(parsed, redactor)
    except RecursionError:
        return {"omitted": "JSON that is nested too deeply"}
    fields: JSONObject = {parsed.kind: value}
    if parsed.in_form:
        fields["in-form"] = True
    if parsed.reason:
        fields["partly"] = parsed.reason
    hidden = marks.to_json()
    if hidden:
        fields["hid"] = hidden
    return fields


def _redacted(parsed: ParsedBody, redactor: Redactor) -> tuple[JSON, RedactionMarks]:
    if parsed.kind == "bayeux":
        messages = parsed.value if isinstance(parsed.value, list) else [parsed.value]
        found, marks = redactor.redact_messages([message for message in messages if isinstance(message, dict)])
        return list(found), marks
    if parsed.kind == "form":
        return _redacted_form(parsed.value, redactor)
    if parsed.kind == "pieces":
        pieces, marks = redact_text(str(parsed.value), redactor)
        return [*pieces], marks
    return redactor.redact_json(parsed.value)


def _redacted_form(value: JSON, redactor: Redactor) -> tuple[JSON, RedactionMarks]:
    """Redact a form. Fields without a rule are kept if they can't be personal data, such as `action=start`."""
    marks, fields = RedactionMarks(), list[JSON]()
    pairs = [pair for pair in value if isinstance(pair, list) and len(pair) == 2] if isinstance(value, list) else []
    members = {str(name): text for name, text in reversed(pairs)}
    for each in pairs:
        name, text = str(each[0]), str(each[1])
        members[name] = text  # of repeated fields, the last one before a value is its name
        rule = redactor.policy.query_rule(member_name(members, name))
        if rule is None and text and not is_plain_word(text):
            rule = PolicyRule(Treatment.TREE)
        redacted, replaced = redactor.by_rule(rule, text)
        if replaced:
            (marks.secret if replaced == "secret" else marks.personal).append(f"/{redactor.key(name)}")
        fields.append([redactor.key(name), redacted])
    return fields, marks


def _json(body: str | bytes, bayeux: bool, *, lenient: bool = False) -> ParsedBody:
    try:
        value = decode(body)
    except NotJSON as error:
        if lenient and (tolerated := _tolerated(body)) is not None:
            return tolerated
        return ParsedBody("omitted", reason=next(text for part, text in _REASONS.items() if part in str(error)))
    messages = may_be_messages(body) and (looks_like_bayeux(value) or (bayeux and _has_channels(value)))
    if not _needs_check(body) or can_be_written(value):
        return ParsedBody("bayeux" if messages else "json", value)
    kept = [message for message in value if can_be_written(message)] if messages and isinstance(value, list) else []
    if not kept:
        return ParsedBody("omitted", reason=f"JSON that can't be replayed: {_UNSUPPORTED}")
    number = len(value) - len(kept) if isinstance(value, list) else 0
    return ParsedBody("bayeux", kept, f"{number} of {number + len(kept)} messages can't be replayed: {_UNSUPPORTED}")


def _tolerated(body: str | bytes) -> ParsedBody | None:
    """Return JSON with trailing commas or comments, which tolerant servers read; None for anything else."""
    try:
        value = decode_lenient(body)
    except NotJSON:
        return None
    return None if looks_like_bayeux(value) or not can_be_written(value) else ParsedBody("json", value)


def may_be_messages(body: str | bytes) -> bool:
    """Return True if a body contains the word that all Bayeux messages contain; a fast check."""
    return "channel" in body if isinstance(body, str) else b"channel" in body


def _needs_check(body: str | bytes) -> bool:
    """Return True if a body has many brackets or an escaped surrogate; a fast check."""
    text = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return text.count(b"{") + text.count(b"[") > _SAFE_DEPTH or b"\\ud" in text or b"\\uD" in text


def _has_channels(value: JSON) -> bool:
    messages = value if isinstance(value, list) else [value]
    return all(isinstance(message, dict) and isinstance(message.get("channel"), str) for message in messages)


def _form(body: bytes, kind: str, charset: str) -> ParsedBody:
    pairs = [(name, str(each)) for name, value in form_of(body, charset).items() for each in _values(value)]
    messages = _messages_of(pairs)
    if messages:
        return ParsedBody("bayeux", list(messages), in_form=True)
    return ParsedBody("form", [[name, value] for name, value in pairs]) if kind == FORM_TYPE else _plain(body, kind)


def _values(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else [value]


def _as_utf8(body: bytes, content_type: str) -> bytes:
    """Return a text in the character set that Content-Type declares as UTF-8; unchanged if it isn't such a text."""
    charset = charset_of(content_type)
    try:
        return body.decode(charset).encode() if charset else body
    except UnicodeError:
        return body


def _messages_of(pairs: list[tuple[str, str]]) -> list[JSONObject]:
    """Return the messages in the `message` parameters of a form or a query (Bayeux 1.0 §6.1)."""
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


def _pieces(body: bytes, kind: str) -> ParsedBody:
    try:
        return ParsedBody("pieces", body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _omitted(kind or "unknown", body)


def _plain(body: bytes, kind: str) -> ParsedBody:
    try:
        return ParsedBody("text", body.decode())
    except UnicodeDecodeError:
        return _omitted(kind or "unknown", body)


def _omitted(kind: str, body: str | bytes) -> ParsedBody:
    safe_kind = kind if re.fullmatch(r"[\w.+/ -]{1,60}", kind) else "unknown"
    return ParsedBody("omitted", reason=f"not JSON: {safe_kind}, {len(body)} bytes")
