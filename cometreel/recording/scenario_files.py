"""Writes scenarios atomically, and never over an existing one that may have been edited, unless forced."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, zip_longest
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.recording.data_folder import INLINE_LIMIT, DataFolder
from cometreel.recording.distiller import Distilled
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
    scenario: ScenarioBlock | Distilled | str, target: Path, *, force: bool = False, inline_limit: int = INLINE_LIMIT
) -> WrittenScenario:
    """Write a scenario, or its text, to `target`; if a different one exists, to NAME.new.yaml, or over it with `force`.

    Bodies and data of more than `inline_limit` bytes are written to data files in the folder NAME; with 0, all stay in
    the scenario. Existing data files are never changed: other content gets another name. A text is written as it is.

    The JSON Schema that the first line names is written next to it, for completion and checks in editors.

    :raises FileInvalid: if the file can't be written, or `target` isn't a file.
    """
    try:
        if target.exists() and not target.is_file():  # a device must not be read or replaced
            expected = "the path of a scenario, for example recordings/login.yaml"
            raise FileInvalid([Problem(str(target), 0, 0, "not a file", expected)])
        if isinstance(scenario, str):
            written = _write_scenario([scenario], target, force=force)
        else:
            data = DataFolder(target, inline_limit)
            with data.written():
                written = _write_scenario(dump_document(data.document(_document(scenario))), target, force=force)
        schema = _write_schema(target.parent / SCHEMA_NAME)  # last, so that an error leaves no files
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        expected = "a writable folder with free space"
        raise FileInvalid([Problem(str(target), 0, 0, found, expected)]) from None
    return replace(written, schema=schema)


def _document(scenario: ScenarioBlock | Distilled) -> Mapping[str, JSON | Iterator[JSON]]:
    """Return the keys of the file in their order; the long lists of a distilled scenario are iterators."""
    if isinstance(scenario, ScenarioBlock):
        return as_written(scenario)
    document: dict[str, JSON | Iterator[JSON]] = {
        **as_written(scenario.head.model_copy(update={"exchanges": [], "timeline": []}))
    }
    document["exchanges"] = map(as_written, scenario.exchanges)
    document["timeline"] = map(as_written, scenario.timeline)
    if not scenario.summary.timeline:
        del document["timeline"]
    return document


def _write_scenario(parts: Iterable[str], target: Path, *, force: bool) -> WrittenScenario:
    with _written(parts, target) as new:
        if not target.exists():
            new.replace(target)
            return WrittenScenario(target)
        if _are_equal(target, new):
            return WrittenScenario(target)
        old, text = target.read_text("utf-8", errors="replace"), new.read_text("utf-8")
        path = target if force else _unused(target)
        new.replace(path)
    lines = difflib.unified_diff(old.splitlines(), text.splitlines(), str(target), str(path), lineterm="")
    return WrittenScenario(path, "\n".join(lines))


def _are_equal(one: Path, other: Path) -> bool:
    """Return True if two files have the same lines, whatever their line ends; reads both line by line."""
    with one.open(encoding="utf-8", errors="replace") as first, other.open(encoding="utf-8") as second:
        return all(line == other for line, other in zip_longest(first, second))


def _write_schema(path: Path) -> Path | None:
    """Write the schema unless it exists; it may be edited, or shared with scenarios of another version."""
    if path.exists():
        return None
    with _written([schema_text()], path) as new:
        new.replace(path)
    return path


def _unused(target: Path) -> Path:
    names = (f"{target.stem}.new{number if number > 1 else ''}{target.suffix}" for number in count(1))
    return next(path for path in map(target.with_name, names) if not path.exists())


@contextmanager
def _written(parts: Iterable[str], target: Path) -> Iterator[Path]:
    """Return a file next to `target` with this text; it is deleted afterwards, unless it was renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(parts)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
