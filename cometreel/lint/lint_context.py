"""What rules look at: a scenario that loads, with the text of its files and the places in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.lint.issues import RULES, Fix, Issue, IssuePath, Level
from cometreel.scenario import Exchange, Scenario
from cometreel.scenario.sources import SourceFile

__all__ = ["RawBlock", "LintContext", "leaves"]

_LISTS = ("exchanges", "timeline", "faults")


@dataclass(frozen=True, slots=True)
class RawBlock:
    """One exchange, timeline entry or fault as it is written; its path is (list, number)."""

    source: SourceFile
    key: str
    number: int
    raw: JSONObject

    def issue(
        self,
        rule: str,
        path: IssuePath,
        found: str,
        expected: str = "",
        hint: str = "",
        *,
        level: Level | None = None,
        fix: JSON | bool = False,
    ) -> Issue:
        """Make an issue at a path in this block; `fix` is the safe value in its place, None to take it out."""
        whole: IssuePath = (self.key, self.number, *path)
        place = self.source.position(whole)
        known = RULES[rule]
        change = None if fix is False else Fix(whole, fix)
        return Issue(place.file, place.line, place.column, known, level or known.level, found, expected, hint, change)


@dataclass(frozen=True)
class LintContext:
    """One scenario: linked, and as it is written."""

    scenario: Scenario
    sources: tuple[SourceFile, ...]

    @cached_property
    def blocks(self) -> tuple[RawBlock, ...]:
        """Everything in the lists of all files, in order."""
        return tuple(
            RawBlock(source, key, number, raw)
            for source in self.sources
            for key in _LISTS
            for number, raw in enumerate(source.blocks(key))
            if isinstance(raw, dict)
        )

    @cached_property
    def exchanges(self) -> dict[str, RawBlock]:
        """The exchanges by name."""
        return {str(block.raw.get("name")): block for block in self.blocks if block.key == "exchanges"}

    def block_of(self, exchange: Exchange) -> RawBlock:
        """The block in which an exchange is written."""
        return self.exchanges[exchange.name]

    @property
    def files(self) -> tuple[FilePath, ...]:
        """The files, as they were named."""
        return self.scenario.files


def leaves(value: JSON, path: IssuePath = ()) -> Iterator[tuple[IssuePath, JSON]]:
    """Every value that isn't a mapping or a list, with its path."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    else:
        yield path, value
