"""Redacts the events of a journal again, with another policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from cometreel.jsonvalue import encode
from cometreel.recording.header_redaction import HeaderRedactor
from cometreel.recording.journal_events import RecordedBody, RedactedPaths, WireEvent, event_of
from cometreel.recording.recorded_bodies import ParsedBody, redact
from cometreel.recording.redaction import Redactor
from cometreel.wire import Headers

__all__ = ["redact_events"]


def redact_events(events: Iterable[WireEvent], redactor: Redactor) -> Iterator[WireEvent]:
    """Yield the events, redacted with another policy; values that are replaced already stay replaced."""
    head_redactor = HeaderRedactor(redactor)
    for event in events:
        redacted = replace(event, body=_redact_body(event.body, redactor))
        if event.path:
            url = f"{event.path}?{event.query}" if event.query else event.path
            head = event_of(
                {"t": 0, "kind": "request", **head_redactor.request(event.method, url, Headers())}, event.line
            )
            redacted = replace(
                redacted,
                path=head.path,
                query=head.query,
                hidden_path={**event.hidden_path, **head.hidden_path},
                hidden_query={**event.hidden_query, **head.hidden_query},
            )
        yield redacted


def _redact_body(body: RecordedBody, redactor: Redactor) -> RecordedBody:
    if body.kind not in ("bayeux", "json"):
        return body
    client_ids = [message.get("clientId") for message in body.messages]
    redacted = event_of({"t": 0, "kind": "reply", **redact(ParsedBody(body.kind, body.value), redactor)}, 0).body
    value = redacted.value
    messages = [message for message in value if isinstance(message, dict)] if isinstance(value, list) else []
    for message, client_id in zip(messages, client_ids, strict=False):
        if client_id is not None:  # a token already, which must stay equal to the one of its session
            message["clientId"] = client_id
    before, now = body.hidden, redacted.hidden
    hidden = RedactedPaths(
        tuple(dict.fromkeys([*before.secret, *now.secret])),
        tuple(dict.fromkeys([*before.personal, *now.personal])),
        {**before.identifiers, **now.identifiers},
    )
    return replace(redacted, encoded=encode(value), hidden=hidden, digest=body.digest)
