"""Checks the references between the blocks of a scenario: exchanges, roles, identifiers, names in templates.

Reads the raw values, including blocks that are invalid for another reason, so that all problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cometreel.errors import Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario import compiling
from cometreel.scenario.checks import ANCHORS
from cometreel.scenario.exchange import Exchange
from cometreel.scenario.findings import Finding, near, problems_of
from cometreel.scenario.regular_expression import ExpressionInvalid
from cometreel.scenario.sources import SourceFile
from cometreel.scenario.templates import check_template, undefined_names
from cometreel.scenario.value_markers import captures_in, ids_in, templates_in
from cometreel.scenario.values import TEMPLATE_NAMES

__all__ = ["CollectedNames", "cross_reference_problems", "ids_of_requests"]

_RECEIVERS = ("asker", "subscribers", "all")


@dataclass(frozen=True, slots=True)
class _Use:
    """A name that refers to another block: a role, an exchange, a receiver, or an id."""

    kind: Literal["role", "exchange", "anchor", "receiver", "id"]
    name: str
    path: tuple[str | int, ...] = ()


class CollectedNames:
    """The names that exchanges define and use, collected while they are read one after the other."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self.ids: set[str] = set()
        """The names of the `$id` markers in requests."""
        self._captured: set[str] = set()
        self._uses: set[_Use] = set()
        self._is_valid = True

    def add(self, raw: JSON, *, has_markers: bool) -> None:
        """Collect the names of one exchange."""
        name = _part(raw, "name")
        if isinstance(name, str):
            self._is_valid = self._is_valid and name not in self._names and name not in ANCHORS
            self._names[name] = None
        self._uses.update(replace(use, path=()) for use in _names_used("exchanges", raw))
        if has_markers:
            request = _part(raw, "request")
            self.ids |= {name for _, name in ids_in(request)}
            self._captured |= _captures(_part(request, "path"))
            self._uses.update(replace(use, path=()) for use in _ids_used(raw))
            self._is_valid = self._is_valid and not any(_undefined_in_exchange(raw))

    def has_problems(self, sources: Sequence[SourceFile], roles: Collection[str]) -> bool:
        """True if a name is unknown or used twice; `sources` are the files without their exchanges."""
        defined = _DefinedNames(self._names, roles, self.ids)
        return (
            not self._is_valid
            or any(defined.unknown(self._uses))
            or any(_binding_problems(sources, self._captured))
            or any(_block_problems(sources, defined))
        )


def ids_of_requests(sources: Sequence[SourceFile]) -> frozenset[str]:
    """Return the names of the `$id` markers in the requests of all files."""
    requests = (_part(raw, "request") for source in sources for raw in source.blocks("exchanges"))
    return frozenset(name for request in requests for _, name in ids_in(request))


def cross_reference_problems(
    sources: Sequence[SourceFile], roles: Collection[str], ids: Collection[str], existing: Mapping[str, Exchange]
) -> Iterator[Problem]:
    """Yield the problems of the references between all blocks of all files, and to `existing` exchanges."""
    requests = [_part(raw, "request") for source in sources for raw in source.blocks("exchanges")]
    names = dict.fromkeys(name for source in sources for name in source.names)
    defined = _DefinedNames(exchanges={**existing, **names} if existing else names, roles=roles, ids=ids)
    yield from _name_problems(sources, existing)
    yield from _binding_problems(sources, {name for each in requests for name in _captures(_part(each, "path"))})
    yield from _block_problems(sources, defined)


def _block_problems(sources: Sequence[SourceFile], defined: _DefinedNames) -> Iterator[Problem]:
    for source in sources:
        yield from problems_of(defined.in_headers(source.head.reply_headers), source.document, ("reply_headers",))
        for key in ("exchanges", "timeline", "faults"):
            for number, raw in enumerate(source.blocks(key)):
                yield from problems_of(defined.findings(key, raw), source.document, (key, number))


