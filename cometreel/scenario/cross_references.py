"""Checks the references between the blocks of a scenario: exchanges, roles, identifiers, names in templates.

Reads the raw values, including blocks that are invalid for another reason, so that all problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

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

__all__ = ["cross_reference_problems", "ids_of_requests"]

_RECEIVERS = ("asker", "subscribers", "all")


def ids_of_requests(sources: Sequence[SourceFile]) -> frozenset[str]:
    """Return the names of the `$id` markers in the requests of all files."""
    requests = (_part(raw, "request") for source in sources for raw in source.blocks("exchanges"))
    return frozenset(name for request in requests for _, name in ids_in(request))


def cross_reference_problems(
    sources: Sequence[SourceFile], roles: Collection[str], ids: Collection[str], existing: Mapping[str, Exchange]
) -> Iterator[Problem]:
    """Yield the problems of the references between all blocks of all files, and to `existing` exchanges."""
    names = dict.fromkeys(name for source in sources for name in source.names)
    defined = _DefinedNames(exchanges={**existing, **names} if existing else names, roles=roles, ids=ids)
    yield from _name_problems(sources, existing)
    yield from _binding_problems(sources)
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


def _binding_problems(sources: Sequence[SourceFile]) -> Iterator[Problem]:
    """Yield the problems of `session.bind`: two rules with one name, path segments that no exchange captures."""
    captured: set[str] = set()
    for source in sources:
        for raw in source.blocks("exchanges"):
            captured |= _captures(_part(_part(raw, "request"), "path"))
    captured = {name.removeprefix("session.") for name in captured}
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
        yield from self._unknown_roles(raw)
        if key == "faults":
            yield from self._unknown_exchanges(raw, ("exchange",))
            return
        yield from self._unknown_exchanges(raw, ("when", "after"))
        yield from self._unknown_exchanges(raw, ("when", "before"))
        if key == "timeline":
            yield from self._unknown_exchanges(raw, ("since",), ANCHORS)
            yield from self._unknown_exchanges(raw, ("until",), ANCHORS)
            yield from self._unknown_receiver(raw, ())
        for number, event in enumerate(_items(_part(raw, "events"))):
            yield from self._unknown_receiver(event, ("events", number))
        request = _part(raw, "request")
        yield from self._undefined_in_templates(raw, TEMPLATE_NAMES | _captures(request))
        yield from self._unbound_ids(raw)

    def _unbound_ids(self, raw: JSON) -> Iterator[Finding]:
        for path, name in ids_in(raw):
            if path[0] != "request" and name not in self._ids:
                found = f"no request binds {{$id: {name}}}"
                yield Finding(path, found, "the name of an $id in a request", near(name, self._ids))

    def in_headers(self, fields: Mapping[str, JSON] | None) -> Iterator[Finding]:
        """Yield the unknown names in the header fields of all replies."""
        raw: JSON = dict(fields or {})
        yield from self._undefined_in_templates(raw, TEMPLATE_NAMES)
        yield from self._unbound_ids(raw)

    def _unknown_exchanges(self, raw: JSON, path: tuple[str, ...], words: Sequence[str] = ()) -> Iterator[Finding]:
        for number, name in enumerate(_names(raw, path)):
            if name not in self._exchanges and name not in words:
                expected = "the name of an exchange" + (f", or {' or '.join(words)}" if words else "")
                hint = near(name, [*self._exchanges, *words])
                yield Finding((*path, number), f"unknown exchange {name!r}", expected, hint)

    def _unknown_roles(self, raw: JSON) -> Iterator[Finding]:
        for number, name in enumerate(_names(raw, ("as",))):
            if name not in self._roles:
                expected = ", ".join(self._roles) or "a role under roles:"
                yield Finding(("as", number), f"unknown role {name!r}", expected, near(name, self._roles))

    def _unknown_receiver(self, event: JSON, path: tuple[str | int, ...]) -> Iterator[Finding]:
        name = _part(event, "deliver")
        if not isinstance(name, str):
            return
        if name in _RECEIVERS and name in self._roles:
            found = f"{name!r} is also the name of a role"
            yield Finding((*path, "deliver"), found, "a role with another name")
        elif name not in _RECEIVERS and name not in self._roles:
            expected = f"{', '.join(_RECEIVERS)} or the name of a role"
            hint = near(name, [*_RECEIVERS, *self._roles])
            yield Finding((*path, "deliver"), f"unknown receiver {name!r}", expected, hint)

    def _undefined_in_templates(self, raw: JSON, defined: frozenset[str]) -> Iterator[Finding]:
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
