"""Redacting a journal once more, under another policy and with the same key. In memory; the journal stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from cometreel.jsonvalue import JSON
from cometreel.recording.header_redaction import HeaderRedactor
from cometreel.recording.journal_events import RecordedBody, RedactedPaths, WireEvent, event_of
from cometreel.recording.recorded_bodies import ParsedBody, redact
from cometreel.recording.redaction import Redactor
from cometreel.wire import Headers

__all__ = ["redacted_again"]


def redacted_again(events: Iterable[WireEvent], redactor: Redactor) -> Iterator[WireEvent]:
    """Redact events that were redacted before; what was hidden stays hidden."""
    heads = HeaderRedactor(redactor)
    for event in events:
        made = replace(event, body=_body(event.body, redactor))
        if event.path:
            url = f"{event.path}?{event.query}" if event.query else event.path
            head = event_of({"t": 0, "kind": "request", **heads.request(event.method, url, Headers())}, event.line)
            made = replace(
                made,
                path=head.path,
                query=head.query,
                hidden_path={**event.hidden_path, **head.hidden_path},
                hidden_query={**event.hidden_query, **head.hidden_query},
            )
        yield made


def _body(body: RecordedBody, redactor: Redactor) -> RecordedBody:
    if body.kind not in ("bayeux", "json"):
        return body
    kept = _clients(body)
    made = event_of({"t": 0, "kind": "reply", **redact(ParsedBody(body.kind, body.value), redactor)}, 0).body
    _put_back(made, kept)
    before, now = body.hidden, made.hidden
    hidden = RedactedPaths(
        tuple(dict.fromkeys([*before.secret, *now.secret])),
        tuple(dict.fromkeys([*before.personal, *now.personal])),
        {**before.identifiers, **now.identifiers},
    )
    return replace(made, hidden=hidden)


def _clients(body: RecordedBody) -> list[JSON]:
    return [message.get("clientId") for message in body.messages]


def _put_back(body: RecordedBody, clients: list[JSON]) -> None:
    """A clientId is a token already; it must stay the one that its cookie was seen with."""
    for message, client in zip(body.messages, clients, strict=True):
        if client is not None:
            message["clientId"] = client
