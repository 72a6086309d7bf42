"""Finds the value that names the user of each recorded session: in the replies to `GET …/me`, or in its requests."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote

from cometreel.jsonvalue import JSON
from cometreel.recording.journal_events import WireEvent
from cometreel.recording.transcript import RecordedPublish, Transcript
from cometreel.scenario.json_pointer import escape, find

__all__ = ["ids_in_requests", "sent_by", "user_ids"]

_NAMES_USER = re.compile(
    r"(agent|user|employee|login|operator|person)[\w-]*(id|name|key|number|login)?$", re.IGNORECASE
)
_IS_ID = re.compile(r"(id|key|number|login)$", re.IGNORECASE)
_SMALLEST = 100
"""A number is an id from here on, if its name says so; `agentCount: 3` is none."""
_FEWEST = 2
"""A value under any other name must be sent this often by each session."""


def user_ids(transcript: Transcript) -> dict[int, tuple[str, str]]:
    """Return the user id and name of each session from the replies to `GET …/me`."""
    found: dict[int, tuple[str, str]] = {}
    for call in transcript.calls:
        if call.request.method == "GET" and call.request.path.rstrip("/").endswith("/me"):
            user, name = (_first(call.reply.body.value, pointer) for pointer in ("/user/id", "/user/userName"))
            if user:
                found.setdefault(call.session, (user, name))
    return found


def ids_in_requests(transcript: Transcript) -> Mapping[int, str]:
    """Return the literal by which the requests of each session name it, as `agentId`; empty if there is none.

    Each session sends exactly one value under this name, and no other session sends the same one under this name.
    """
    sent: dict[str, dict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    sessions = {call.session for call in transcript.calls if call.session >= 0}
    for session, name, value in _literals(transcript):
        sent[name][session][value] += 1
    names = [
        name for name, by_session in sent.items() if len(sessions) > 1 and _tells_apart(name, by_session, sessions)
    ]
    if not names:
        return {}
    best = min(
        names, key=lambda name: (not _NAMES_USER.search(name), -sum(map(Counter.total, sent[name].values())), name)
    )
    return {session: next(iter(values)) for session, values in sent[best].items()}


def sent_by(transcript: Transcript) -> Mapping[str, set[int]]:
    """Return the sessions whose requests contain each literal: as a path segment, in the query or in the body."""
    found: dict[str, set[int]] = defaultdict(set)
    for session, _, value in _literals(transcript):
        found[value].add(session)
    for call in transcript.calls:
        for segment in call.request.path.split("/"):
            found[unquote(segment)].add(call.session)
    return found


def _tells_apart(name: str, by_session: Mapping[int, Counter[str]], sessions: set[int]) -> bool:
    if by_session.keys() != sessions or any(len(values) > 1 for values in by_session.values()):
        return False
    fewest = 1 if _NAMES_USER.search(name) else _FEWEST
    values = [value for values in by_session.values() for value in values]
    return len(set(values)) == len(values) and all(values.total() >= fewest for values in by_session.values())


def _literals(transcript: Transcript) -> Iterator[tuple[int, str, str]]:
    """Yield session, name and value of the strings and numeric ids in requests that were not replaced."""
    for call in transcript.calls:
        if call.session >= 0:
            yield from ((call.session, name, value) for name, value in _of_request(call.request))
    for publish in transcript.publishes:
        yield from ((publish.session, name, value) for name, value in _of_publish(publish) if publish.session >= 0)


def _of_request(event: WireEvent) -> Iterator[tuple[str, str]]:
    for name, value in parse_qsl(event.query):
        if name not in event.hidden_query:
            yield name, value
    if event.body.kind == "json":
        yield from _strings(event.body.value, "", set(event.body.hidden.pointers))


def _of_publish(publish: RecordedPublish) -> Iterator[tuple[str, str]]:
    yield from _strings(publish.data, f"/{publish.number}/data", set(publish.hidden.pointers))


def _strings(value: JSON, pointer: str, hidden: set[str], name: str = "") -> Iterator[tuple[str, str]]:
    if pointer in hidden:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, f"{pointer}/{escape(key)}", hidden, key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{number}", hidden, name)
    elif isinstance(value, str) and value and name:
        yield name, value
    elif isinstance(value, int) and abs(value) >= _SMALLEST and _IS_ID.search(name):
        yield name, str(value)


def _first(value: JSON, pointer: str) -> str:
    return next((item for _, item in find(value, pointer) if isinstance(item, str)), "")
