"""Writing a distilled scenario beside its journal: whole or not at all, never over what a person may have edited."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.scenario import ScenarioFile, dump, schema_text
from cometreel.scenario.files import SCHEMA_NAME

__all__ = ["WrittenScenario", "scenario_path", "write_scenario"]


@dataclass(frozen=True, slots=True)
class WrittenScenario:
    """Where a scenario lies now, and how it differs from the one there: a unified diff, empty if it does not."""

    path: Path
    difference: str = ""


def scenario_path(journal: Path) -> Path:
    """Name the scenario of a journal: NAME.yaml beside NAME.jsonl."""
    return journal.with_suffix(".yaml")


def write_scenario(file: ScenarioFile, target: Path, *, force: bool = False) -> WrittenScenario:
    """Write a scenario to `target`; where another one lies there, to NAME.new.yaml, unless `force` says over it.

    The JSON Schema that its first line names is put beside it, so that editors complete and check the file.

    :raises FileInvalid: if the file can't be written, or something else than a file lies there.
    """
    if target.exists() and not target.is_file():  # a device can be read without end, and must not be replaced
        raise FileInvalid(
            [Problem(str(target), 0, 0, "not a file", "the name of a scenario, as recordings/login.yaml")]
        )
    try:
        written = _put(dump(file), target, force=force)
        _put_schema(target.parent / SCHEMA_NAME)  # not before: what is refused leaves nothing behind
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        expected = "a folder with room where you may write"
        raise FileInvalid([Problem(str(target), 0, 0, found, expected)]) from None
    return written


def _put(text: str, target: Path, *, force: bool) -> WrittenScenario:
    if not target.exists():
        _write(target, text)
        return WrittenScenario(target)
    old = target.read_text("utf-8", errors="replace")
    if old == text:
        return WrittenScenario(target)
    path = target if force else _free(target)
    _write(path, text)
    lines = difflib.unified_diff(old.splitlines(), text.splitlines(), str(target), str(path), lineterm="")
    return WrittenScenario(path, "\n".join(lines))


def _put_schema(path: Path) -> None:
    """One that lies there may be the user's own, or be shared by scenarios that another version wrote: it stays."""
    if not path.exists():
        _write(path, schema_text())


def _free(target: Path) -> Path:
    names = (f"{target.stem}.new{number if number > 1 else ''}{target.suffix}" for number in count(1))
    return next(path for path in map(target.with_name, names) if not path.exists())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, "utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
