"""Where YAML ends: functions that answer a request before the exchanges are looked at.

A responder is registered on a backend, never named by a scenario, so that loading a scenario can't run code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeAlias

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import PublishQuestion, Question

__all__ = ["Answer", "Asked", "Push", "Responder", "asked_by"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a live client asked, ready to be read."""

    method: str
    """The HTTP method, or `PUBLISH` for a Bayeux publish."""
    path: str
    """The path, normalised as for matching; the channel of a publish."""
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    """By lower-case name; of a repeated field the first."""
    body: JSON
    """The JSON that was sent; None if there was none, or it wasn't JSON."""
    text: str
    """The body as text."""
    user: str | None
    """Who is logged in, if anybody."""
    role: str | None
    """Which recorded session the live one plays, if it is cast."""
    session: dict[str, JSON]
    """The session's own values (`session.name` in templates). A responder may change them."""


@dataclass(frozen=True, slots=True)
class Push:
    """A notification that follows the reply."""

    channel: str
    data: JSON
    after_seconds: float = 0.0
    """Since the request, as recorded; the speed scales it."""
    ext: JSONObject | None = None
    batch: str | None = None
    """Notifications due together under one name are delivered together."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a responder answers. `body` is sent as JSON; `content` as it is."""

    body: JSON = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    after_seconds: float = 0.0
    events: Sequence[Push] = ()


def asked_by(question: Question, user: str | None, role: str | None, session: dict[str, JSON]) -> Asked:
    """Put a question into the form in which responders read it; the body is theirs, equal requests share ours."""
    if isinstance(question, PublishQuestion):
        return Asked("PUBLISH", question.channel, {}, {}, question.data, "", user, role, session)
    query = {name: value if isinstance(value, list) else [value] for name, value in question.query.items()}
    texts = {name: tuple(str(value) for value in values) for name, values in query.items()}
    headers: dict[str, str] = {}
    for name, value in question.headers:
        headers.setdefault(name.lower(), value)
    text = question.content.decode(errors="replace")
    body = deepcopy(question.body)
    return Asked(question.method, str(question.path), texts, headers, body, text, user, role, session)


Responder: TypeAlias = "Callable[[Asked], Answer | None]"
"""Answers, or returns None to leave the request to the next responder or to the exchanges."""
