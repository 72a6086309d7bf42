"""Writes scenarios atomically, and never over an existing one that may have been edited, unless forced."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.recording.data_folder import INLINE_LIMIT, DataFolder
from cometreel.scenario import ScenarioBlock, schema_text
from cometreel.scenario.files import SCHEMA_NAME, as_written, dump_document

__all__ = ["WrittenScenario", "scenario_path", "write_scenario"]


@dataclass(frozen=True, slots=True)
class WrittenScenario:
    """The path of a written scenario, and a unified diff to the existing one; empty if they are equal."""

    path: Path
    difference: str = ""
    schema: Path | None = None
    """The JSON Schema next to it; None if there was one already."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the user about other files that were written."""
        return () if self.schema is None else (f"JSON Schema for editors in {self.schema}",)


def scenario_path(journal: Path) -> Path:
    """Return the path of the scenario of a journal: NAME.yaml next to NAME.jsonl."""
    return journal.with_suffix(".yaml")


def write_scenario(
    file: ScenarioBlock, target: Path, *, force: bool = False, inline_limit: int = INLINE_LIMIT
) -> WrittenScenario:
    """Write a scenario to `target`; if a different one exists, to NAME.new.yaml, or over it with `force`.

    Bodies and data of more than `inline_limit` bytes are written to data files in the folder NAME; with 0, all stay in
    the scenario. Existing data files are never changed: other content gets another name.

    The JSON Schema that the first line names is written next to it, for completion and checks in editors.

    :raises FileInvalid: if the file can't be written, or `target` isn't a file.
    """
    try:
        if target.exists() and not target.is_file():  # a device must not be read or replaced
            expected = "the path of a scenario, for example recordings/login.yaml"
            raise FileInvalid([Problem(str(target), 0, 0, "not a file", expected)])
        data = DataFolder(target, inline_limit)
        text = dump_document(data.document(as_written(file)))
        with data.written():
            written = _write_scenario(text, target, force=force)
        schema = _write_schema(target.parent / SCHEMA_NAME)  # last, so that an error leaves no files
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        expected = "a writable folder with free space"
        raise FileInvalid([Problem(str(target), 0, 0, found, expected)]) from None
    return replace(written, schema=schema)


def _write_scenario(text: str, target: Path, *, force: bool) -> WrittenScenario:
    if not target.exists():
        _write(target, text)
        return WrittenScenario(target)
    old = target.read_text("utf-8", errors="replace")
    if old == text:
        return WrittenScenario(target)
    path = target if force else _unused(target)
    _write(path, text)
    lines = difflib.unified_diff(old.splitlines(), text.splitlines(), str(target), str(path), lineterm="")
    return WrittenScenario(path, "\n".join(lines))


def _write_schema(path: Path) -> Path | None:
    """Write the schema unless it exists; it may be edited, or shared with scenarios of another version."""
    if path.exists():
        return None
    _write(path, schema_text())
    return path


def _unused(target: Path) -> Path:
    names = (f"{target.stem}.new{number if number > 1 else ''}{target.suffix}" for number in count(1))
    return next(path for path in map(target.with_name, names) if not path.exists())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
