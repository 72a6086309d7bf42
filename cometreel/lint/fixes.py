"""The safe fixes: a scenario file with what its issues say may change without changing what it answers to whom."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path

from cometreel.jsonvalue import JSON
from cometreel.lint.issues import Fix, Issue
from cometreel.scenario import ScenarioFile
from cometreel.scenario.sources import read_source

__all__ = ["fixed"]


def fixed(issues: Iterable[Issue]) -> list[tuple[Path, ScenarioFile]]:
    """Give each file that has a safe fix, with all its fixes applied. Nothing is written.

    :raises FileInvalid: if a file has changed so that it no longer loads.
    """
    by_file: dict[str, list[Fix]] = {}
    for issue in issues:
        if issue.fix is not None:
            by_file.setdefault(issue.file, []).append(issue.fix)
    return [(Path(name), _applied(Path(name), fixes)) for name, fixes in sorted(by_file.items())]


def _applied(path: Path, fixes: Sequence[Fix]) -> ScenarioFile:
    value = copy.deepcopy(read_source(path.read_bytes(), str(path)).document.value)
    for fix in fixes:
        _put(value, fix)
    return ScenarioFile.model_validate(value, context={"file": str(path)})


def _put(value: JSON, fix: Fix) -> None:
    *way, last = fix.path
    for step in way:
        value = value[step]  # type: ignore[index]  # the path was found in this very document
    if fix.value is None and isinstance(value, dict):
        del value[str(last)]
    elif isinstance(value, dict | list):
        value[last] = fix.value  # type: ignore[index]  # as above
