"""Matchers for single JSON values. The `repr` of a matcher is the YAML that it was created from.

A comparison collects all agreements, differences and captures in a `MatchContext`, to explain near misses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Final, Protocol

from cometreel.jsonvalue import JSON, same
from cometreel.masking import HIDDEN, is_hidden_at, masked
from cometreel.scenario.json_pointer import escape
from cometreel.scenario.regular_expression import RegularExpression, TextTooLong, regular_expression
from cometreel.scenario.yaml_writer import inline
from cometreel.secret_names import member_name
from cometreel.value_copies import copy_by_constructor

from .value_markers import is_plain, marker_of, unescaped

__all__ = ["MISSING", "Difference", "MatchContext", "Matcher", "Missing", "matcher", "shortened"]

_LONGEST = 200
_MOST_DIFFERENCES = 50


class Missing(Enum):
    """The type of `MISSING`: an enum, so that type checkers narrow `JSON | Missing`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""Represents a value that the request doesn't have; null is a value."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a request and a pattern: JSON Pointer, expected value, found value."""

    where: str
    expected: str
    found: str


@dataclass(slots=True)
class MatchContext:
    """The state of one comparison. `bound` are the session's `$id` bindings before it."""

    bound: Mapping[str, JSON] = field(default_factory=dict)
    agreed: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    captures: dict[str, JSON] = field(default_factory=dict)
    session_captures: dict[str, JSON] = field(default_factory=dict)
    ids: dict[str, JSON] = field(default_factory=dict)

    def differs(self, where: str, expected: object, found: JSON | Missing) -> None:
        """Add a difference."""
        self.differences.append(Difference(where, shortened(repr(expected)), shown(found, where)))

    def is_full(self) -> bool:
        """True if there are so many differences that more of them don't matter: a request can have a million."""
        return len(self.differences) >= _MOST_DIFFERENCES

    def branch(self) -> MatchContext:
        """Return a context for one of several alternatives."""
        return MatchContext({**self.bound, **self.ids})

    def join(self, branch: MatchContext) -> None:
        """Add the captures of the alternative that matched."""
        self.captures.update(branch.captures)
        self.session_captures.update(branch.session_captures)
        self.ids.update(branch.ids)


def shown(found: JSON | Missing, where: str) -> str:
    """Format a value of the request as YAML, shortened, with secrets and personal data masked."""
    if found is MISSING:
        return "nothing"
    if is_hidden_at(where):
        return HIDDEN
    return shortened(inline(masked(_excerpt(found), personal=True, query=where in ("/query", "/form"))))


def shortened(text: str) -> str:
    """Return the beginning of a long text."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _excerpt(value: JSON) -> JSON:
    """Return the beginning of a value, enough for `shortened`: formatting all of a large one would take too long."""
    left = _LONGEST  # each value has at least one character

    def cut(value: JSON) -> JSON:
        nonlocal left
        left -= 1
        if isinstance(value, str):
            return value[: 10 * _LONGEST]
        if isinstance(value, dict):
            members = islice(value.items(), max(left, 0))
            return {key[: 10 * _LONGEST]: cut(member) for key, member in members if left > 0}
        return [cut(item) for item in value[: max(left, 0)] if left > 0] if isinstance(value, list) else value

    return cut(value)


class Matcher(Protocol):
    """Compares one value."""

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Compare, and add agreements, differences and captures to the context."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly this JSON value: `1` isn't `true`."""

    value: JSON

    def __repr__(self) -> str:
        return inline(self.value)

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Compare exactly; differences in an object or an array are reported at the member or item."""
        if found is not MISSING and same(self.value, found):
            context.agreed.append(where)
        elif isinstance(self.value, dict) and isinstance(found, dict):
            _compare_members({key: Literal(member) for key, member in self.value.items()}, found, where, context)
        elif isinstance(self.value, list) and isinstance(found, list):
            _compare_items([Literal(item) for item in self.value], found, where, context)
        else:
            context.differs(where, self, found)


@dataclass(frozen=True, slots=True, repr=False)
class ObjectOf:
    """An object with these members; others are allowed if `partial`."""

    members: Mapping[str, Matcher]
    partial: bool = False

    def __repr__(self) -> str:
        members = "{" + ", ".join(f"{_key(key)}: {member!r}" for key, member in self.members.items()) + "}"
        return f"{{$partial: {members}}}" if self.partial else members

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Compare member by member."""
        if not isinstance(found, dict):
            context.differs(where, self, found)
            return
        members = {key: value for key, value in found.items() if key in self.members} if self.partial else found
        _compare_members(self.members, members, where, context)


def _key(key: str) -> str:
    return inline(f"${key}" if key.startswith("$") else key)


def _compare_members(
    expected: Mapping[str, Matcher], found: Mapping[str, JSON], where: str, context: MatchContext
) -> None:
    for key, member in expected.items():
        before = len(context.differences)
        member.compare(found.get(key, MISSING), f"{where}/{escape(key)}", context)
        if len(context.differences) > before and member_name(found, key) != key:  # `{"name": "pin", "value": …}`
            hidden = [Difference(one.where, one.expected, HIDDEN) for one in context.differences[before:]]
            context.differences[before:] = hidden
    for key in found:
        if context.is_full():
            return
        if key not in expected:
            place = f"{where}/{escape(shortened(key))}"
            text = HIDDEN if member_name(found, key) != key else shown(found[key], place)
            context.differences.append(Difference(place, "nothing", text))


