"""What the blocks of a scenario say of one another: names of exchanges, roles, identifiers, captures in templates.

Looks at the text as it was written, also at blocks that are unsound for another reason, so that everything wrong
is told at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from cometreel.errors import Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.findings import Finding, near, problems_of
from cometreel.scenario.markers import captures_in, ids_in, templates_in
from cometreel.scenario.sources import SourceFile
from cometreel.scenario.templates import check_template, undefined_names
from cometreel.scenario.values import TEMPLATE_NAMES

__all__ = ["SINCE", "UNTIL", "cross_reference_problems"]

SINCE = ("connect", "handshake", "subscribe")
UNTIL = ("disconnect", "unsubscribe")


def cross_reference_problems(sources: Sequence[SourceFile], roles: Collection[str]) -> Iterator[Problem]:
    """Every problem between the blocks of all files."""
    known = _KnownNames(
        exchanges=dict.fromkeys(name for source in sources for name in source.names),
        roles=roles,
        ids={
            name
            for source in sources
            for raw in source.blocks("exchanges")
            for _, name in ids_in(_part(raw, "request"))
        },
    )
    yield from _taken_names(sources)
    for source in sources:
        for key in ("exchanges", "timeline", "faults"):
            for number, raw in enumerate(source.blocks(key)):
                yield from problems_of(known.findings(key, raw), source.document, (key, number))


def _taken_names(sources: Sequence[SourceFile]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for source in sources:
        for number, raw in enumerate(source.blocks("exchanges")):
            name = _part(raw, "name")
            if not isinstance(name, str):
                continue
            path = ("exchanges", number, "name")
            where = str(source.position(path))
            if name in SINCE + UNTIL:
                taken = Finding(path, f"{name!r} is a word of the timeline", "another name")
                yield from problems_of([taken], source.document)
            if first.setdefault(name, where) != where:
                hint = f"the first is at {first[name]}"
                taken = Finding(path, f"the name {name!r} is taken", "a name of its own", hint)
                yield from problems_of([taken], source.document)


class _KnownNames:
    """What exists in all files together."""

    def __init__(self, exchanges: Collection[str], roles: Collection[str], ids: Collection[str]) -> None:
        self._exchanges = exchanges
        self._roles = roles
        self._ids = ids

    def findings(self, key: str, raw: JSON) -> Iterator[Finding]:
        """What is wrong with the names in one block."""
        yield from self._unknown_roles(raw)
        if key == "faults":
            yield from self._unknown(raw, ("exchange",))
            return
        yield from self._unknown(raw, ("when", "after"))
        yield from self._unknown(raw, ("when", "before"))
        if key == "timeline":
            yield from self._unknown(raw, ("since",), SINCE)
            yield from self._unknown(raw, ("until",), UNTIL)
        request = _part(raw, "request")
        yield from self._rendered(raw, TEMPLATE_NAMES | _captures(request))
        for path, name in ids_in(raw):
            if path[0] != "request" and name not in self._ids:
                found = f"no request binds {{$id: {name}}}"
                yield Finding(path, found, "the name of an $id in a request", near(name, self._ids))

    def _unknown(self, raw: JSON, path: tuple[str, ...], words: Sequence[str] = ()) -> Iterator[Finding]:
        for number, name in enumerate(_names(raw, path)):
            if name not in self._exchanges and name not in words:
                expected = "the name of an exchange" + (f", or {' or '.join(words)}" if words else "")
                hint = near(name, [*self._exchanges, *words])
                yield Finding((*path, number), f"no exchange is called {name!r}", expected, hint)

    def _unknown_roles(self, raw: JSON) -> Iterator[Finding]:
        for number, name in enumerate(_names(raw, ("as",))):
            if name not in self._roles:
                expected = ", ".join(self._roles) or "a role under roles:"
                yield Finding(("as", number), f"no role is called {name!r}", expected, near(name, self._roles))

    def _rendered(self, raw: JSON, known: frozenset[str]) -> Iterator[Finding]:
        for path, text in templates_in(raw):
            if path[0] == "request" or check_template(text):
                continue
            for name in undefined_names(text, known):
                found = f"the template {text!r} reads {name!r}, which nothing defines"
                yield Finding(path, found, ", ".join(sorted(known)), near(name, known))


def _captures(request: JSON) -> frozenset[str]:
    try:
        return frozenset(captures_in(request))
    except re.error:  # told already, where the expression stands
        return frozenset()


def _part(raw: JSON, key: str) -> JSON:
    return raw.get(key) if isinstance(raw, dict) else None


def _names(raw: JSON, path: tuple[str, ...]) -> list[str]:
    """One name or several, as they are written; what isn't a name is told elsewhere."""
    for key in path:
        raw = _part(raw, key)
    items = raw if isinstance(raw, list) else [raw]
    return [item for item in items if isinstance(item, str)]
