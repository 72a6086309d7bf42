"""Applies the fixes of issues to the content of a file. Files are not changed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path

from cometreel.jsonvalue import JSON
from cometreel.lint.issues import Fix, Issue
from cometreel.scenario import ScenarioBlock
from cometreel.scenario.sources import read_source_file

__all__ = ["fixed"]


def fixed(issues: Iterable[Issue]) -> list[tuple[Path, ScenarioBlock]]:
    """Return each file that has safe fixes, with all of them applied. Doesn't write files.

    :raises FileInvalid: if a file has changed and no longer loads.
    """
    by_file: dict[str, list[Fix]] = {}
    for issue in issues:
        if issue.fix is not None:
            by_file.setdefault(issue.file, []).append(issue.fix)
    return [(Path(name), _fixed_file(Path(name), fixes)) for name, fixes in sorted(by_file.items())]


def _fixed_file(path: Path, fixes: Sequence[Fix]) -> ScenarioBlock:
    value = copy.deepcopy(read_source_file(path).document.value)
    for fix in fixes:
        _apply(value, fix)
    return ScenarioBlock.model_validate(value, context={"file": str(path)})


def _apply(value: JSON, fix: Fix) -> None:
    *parents, last = fix.path
    for step in parents:
        value = value[step]  # type: ignore[index]  # the path comes from this document
    if fix.value is None and isinstance(value, dict):
        del value[str(last)]
    elif isinstance(value, dict | list):
        value[last] = fix.value  # type: ignore[index]  # as above
