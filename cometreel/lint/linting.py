"""One linting: a scenario is loaded, every rule looks at it, and what a file says is meant so is left out.

`x-lint: [rule, …]` in an exchange, a timeline entry or a fault, or at the top of a file, says so.
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
from cometreel.lint.subject import Subject, WrittenBlock
from cometreel.lint.unheard import unheard
from cometreel.lint.unreachable import unreachable
from cometreel.scenario import load
from cometreel.scenario.findings import near
from cometreel.scenario.sources import SourceFile, read_source

__all__ = ["lint", "rules_not_run"]

_MEANT = "x-lint"
_RuleCheck: TypeAlias = Callable[[Subject], Iterator[Issue]]
_RULES: tuple[_RuleCheck, ...] = (unreachable, unheard, dangling_references, ageing)


def rules_not_run() -> Mapping[str, str]:
    """Return the rules that can't run on this installation, each with the missing requirement and the pip command."""
    missing = missing_distributions("secrets")
    return {"secret": f"it needs {' and '.join(missing)}: {install_command('secrets')}"} if missing else {}


def _rules() -> tuple[_RuleCheck, ...]:
    if rules_not_run():
        return _RULES
    from cometreel.lint.secrets import secrets  # noqa: PLC0415  # detect-secrets, an optional dependency

    return (*_RULES, secrets)


def lint(path: Path) -> list[Issue]:
    """Look at a scenario, a file or a folder of them; give what was found, in the order of the files.

    :raises FileInvalid: if there is no such file, or no scenario in the folder.
    """
    _check_there(path)
    try:
        scenario = load([path])
    except FileInvalid as error:
        return [_of_problem(problem) for problem in error.problems]
    sources = tuple(read_source(file.read_bytes(), str(file)) for file in scenario.files)
    subject = Subject(scenario, sources)
    found = [issue for rule in _rules() for issue in rule(subject)]
    meant = _Ignored(subject)
    return sorted(
        [*(issue for issue in found if not meant.covers(issue)), *meant.unknown()],
        key=lambda issue: (issue.file, issue.line, issue.column, issue.rule.id),
    )


def _check_there(path: Path) -> None:
    try:
        empty = path.is_dir() and not [*path.glob("*.yaml"), *path.glob("*.yml")]
        if not path.is_dir():
            path.open("rb").close()
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a scenario file or folder")]) from None
    if empty:
        raise FileInvalid([Problem(str(path), 0, 0, "a folder without scenarios", "*.yaml or *.yml in it")])


def _of_problem(problem: Problem) -> Issue:
    rule = RULES["schema"]
    return Issue(
        problem.file, problem.line, problem.column, rule, rule.level, problem.found, problem.expected, problem.hint
    )


class _Ignored:
    """What the files say is meant so: rules by file, and by the first line of a block and the line after its last."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._files = {source.document.file: _names(source.document.value) for source in subject.sources}
        self._blocks = [(block, _names(block.raw)) for block in subject.blocks]

    def covers(self, issue: Issue) -> bool:
        """Tell whether an issue is meant so."""
        if issue.rule.id in self._files.get(issue.file, ()):
            return True
        starts = [(_line(block), names) for block, names in self._blocks if block.source.document.file == issue.file]
        inside = max((start for start in starts if start[0] <= issue.line), default=(0, ()), key=lambda pair: pair[0])
        return issue.rule.id in inside[1]

    def unknown(self) -> Iterator[Issue]:
        """Names of rules that don't exist."""
        for source in self._subject.sources:
            yield from _unknown(source, (_MEANT,), self._files[source.document.file])
        for block, names in self._blocks:
            yield from _unknown(block.source, (block.key, block.number, _MEANT), names)


def _unknown(source: SourceFile, path: tuple[str | int, ...], names: tuple[str, ...]) -> Iterator[Issue]:
    for name in names:
        if name not in RULES:
            place, rule = source.position(path), RULES["schema"]
            found, expected = f"no rule is called {name!r}", ", ".join(RULES)
            yield Issue(place.file, place.line, place.column, rule, rule.level, found, expected, near(name, RULES))


def _line(block: WrittenBlock) -> int:
    return block.source.position((block.key, block.number)).line


def _names(raw: JSON) -> tuple[str, ...]:
    value = raw.get(_MEANT) if isinstance(raw, dict) else None
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, str))
