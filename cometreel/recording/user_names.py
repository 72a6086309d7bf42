"""Gives a user one name in a journal: replaces the name where it was an owner before it was known as a user.

The recorder replaces the name of a user from the first event on that has it as such. The key of the journal shows which
earlier values have the same pseudonym.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cometreel.jsonvalue import JSON, encode
from cometreel.recording.journal_events import WireEvent
from cometreel.recording.pseudonyms import Pseudonyms
from cometreel.recording.redaction import is_login_name, refers_to_user
from cometreel.recording.scenario_values import value_at
from cometreel.recording.secret import Secret

__all__ = ["with_one_name_per_user"]


def with_one_name_per_user(events: Sequence[WireEvent], key: Secret) -> list[WireEvent]:
    """Return the events with the pseudonyms of users in place of their names."""
    first: dict[str, int] = {}
    for number, event in enumerate(events):
        for name in _users_of(event):
            first.setdefault(name, number)
    last = max(first.values(), default=0)
    pseudonyms = Pseudonyms(key)

    def with_pseudonyms(value: JSON, name: str) -> JSON:
        if isinstance(value, dict):
            return {member: with_pseudonyms(item, member) for member, item in value.items()}
        if isinstance(value, list):
            return [with_pseudonyms(item, name) for item in value]
        if not isinstance(value, str) or not value or not _may_be_user(name):
            return value
        pseudonym = pseudonyms.same_shape(value)
        return pseudonym if pseudonym in first else value

    def renamed(event: WireEvent) -> WireEvent:
        value = event.body.value
        found = with_pseudonyms(value, "")
        return event if found == value else replace(event, body=replace(event.body, encoded=encode(found)))

    return [*map(renamed, events[:last]), *events[last:]]


def _users_of(event: WireEvent) -> Iterator[str]:
    if "user" in event.identity:
        yield event.identity["user"]
    for pointer in event.body.hidden.personal:
        if is_login_name(pointer.rpartition("/")[2]):
            value = value_at(event.body.value, pointer)
            if isinstance(value, str):
                yield value


def _may_be_user(name: str) -> bool:
    return refers_to_user(name) or name.lower() == "assignedto"
