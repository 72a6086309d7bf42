"""The lint rules by id, and the issues that they report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cometreel.jsonvalue import JSON

__all__ = ["RULES", "Fix", "Issue", "IssuePath", "Level", "LintRule"]

Level: TypeAlias = Literal["error", "warning", "note"]
"""The levels of SARIF (2.1.0 §3.27.10). A note is uncertain and doesn't change the exit code."""

IssuePath: TypeAlias = "tuple[str | int, ...]"
"""The path of a value in a file: keys and indexes."""


@dataclass(frozen=True, slots=True)
class LintRule:
    """One rule: its id, the default level of its issues, and a description."""

    id: str
    level: Level
    description: str

    @property
    def help(self) -> str:
        """The section of the documentation."""
        return f"docs/lint.md#{self.id}"


@dataclass(frozen=True, slots=True)
class Fix:
    """A safe change: replace the value at a path, or remove it (None)."""

    path: IssuePath
    value: JSON


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding of a rule. Lines and columns count from 1; 0 means the file as a whole."""

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
    def message(self) -> str:
        """The finding, the expected value and the hint in one sentence."""
        message = self.found + (f"; expected {self.expected}" if self.expected else "")
        if not self.hint:
            return message
        return f"{message} ({self.hint})" if self.expected else f"{message}; {self.hint}"


RULES: Mapping[str, LintRule] = {
    rule.id: rule
    for rule in (
        LintRule(
            "schema", "error", "The scenario loads: it is valid YAML, follows the schema and has no unknown names."
        ),
        LintRule("unreachable", "error", "Every exchange can be played: no earlier one matches all its requests."),
        LintRule("unheard", "warning", "Every notification goes to a channel with a subscriber."),
        LintRule("undeliverable", "warning", "Every notification can reach a client."),
        LintRule(
            "dangling-reference", "warning", "The reference number of a notification is in the reply of its exchange."
        ),
        LintRule("literal", "warning", "No literal text looks like a pattern, a template or JSON in quotes."),
        LintRule("secret", "error", "The scenario contains no passwords, tokens or keys."),
        LintRule("ageing", "warning", "No value depends on the time of the recording."),
    )
}
