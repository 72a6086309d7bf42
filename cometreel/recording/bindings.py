"""Finds the rules of `session.bind`: secret values that replies hand out and by which later requests are recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cometreel.recording.identities import Identities
from cometreel.recording.journal_events import WireEvent
from cometreel.scenario import BindBlock
from cometreel.scenario.runtime_expressions import parse_expression
from cometreel.scenario.value_markers import RESERVED_NAMES

__all__ = ["RecordedBinding", "find_bindings", "names_by_token"]

_PATH = "$request.path."


@dataclass(slots=True)
class RecordedBinding:
    """One rule: the place in replies, the places in requests, and the tokens of the values that were handed out."""

    name: str
    source: str
    places: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def to_block(self) -> BindBlock:
        """Return the rule as a block of a scenario."""
        places = dict.fromkeys(f"{_PATH}{self.name}" if place.startswith(_PATH) else place for place in self.places)
        named = {} if parse_expression(self.source).last_token == self.name else {"name": self.name}
        return BindBlock.model_validate({**named, "from": self.source, "in": [*places]})


def find_bindings(events: Sequence[WireEvent], identities: Identities) -> list[RecordedBinding]:
    """Return the rules that join requests which carry such a value to the session of its reply.

    `identities` are the sessions without such rules; a rule that changes none of them is left out.
    """
    handed_out: dict[str, tuple[str, str]] = {}  # source and flow, by token
    carried: dict[str, list[tuple[str, str]]] = {}  # places and flows, by token
    for event in events:
        for place, token in event.values.items():
            if event.kind == "reply":
                handed_out.setdefault(token, (place, event.flow))
            elif token in handed_out:
                carried.setdefault(token, []).append((place, event.flow))
    found: dict[str, RecordedBinding] = {}
    needed: set[str] = set()
    for token, uses in carried.items():
        source, flow = handed_out[token]
        rule = found.setdefault(source, RecordedBinding("", source))
        rule.tokens.add(token)
        rule.places += [place for place, _ in uses]
        if any(_is_apart(identities, flow, other) for _, other in uses):
            needed.add(source)
    return _named(found[source] for source in found if source in needed)


def _is_apart(identities: Identities, one: str, other: str) -> bool:
    return identities.is_anonymous(other) or identities.session(one) != identities.session(other)


def _named(rules: Iterable[RecordedBinding]) -> list[RecordedBinding]:
    """Name the rules after the last part of their places; names are unique and can be used in templates."""
    named: list[RecordedBinding] = []
    for rule in rules:
        base = re.sub(r"\W", "_", parse_expression(rule.source).last_token)
        base = base if re.match(r"[A-Za-z_]", base) else f"value_{base}"
        taken = RESERVED_NAMES | {other.name for other in named}
        rule.name = next(name for name in _candidates(base) if name not in taken)
        named.append(rule)
    return named


def _candidates(base: str) -> Iterator[str]:
    yield base
    number = 2
    while True:
        yield f"{base}_{number}"
        number += 1


def names_by_token(rules: Iterable[RecordedBinding]) -> Mapping[str, str]:
    """Return the name of the rule of each token."""
    return {token: rule.name for rule in rules for token in rule.tokens}
