"""The rules by name, and what one of them has found. Data only; each rule's own module says how it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cometreel.jsonvalue import JSON

__all__ = ["RULES", "Fix", "Issue", "Level", "IssuePath", "LintRule"]

Level: TypeAlias = Literal["error", "warning", "note"]
"""SARIF's own words (2.1.0 §3.27.10). A note is a doubt: it doesn't change the exit code."""

IssuePath: TypeAlias = "tuple[str | int, ...]"
"""Where something stands in a file: keys and numbers, from the top."""


@dataclass(frozen=True, slots=True)
class LintRule:
    """One rule: its id, how bad what it finds is, and what it says in a sentence."""

    id: str
    level: Level
    sentence: str

    @property
    def help(self) -> str:
        """Where the documentation explains it."""
        return f"docs/lint.md#{self.id}"


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that is safe: the value at a path becomes another one, or goes (None)."""

    path: IssuePath
    value: JSON


@dataclass(frozen=True, slots=True)
class Issue:
    """What a rule has found, and where. Lines and columns count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    rule: LintRule
    level: Level
    found: str
    expected: str = ""
    hint: str = ""
    fix: Fix | None = None

    @property
    def sentence(self) -> str:
        """What was found, what was expected and what to do."""
        said = self.found + (f"; expected {self.expected}" if self.expected else "")
        return f"{said} ({self.hint})" if self.hint else said


RULES: Mapping[str, LintRule] = {
    rule.id: rule
    for rule in (
        LintRule("schema", "error", "A scenario loads: it is YAML, follows the schema, and names only what exists."),
        LintRule("unreachable", "error", "An exchange can be played: no earlier one answers all that it would answer."),
        LintRule("unheard", "warning", "A notification goes to a channel to which somebody subscribes."),
        LintRule("dangling-reference", "warning", "A notification's reference number is one that its reply gave."),
        LintRule("secret", "error", "No password, token or key stands in a scenario."),
        LintRule("ageing", "warning", "What depends on the day of the recording doesn't decide what happens today."),
    )
}