def _name_problems(sources: Sequence[SourceFile], existing: Mapping[str, Exchange]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for source in sources:
        for number, raw in enumerate(source.blocks("exchanges")):
            name = _part(raw, "name")
            if not isinstance(name, str):
                continue
            path = ("exchanges", number, "name")
            where = str(source.position(path))
            if name in ANCHORS:
                reserved = Finding(path, f"the name {name!r} is reserved for the timeline", "another name")
                yield from problems_of([reserved], source.document)
            if name in existing:
                first[name] = str(existing[name].position)
            if name not in first:
                first[name] = where
            else:
                hint = f"first used at {first[name]}"
                duplicate = Finding(path, f"the name {name!r} is used twice", "a unique name", hint)
                yield from problems_of([duplicate], source.document)


def _binding_problems(sources: Sequence[SourceFile], captures: Collection[str]) -> Iterator[Problem]:
    """Yield the problems of `session.bind`: two rules with one name, path segments that no exchange captures."""
    captured = {name.removeprefix("session.") for name in captures}
    for source in sources:
        session = source.head.session
        names: set[str] = set()
        for number, rule in enumerate((session.bind if session else None) or ()):
            binding = compiling.binding(rule)
            path = ("session", "bind", number)
            if binding.name in names:
                found = Finding(path, f"two rules have the name {binding.name!r}", "a unique name")
                yield from problems_of([found], source.document)
            names.add(binding.name)
            for place, expression in enumerate(binding.places):
                if expression.part == "path" and expression.name not in captured:
                    found = Finding(
                        (*path, "in", place),
                        f"no path of an exchange has {{$capture: {expression.name}}}",
                        "the name of a capture in a path",
                        near(expression.name, captured),
                    )
                    yield from problems_of([found], source.document)


class _DefinedNames:
    """The names that all files define together."""

    def __init__(self, exchanges: Collection[str], roles: Collection[str], ids: Collection[str]) -> None:
        self._exchanges = exchanges
        self._roles = roles
        self._ids = ids

    def findings(self, key: str, raw: JSON) -> Iterator[Finding]:
        """Yield the unknown names in one block."""
        yield from self.unknown(_names_used(key, raw))
        if key != "faults":
            yield from _undefined_in_exchange(raw)
            yield from self.unknown(_ids_used(raw))

    def in_headers(self, fields: Mapping[str, JSON] | None) -> Iterator[Finding]:
        """Yield the unknown names in the header fields of all replies."""
        raw: JSON = dict(fields or {})
        yield from _undefined_in_templates(raw, TEMPLATE_NAMES)
        yield from self.unknown(_ids_used(raw))

    def unknown(self, uses: Iterable[_Use]) -> Iterator[Finding]:
        """Yield the names that are not defined."""
        for use in uses:
            if use.kind == "role":
                yield from self._unknown_role(use)
            elif use.kind == "receiver":
                yield from self._unknown_receiver(use)
            elif use.kind == "id":
                if use.name not in self._ids:
                    found = f"no request binds {{$id: {use.name}}}"
                    yield Finding(use.path, found, "the name of an $id in a request", near(use.name, self._ids))
            else:
                yield from self._unknown_exchange(use, ANCHORS if use.kind == "anchor" else ())

    def _unknown_exchange(self, use: _Use, words: Sequence[str]) -> Iterator[Finding]:
        if use.name not in self._exchanges and use.name not in words:
            expected = "the name of an exchange" + (f", or {' or '.join(words)}" if words else "")
            hint = near(use.name, [*self._exchanges, *words])
            yield Finding(use.path, f"unknown exchange {use.name!r}", expected, hint)

    def _unknown_role(self, use: _Use) -> Iterator[Finding]:
        if use.name not in self._roles:
            expected = ", ".join(self._roles) or "a role under roles:"
            yield Finding(use.path, f"unknown role {use.name!r}", expected, near(use.name, self._roles))

    def _unknown_receiver(self, use: _Use) -> Iterator[Finding]:
        if use.name in _RECEIVERS and use.name in self._roles:
            yield Finding(use.path, f"{use.name!r} is also the name of a role", "a role with another name")
        elif use.name not in _RECEIVERS and use.name not in self._roles:
            expected = f"{', '.join(_RECEIVERS)} or the name of a role"
            hint = near(use.name, [*_RECEIVERS, *self._roles])
            yield Finding(use.path, f"unknown receiver {use.name!r}", expected, hint)


def _names_used(key: str, raw: JSON) -> Iterator[_Use]:
    """Yield the names of roles, exchanges and receivers in one block."""
    if not isinstance(raw, dict):
        return
    if "as" in raw:
        yield from (_Use("role", name, ("as", number)) for number, name in enumerate(_names(raw, ("as",))))
    if key == "faults":
        yield from _exchanges_used("exchange", raw, ("exchange",))
        return
    if "when" in raw:
        yield from _exchanges_used("exchange", raw, ("when", "after"))
        yield from _exchanges_used("exchange", raw, ("when", "before"))
    if key == "timeline":
        yield from _exchanges_used("anchor", raw, ("since",))
        yield from _exchanges_used("anchor", raw, ("until",))
        yield from _receiver_used(raw, ())
    for number, event in enumerate(_items(_part(raw, "events"))):
        yield from _receiver_used(event, ("events", number))


def _exchanges_used(kind: Literal["exchange", "anchor"], raw: JSON, path: tuple[str, ...]) -> Iterator[_Use]:
    for number, name in enumerate(_names(raw, path)):
        yield _Use(kind, name, (*path, number))


def _receiver_used(event: JSON, path: tuple[str | int, ...]) -> Iterator[_Use]:
    name = _part(event, "deliver")
    if isinstance(name, str):
        yield _Use("receiver", name, (*path, "deliver"))


def _ids_used(raw: JSON) -> Iterator[_Use]:
    """Yield the identifiers in a block or in the header fields of all replies; a request defines those in it."""
    return (_Use("id", name, path) for path, name in ids_in(raw))


def _undefined_in_exchange(raw: JSON) -> Iterator[Finding]:
    return _undefined_in_templates(raw, TEMPLATE_NAMES | _captures(_part(raw, "request")))


def _undefined_in_templates(raw: JSON, defined: frozenset[str]) -> Iterator[Finding]:
    for path, text in templates_in(raw):
        if path[0] == "request" or check_template(text):
            continue
        for name in undefined_names(text, defined):
            found = f"the template {text!r} uses the undefined name {name!r}"
            yield Finding(path, found, f"one of {', '.join(sorted(defined))}", near(name, defined))


def _captures(request: JSON) -> frozenset[str]:
    try:
        return frozenset(captures_in(request))
    except ExpressionInvalid:  # `value_markers` reports it
        return frozenset()


def _part(raw: JSON, key: str) -> JSON:
    return raw.get(key) if isinstance(raw, dict) else None


def _items(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def _names(raw: JSON, path: tuple[str, ...]) -> list[str]:
    """Return one name or a list of names; `model` reports values that aren't names."""
    for key in path:
        raw = _part(raw, key)
    items = raw if isinstance(raw, list) else [raw]
    return [item for item in items if isinstance(item, str)]
