"""Matchers: what a request is compared with, value by value. Each reads like the YAML that it came from.

A comparison never answers with a bare no: it collects what agreed, what differed, what was captured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cometreel.jsonvalue import JSON, same
from cometreel.masking import HIDDEN, is_hidden_at, masked
from cometreel.scenario.json_pointer import escape
from cometreel.scenario.yaml_writer import inline

from .markers import marker_of, unescaped

__all__ = ["MISSING", "Difference", "Matcher", "MatchContext", "matcher"]

_LONGEST = 200
MISSING = object()
"""What stands where the request has no value at all."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that kept a question from matching: where (JSON Pointer), what the scenario expects, what came."""

    where: str
    expected: str
    found: str


@dataclass(slots=True)
class MatchContext:
    """One comparison under way. `bound` are the session's `$id` bindings before it."""

    bound: Mapping[str, JSON] = field(default_factory=dict)
    agreed: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    captures: dict[str, JSON] = field(default_factory=dict)
    session_captures: dict[str, JSON] = field(default_factory=dict)
    ids: dict[str, JSON] = field(default_factory=dict)

    def differs(self, where: str, expected: object, found: object) -> None:
        """Note a difference."""
        self.differences.append(Difference(where, _short(repr(expected)), shown(found, where)))

    def branch(self) -> MatchContext:
        """A trial of one of several alternatives."""
        return MatchContext({**self.bound, **self.ids})

    def join(self, branch: MatchContext) -> None:
        """Take over what the alternative that matched has captured."""
        self.captures.update(branch.captures)
        self.session_captures.update(branch.session_captures)
        self.ids.update(branch.ids)


def shown(found: JSON | object, where: str) -> str:
    """A value of the request at a place of it, as YAML, shortened, and without secrets and personal data."""
    if found is MISSING:
        return "nothing"
    if is_hidden_at(where):
        return HIDDEN
    return _short(inline(masked(found, personal=True, query=where == "/query")))  # type: ignore[arg-type]  # not MISSING is JSON


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


class Matcher(Protocol):
    """One value to compare with."""

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Compare, and note in the trial what agreed, differed and was captured."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly this JSON value: `1` isn't `true`."""

    value: JSON

    def __repr__(self) -> str:
        return inline(self.value)

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Compare exactly; a difference inside an object or an array is told at its own place."""
        if found is not MISSING and same(self.value, found):  # type: ignore[arg-type]  # not MISSING is JSON
            trial.agreed.append(where)
        elif isinstance(self.value, dict) and isinstance(found, dict):
            _compare_members({key: Literal(member) for key, member in self.value.items()}, found, where, trial)
        elif isinstance(self.value, list) and isinstance(found, list):
            _compare_items([Literal(item) for item in self.value], found, where, trial)
        else:
            trial.differs(where, self, found)


@dataclass(frozen=True, slots=True, repr=False)
class ObjectOf:
    """An object with these members; with others too if `partial`."""

    members: Mapping[str, Matcher]
    partial: bool = False

    def __repr__(self) -> str:
        members = "{" + ", ".join(f"{_key(key)}: {member!r}" for key, member in self.members.items()) + "}"
        return f"{{$partial: {members}}}" if self.partial else members

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Compare member by member."""
        if not isinstance(found, dict):
            trial.differs(where, self, found)
            return
        members = {key: value for key, value in found.items() if key in self.members} if self.partial else found
        _compare_members(self.members, members, where, trial)


def _key(key: str) -> str:
    return inline(f"${key}" if key.startswith("$") else key)


def _compare_members(
    expected: Mapping[str, Matcher], found: Mapping[str, JSON], where: str, trial: MatchContext
) -> None:
    for key, member in expected.items():
        member.compare(found.get(key, MISSING), f"{where}/{escape(key)}", trial)
    for key in found.keys() - expected.keys():
        place = f"{where}/{escape(key)}"
        trial.differences.append(Difference(place, "nothing", shown(found[key], place)))


@dataclass(frozen=True, slots=True, repr=False)
class ArrayOf:
    """An array of these items, in this order."""

    items: Sequence[Matcher]

    def __repr__(self) -> str:
        return "[" + ", ".join(map(repr, self.items)) + "]"

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Compare item by item."""
        if isinstance(found, list):
            _compare_items(self.items, found, where, trial)
        else:
            trial.differs(where, self, found)


def _compare_items(expected: Sequence[Matcher], found: Sequence[JSON], where: str, trial: MatchContext) -> None:
    for number, item in enumerate(expected):
        item.compare(found[number] if number < len(found) else MISSING, f"{where}/{number}", trial)
    for number in range(len(expected), len(found)):
        trial.differences.append(Difference(f"{where}/{number}", "nothing", shown(found[number], where)))


_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
    "number": (int, float),
    "integer": (int, float),
}


@dataclass(frozen=True, slots=True, repr=False)
class Any:
    """Any value of a kind."""

    kind: str

    def __repr__(self) -> str:
        return f"{{$any: {self.kind}}}"

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Compare the kind; a whole number may be written `1.0`."""
        if self._fits(found):
            trial.agreed.append(where)
        else:
            trial.differs(where, self, found)

    def _fits(self, found: object) -> bool:
        if self.kind == "anything":
            return found is not MISSING
        if isinstance(found, bool):
            return self.kind == "boolean"
        if not isinstance(found, _KINDS[self.kind]):
            return False
        return self.kind != "integer" or not isinstance(found, float) or found.is_integer()


