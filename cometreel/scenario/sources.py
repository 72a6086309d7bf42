"""Reads one scenario file into checked models. Each block is validated separately, so that an invalid exchange doesn't
hide the problems of the next one. References between blocks are checked by `cross_references`, called by `linking`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.yaml_reader import Document, read_yaml

from .compiled import Position
from .data_files import DataFiles, read_regular_file
from .findings import Finding, describe, findings_of, is_newer, problems_of, version_finding
from .model import Block, ExchangeBlock, FaultBlock, ScenarioBlock, TimelineBlock

__all__ = ["SourceFile", "checked_source", "read_source", "read_source_file"]

_BlockT = TypeVar("_BlockT", bound=Block)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: its document, its head (all keys but the lists), and its valid blocks with their numbers."""

    document: Document
    head: ScenarioBlock
    exchanges: list[tuple[int, ExchangeBlock]]
    timeline: Sequence[tuple[int, TimelineBlock]]
    faults: Sequence[tuple[int, FaultBlock]]
    names: Sequence[str]
    """The names of all exchanges, including invalid ones, so that references to them aren't reported."""

    problems: list[Problem] = field(default_factory=list)

    def position(self, path: Sequence[str | int], *, key: bool = False) -> Position:
        """Return the position of a value, or of its key."""
        return Position(*self.document.position(path, key=key))

    def written_position(self, path: Sequence[str | int], *, key: bool = False) -> Position:
        """Return the position in the scenario file: for a value from a data file, that of its marker."""
        return Position(self.document.file, *self.document.place(path, key=key))

    def blocks(self, key: str) -> list[JSON]:
        """Return a list of raw blocks, including invalid ones."""
        value = self.document.value
        items = value.get(key) if isinstance(value, dict) else None
        return items if isinstance(items, list) else []

    def file(self) -> ScenarioBlock:
        """Return the whole file as one model."""
        lists: dict[str, object] = {
            name: [block for _, block in blocks]
            for name, blocks in (("exchanges", self.exchanges), ("timeline", self.timeline), ("faults", self.faults))
            if isinstance(self.document.value, dict) and name in self.document.value
        }
        return self.head.model_copy(update=lists)


def read_source_file(path: Path) -> SourceFile:
    """Read and check one file and its data files as far as possible; its errors are in `problems`.

    :raises FileInvalid: if it can't be read, isn't YAML or isn't a scenario at all.
    """
    try:
        text = read_regular_file(path)
    except OSError as error:
        found = f"can't be read: {error.strerror or type(error).__name__}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a scenario file or folder")]) from None
    if text is None:
        found = "is not a regular file, but a pipe or a device"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a scenario file")])
    return read_source(text, str(path), path.parent)


def read_source(text: str | bytes, file: str, folder: Path | None = None) -> SourceFile:
    """Read and check a scenario as far as possible; its errors are in `problems`. `folder` contains its data files.

    :raises FileInvalid: if it isn't YAML or isn't a scenario at all.
    """
    return checked_source(read_yaml(text, file), DataFiles(folder))


def checked_source(document: Document, data_files: DataFiles) -> SourceFile:
    """Insert the data files into a document and check it, as `read_source`.

    :raises FileInvalid: if it isn't a scenario at all.
    """
    value, file = document.value, document.file
    if not isinstance(value, dict):
        line, column = document.place(())
        hint = "start the file with 'cometreel: 1'"
        raise FileInvalid([Problem(file, line, column, describe(value), "a mapping", hint)])
    if is_newer(value.get("cometreel")):  # other problems would be those of keys that this version doesn't know
        raise FileInvalid(problems_of([version_finding(("cometreel",), value["cometreel"])], document))
    problems = data_files.insert(document)
    rest = {key: member for key, member in value.items() if not _is_list_of_blocks(key, member)}
    head = _head(rest, document, problems)
    return SourceFile(
        document,
        head,
        _blocks(ExchangeBlock, "exchanges", value, document, problems),
        _blocks(TimelineBlock, "timeline", value, document, problems),
        _blocks(FaultBlock, "faults", value, document, problems),
        tuple(_names(value)),
        problems,
    )


def _is_list_of_blocks(key: str, member: JSON) -> bool:
    return key in ("exchanges", "timeline", "faults") and isinstance(member, list)


def _head(rest: JSONObject, document: Document, problems: list[Problem]) -> ScenarioBlock:
    if "cometreel" not in rest:
        missing = Finding((), "the file has no `cometreel`", hint="add `cometreel: 1`, the version of the format")
        problems.extend(problems_of([missing], document))
    try:
        return ScenarioBlock.model_validate(rest, context={"file": document.file})
    except ValidationError as error:
        problems.extend(problems_of(findings_of(error), document))
    return ScenarioBlock.model_construct(cometreel=1)


def _blocks(
    kind: type[_BlockT], key: str, value: JSONObject, document: Document, problems: list[Problem]
) -> list[tuple[int, _BlockT]]:
    items = value.get(key)
    found: list[tuple[int, _BlockT]] = []
    for number, item in enumerate(items if isinstance(items, list) else ()):
        try:
            found.append((number, kind.model_validate(item, context={"file": document.file})))
        except ValidationError as error:
            problems.extend(problems_of(findings_of(error), document, (key, number)))
    return found


def _names(value: JSONObject) -> list[str]:
    exchanges = value.get("exchanges")
    named = [item.get("name") for item in exchanges if isinstance(item, dict)] if isinstance(exchanges, list) else []
    return [name for name in named if isinstance(name, str)]
