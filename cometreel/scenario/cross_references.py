"""Checks the references between the blocks of a scenario: exchanges, roles, identifiers, names in templates.

Reads the raw values, including blocks that are invalid for another reason, so that all problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from cometreel.errors import Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.findings import Finding, near, problems_of
from cometreel.scenario.markers import captures_in, ids_in, templates_in
from cometreel.scenario.regular_expression import ExpressionInvalid
from cometreel.scenario.sources import SourceFile
from cometreel.scenario.templates import check_template, undefined_names
from cometreel.scenario.values import TEMPLATE_NAMES

__all__ = ["SINCE", "UNTIL", "cross_reference_problems"]

SINCE = ("connect", "handshake", "subscribe")
UNTIL = ("disconnect", "unsubscribe")


def cross_reference_problems(sources: Sequence[SourceFile], roles: Collection[str]) -> Iterator[Problem]:
    """Yield the problems of the references between all blocks of all files."""
    defined = _DefinedNames(
        exchanges=dict.fromkeys(name for source in sources for name in source.names),
        roles=roles,
        ids={
            name
            for source in sources
            for raw in source.blocks("exchanges")
            for _, name in ids_in(_part(raw, "request"))
        },
    )
    yield from _name_problems(sources)
    for source in sources:
        for key in ("exchanges", "timeline", "faults"):
            for number, raw in enumerate(source.blocks(key)):
                yield from problems_of(defined.findings(key, raw), source.document, (key, number))


def _name_problems(sources: Sequence[SourceFile]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for source in sources:
        for number, raw in enumerate(source.blocks("exchanges")):
            name = _part(raw, "name")
            if not isinstance(name, str):
                continue
            path = ("exchanges", number, "name")
            where = str(source.position(path))
            if name in SINCE + UNTIL:
                reserved = Finding(path, f"the name {name!r} is reserved for the timeline", "another name")
                yield from problems_of([reserved], source.document)
            if first.setdefault(name, where) != where:
                hint = f"first used at {first[name]}"
                duplicate = Finding(path, f"the name {name!r} is used twice", "a unique name", hint)
                yield from problems_of([duplicate], source.document)


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
            yield from self._unknown_exchanges(raw, ("since",), SINCE)
            yield from self._unknown_exchanges(raw, ("until",), UNTIL)
        request = _part(raw, "request")
        yield from self._undefined_in_templates(raw, TEMPLATE_NAMES | _captures(request))
        for path, name in ids_in(raw):
            if path[0] != "request" and name not in self._ids:
                found = f"no request binds {{$id: {name}}}"
                yield Finding(path, found, "the name of an $id in a request", near(name, self._ids))

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
    except ExpressionInvalid:  # `markers` reports it
        return frozenset()


def _part(raw: JSON, key: str) -> JSON:
    return raw.get(key) if isinstance(raw, dict) else None


def _names(raw: JSON, path: tuple[str, ...]) -> list[str]:
    """Return one name or a list of names; `model` reports values that aren't names."""
    for key in path:
        raw = _part(raw, key)
    items = raw if isinstance(raw, list) else [raw]
    return [item for item in items if isinstance(item, str)]