@dataclass(frozen=True, slots=True, repr=False)
class Regex:
    """Text in which Python's `re.search` finds the expression; its named groups are captures."""

    expression: re.Pattern[str]

    def __repr__(self) -> str:
        return f"{{$regex: {inline(self.expression.pattern)}}}"

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Search in the text."""
        hit = self.expression.search(found) if isinstance(found, str) else None
        if hit is None:
            trial.differs(where, self, found)
            return
        trial.agreed.append(where)
        trial.captures.update(hit.groupdict())


@dataclass(frozen=True, slots=True, repr=False)
class OneOf:
    """The first of several values that matches."""

    choices: Sequence[Matcher]

    def __repr__(self) -> str:
        return "{$one-of: [" + ", ".join(map(repr, self.choices)) + "]}"

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Try each in turn."""
        for choice in self.choices:
            branch = trial.branch()
            choice.compare(found, where, branch)
            if not branch.differences:
                trial.agreed.append(where)
                trial.join(branch)
                return
        trial.differs(where, self, found)


@dataclass(frozen=True, slots=True, repr=False)
class Capture:
    """Any value, kept under a name."""

    name: str
    session: bool

    def __repr__(self) -> str:
        return f"{{$capture: {'session.' if self.session else ''}{self.name}}}"

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Keep the value."""
        if found is MISSING:
            trial.differs(where, self, found)
            return
        trial.agreed.append(where)
        (trial.session_captures if self.session else trial.captures)[self.name] = found  # type: ignore[assignment]  # not MISSING is JSON


@dataclass(frozen=True, slots=True, repr=False)
class Id:
    """An identifier by name: the first value seen is bound to it for the session, no two names share a value."""

    name: str

    def __repr__(self) -> str:
        return f"{{$id: {self.name}}}"

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Compare with the bound value, or bind this one."""
        bound = {**trial.bound, **trial.ids}
        if isinstance(found, bool) or not isinstance(found, str | int):
            trial.differs(where, self, found)
        elif self.name in bound:
            if same(bound[self.name], found):
                trial.agreed.append(where)
            else:
                expected = f"{self!r}, which is {shown(bound[self.name], where)} in this session"
                trial.differences.append(Difference(where, expected, shown(found, where)))
        else:
            self._bind(bound, found, where, trial)

    def _bind(self, bound: Mapping[str, JSON], found: str | int, where: str, trial: MatchContext) -> None:
        owner = next((name for name, value in bound.items() if same(value, found)), None)
        if owner is None:
            trial.agreed.append(where)
            trial.ids[self.name] = found
        else:
            found_text = f"{shown(found, where)}, which is {{$id: {owner}}} in this session"
            trial.differences.append(Difference(where, repr(self), found_text))


@dataclass(frozen=True, slots=True, repr=False)
class Csv:
    """Text that is a comma-separated list of these items."""

    items: Sequence[Matcher]

    def __repr__(self) -> str:
        return "{$csv: [" + ", ".join(map(repr, self.items)) + "]}"

    def compare(self, found: JSON | object, where: str, trial: MatchContext) -> None:
        """Compare item by item."""
        if isinstance(found, str):
            _compare_items(self.items, found.split(","), where, trial)
        else:
            trial.differs(where, self, found)


def matcher(pattern: JSON) -> Matcher:
    """The matcher of a checked pattern."""
    marker = marker_of(pattern)
    if marker is not None:
        return _marked(*marker)
    if isinstance(pattern, dict):
        members = {unescaped(key): matcher(member) for key, member in pattern.items()}
        if all(isinstance(member, Literal) for member in members.values()):
            return Literal({key: member.value for key, member in members.items() if isinstance(member, Literal)})
        return ObjectOf(members)
    if isinstance(pattern, list):
        items = [matcher(item) for item in pattern]
        if all(isinstance(item, Literal) for item in items):
            return Literal([item.value for item in items if isinstance(item, Literal)])
        return ArrayOf(tuple(items))
    return Literal(pattern)


def _marked(key: str, argument: JSON) -> Matcher:
    if isinstance(argument, list):
        items = tuple(matcher(item) for item in argument)
        return OneOf(items) if key == "$one-of" else Csv(items)
    if isinstance(argument, dict):
        return ObjectOf({unescaped(name): matcher(member) for name, member in argument.items()}, partial=True)
    text = str(argument)
    if key == "$regex":
        return Regex(re.compile(text))
    if key == "$capture":
        return Capture(text.removeprefix("session."), text.startswith("session."))
    return Id(text) if key == "$id" else Any(text)