@dataclass(frozen=True, slots=True, repr=False)
class ArrayOf:
    """An array of these items, in this order."""

    items: Sequence[Matcher]

    def __repr__(self) -> str:
        return "[" + ", ".join(map(repr, self.items)) + "]"

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Compare item by item."""
        if isinstance(found, list):
            _compare_items(self.items, found, where, context)
        else:
            context.differs(where, self, found)


def _compare_items(expected: Sequence[Matcher], found: Sequence[JSON], where: str, context: MatchContext) -> None:
    for number, item in enumerate(expected):
        item.compare(found[number] if number < len(found) else MISSING, f"{where}/{number}", context)
    for number in range(len(expected), len(found)):
        if context.is_full():
            return
        context.differences.append(Difference(f"{where}/{number}", "nothing", shown(found[number], where)))


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
class AnyOfType:
    """Any value of a type."""

    kind: str

    def __repr__(self) -> str:
        return f"{{$any: {self.kind}}}"

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Compare the type; `1.0` counts as an integer."""
        if self._has_type(found):
            context.agreed.append(where)
        else:
            context.differs(where, self, found)

    def _has_type(self, found: JSON | Missing) -> bool:
        if self.kind == "anything":
            return found is not MISSING
        if isinstance(found, bool):
            return self.kind == "boolean"
        if not isinstance(found, _KINDS[self.kind]):
            return False
        return self.kind != "integer" or not isinstance(found, float) or found.is_integer()


@dataclass(frozen=True, slots=True, repr=False)
class Regex:
    """Text in which a regular expression is found; its named groups are captures."""

    expression: RegularExpression

    def __repr__(self) -> str:
        return f"{{$regex: {inline(self.expression.pattern)}}}"

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Search the text."""
        try:
            groups = self.expression.search(found) if isinstance(found, str) else None
        except TextTooLong:
            text = f"a text of {len(str(found))} characters, too long for this expression"
            context.differences.append(Difference(where, shortened(repr(self)), text))
            return
        if groups is None:
            context.differs(where, self, found)
            return
        context.agreed.append(where)
        context.captures.update(groups)


@dataclass(frozen=True, slots=True, repr=False)
class OneOf:
    """The first of several values that matches."""

    choices: Sequence[Matcher]

    def __repr__(self) -> str:
        return "{$one-of: [" + ", ".join(map(repr, self.choices)) + "]}"

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Try each in turn."""
        for choice in self.choices:
            branch = context.branch()
            choice.compare(found, where, branch)
            if not branch.differences:
                context.agreed.append(where)
                context.join(branch)
                return
        context.differs(where, self, found)


@dataclass(frozen=True, slots=True, repr=False)
class Capture:
    """Any value, stored under a name."""

    name: str
    session: bool

    def __repr__(self) -> str:
        return f"{{$capture: {'session.' if self.session else ''}{self.name}}}"

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Store the value."""
        if found is MISSING:
            context.differs(where, self, found)
            return
        context.agreed.append(where)
        (context.session_captures if self.session else context.captures)[self.name] = found


@dataclass(frozen=True, slots=True, repr=False)
class Id:
    """A named identifier: bound to its first value for the session; different names have different values."""

    name: str

    def __repr__(self) -> str:
        return f"{{$id: {self.name}}}"

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Compare with the bound value, or bind the value."""
        bound = {**context.bound, **context.ids}
        if isinstance(found, bool) or not isinstance(found, str | int):
            context.differs(where, self, found)
        elif self.name in bound:
            if same(bound[self.name], found):
                context.agreed.append(where)
            else:
                expected = f"{self!r}, which is {shown(bound[self.name], where)} in this session"
                context.differences.append(Difference(where, expected, shown(found, where)))
        else:
            self._bind(bound, found, where, context)

    def _bind(self, bound: Mapping[str, JSON], found: str | int, where: str, context: MatchContext) -> None:
        owner = next((name for name, value in bound.items() if same(value, found)), None)
        if owner is None:
            context.agreed.append(where)
            context.ids[self.name] = found
        else:
            found_text = f"{shown(found, where)}, which is {{$id: {owner}}} in this session"
            context.differences.append(Difference(where, repr(self), found_text))


@dataclass(frozen=True, slots=True, repr=False)
class Csv:
    """A comma-separated list of these items."""

    items: Sequence[Matcher]

    def __repr__(self) -> str:
        return "{$csv: [" + ", ".join(map(repr, self.items)) + "]}"

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Compare item by item."""
        if isinstance(found, str):
            _compare_items(self.items, found.split(","), where, context)
        else:
            context.differs(where, self, found)


def matcher(pattern: JSON) -> Matcher:
    """Compile a checked pattern; one without markers is not copied."""
    return Literal(pattern) if is_plain(pattern) else _matcher(pattern)


def _matcher(pattern: JSON) -> Matcher:
    marker = marker_of(pattern)
    if marker is not None:
        return _marked(*marker)
    if isinstance(pattern, dict):
        members = {unescaped(key): _matcher(member) for key, member in pattern.items()}
        if all(isinstance(member, Literal) for member in members.values()):
            return Literal({key: member.value for key, member in members.items() if isinstance(member, Literal)})
        return ObjectOf(members)
    if isinstance(pattern, list):
        items = [_matcher(item) for item in pattern]
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
        return Regex(regular_expression(text))
    if key == "$capture":
        return Capture(text.removeprefix("session."), text.startswith("session."))
    return Id(text) if key == "$id" else AnyOfType(text)


copy_by_constructor(__name__)
