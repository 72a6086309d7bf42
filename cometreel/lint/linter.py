"""Loads a scenario, runs every rule and removes the issues that the files ignore.

`x-lint: [rule, …]` in an exchange, a timeline entry or a fault, or at the top of a file, ignores issues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from cometreel.errors import FileInvalid, Problem
from cometreel.extras import install_command, missing_distributions
from cometreel.jsonvalue import JSON
from cometreel.lint.ageing import ageing
from cometreel.lint.dangling_references import dangling_references
from cometreel.lint.issues import RULES, Issue
from cometreel.lint.lint_context import LintContext, RawBlock
from cometreel.lint.literals import literals
from cometreel.lint.undeliverable import undeliverable
from cometreel.lint.unheard import unheard
from cometreel.lint.unreachable import unreachable
from cometreel.scenario import load
from cometreel.scenario.findings import near
from cometreel.scenario.sources import SourceFile, read_source_file

__all__ = ["lint", "rules_not_run"]

_IGNORE_KEY = "x-lint"
_RuleCheck: TypeAlias = Callable[[LintContext], Iterator[Issue]]
_RULES: tuple[_RuleCheck, ...] = (unreachable, unheard, undeliverable, dangling_references, literals, ageing)


def rules_not_run() -> Mapping[str, str]:
    """Return the rules that can't run on this installation, each with the missing requirement and the pip command."""
    missing = missing_distributions("secrets")
    return {"secret": f"it needs {' and '.join(missing)}: {install_command('secrets')}"} if missing else {}


def _rules() -> tuple[_RuleCheck, ...]:
    if rules_not_run():
        return _RULES
    from cometreel.lint.secrets import secrets  # noqa: PLC0415  # detect-secrets, an optional dependency

    return (*_RULES, secrets)


def lint(path: Path | str) -> list[Issue]:
    """Check a scenario, a file or a folder of them; return the issues in the order of the files.

    :raises FileInvalid: if the file doesn't exist or the folder has no scenarios.
    """
    path = Path(path)
    _check_readable(path)
    try:
        scenario = load([path])
    except FileInvalid as error:
        return [_schema_issue(problem) for problem in error.problems]
    sources = tuple(map(read_source_file, scenario.files))
    context = LintContext(scenario, sources)
    found = [issue for rule in _rules() for issue in rule(context)]
    ignored = _Ignored(context)
    return sorted(
        [*(issue for issue in found if not ignored.contains(issue)), *ignored.unknown_rules()],
        key=lambda issue: (issue.file, issue.line, issue.column, issue.rule.id),
    )


def _check_readable(path: Path) -> None:
    try:
        empty = path.is_dir() and not [*path.glob("*.yaml"), *path.glob("*.yml")]
        if not path.is_dir():
            path.open("rb").close()
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a scenario file or folder")]) from None
    if empty:
        raise FileInvalid([Problem(str(path), 0, 0, "the folder has no scenarios", "*.yaml or *.yml files")])


def _schema_issue(problem: Problem) -> Issue:
    rule = RULES["schema"]
    return Issue(
        problem.file, problem.line, problem.column, rule, rule.level, problem.found, problem.expected, problem.hint
    )


class _Ignored:
    """The ignored rules by file and by block."""

    def __init__(self, context: LintContext) -> None:
        self._sources = context.sources
        self._files = {source.document.file: _names(source.document.value) for source in context.sources}
        self._blocks = [(block, _names(block.raw)) for block in context.blocks]

    def contains(self, issue: Issue) -> bool:
        """True if the file or the block of an issue ignores its rule."""
        if issue.rule.id in self._files.get(issue.file, ()):
            return True
        starts = [(_line(block), names) for block, names in self._blocks if block.source.document.file == issue.file]
        inside = max((start for start in starts if start[0] <= issue.line), default=(0, ()), key=lambda pair: pair[0])
        return issue.rule.id in inside[1]

    def unknown_rules(self) -> Iterator[Issue]:
        """Yield an issue for each ignored rule that doesn't exist."""
        for source in self._sources:
            yield from _unknown(source, (_IGNORE_KEY,), self._files[source.document.file])
        for block, names in self._blocks:
            yield from _unknown(block.source, (block.key, block.number, _IGNORE_KEY), names)


def _unknown(source: SourceFile, path: tuple[str | int, ...], names: tuple[str, ...]) -> Iterator[Issue]:
    for name in names:
        if name not in RULES:
            place, rule = source.position(path), RULES["schema"]
            found, expected = f"unknown rule {name!r}", f"one of {', '.join(RULES)}"
            yield Issue(place.file, place.line, place.column, rule, rule.level, found, expected, near(name, RULES))


def _line(block: RawBlock) -> int:
    return block.source.position((block.key, block.number)).line


def _names(raw: JSON) -> tuple[str, ...]:
    value = raw.get(_IGNORE_KEY) if isinstance(raw, dict) else None
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, str))
