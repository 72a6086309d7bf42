"""What can be known of a compiled value before it is rendered: its literal part, and what its templates read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TypeAlias

from cometreel.jsonvalue import JSON
from cometreel.scenario import EventSpec, PublishReplySpec, ReplySpec
from cometreel.scenario.values import Fixed, Items, Members, Templated, Value

__all__ = ["literal_of", "reads"]

Spec: TypeAlias = ReplySpec | PublishReplySpec | EventSpec


def literal_of(value: Value | None) -> JSON:
    """Return a value as written, with null wherever something is filled in; members with such a key are left out."""
    if isinstance(value, Fixed):
        return value.value
    if isinstance(value, Members):
        return {str(key.value): literal_of(member) for key, member in value.members if isinstance(key, Fixed)}
    if isinstance(value, Items) and not value.joined:
        return [literal_of(item) for item in value.items]
    return None


def reads(spec: Spec, name: str) -> bool:
    """Tell whether a template anywhere in a reply or an event reads this name."""
    return any(name in names for field in fields(spec) for names in _names(getattr(spec, field.name)))


def _names(part: object) -> Iterator[frozenset[str]]:
    if isinstance(part, Templated):
        yield part.template.names
    elif isinstance(part, Members):
        yield from _names(part.members)
    elif isinstance(part, Items):
        yield from _names(part.items)
    elif isinstance(part, (tuple, list)):
        for item in part:
            yield from _names(item)
