"""The input of the rules: a loaded scenario and its source files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.lint.issues import RULES, Fix, Issue, IssuePath, Level
from cometreel.scenario import CompiledScenario, Exchange
from cometreel.scenario.sources import SourceFile

__all__ = ["LintContext", "RawBlock", "in_data_file", "leaves"]

_LISTS = ("exchanges", "timeline", "faults")


@dataclass(frozen=True, slots=True)
class RawBlock:
    """One exchange, timeline entry or fault as written in the file; its path is (key, number)."""

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
        """Return an issue at a path in this block; `fix` is the safe replacement, None removes the value."""
        full_path: IssuePath = (self.key, self.number, *path)
        place = self.source.written_position(full_path)
        lint_rule = RULES[rule]
        change = None if fix is False else Fix(full_path, fix)
        return Issue(
            place.file,
            place.line,
            place.column,
            lint_rule,
            level or lint_rule.level,
            found + in_data_file(self.source, full_path),
            expected,
            hint,
            change,
        )


@dataclass(frozen=True)
class LintContext:
    """One scenario, linked and as raw blocks."""

    scenario: CompiledScenario
    sources: tuple[SourceFile, ...]

    @cached_property
    def blocks(self) -> tuple[RawBlock, ...]:
        """The exchanges, timeline entries and faults of all files, in order."""
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
        """Return the block of an exchange."""
        return self.exchanges[exchange.name]

    @property
    def files(self) -> tuple[FilePath, ...]:
        """The paths of the files."""
        return self.scenario.files


def in_data_file(source: SourceFile, path: IssuePath, *, key: bool = False) -> str:
    """Return the position of a value in its data file, to add to an issue; an empty text if it isn't in one."""
    place = source.position(path, key=key)
    return "" if place.file == source.document.file else f", in {place}"


def leaves(value: JSON, path: IssuePath = ()) -> Iterator[tuple[IssuePath, JSON]]:
    """Yield every value that isn't a mapping or a list, with its path."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    else:
        yield path, value
