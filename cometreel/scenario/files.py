"""Loads scenario files from disk and formats them as YAML."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic.fields import FieldInfo

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.data_files import FileValue, lines_of, marker_of_file, read_lines, with_markers
from cometreel.scenario.exchange import CompiledScenario
from cometreel.scenario.exchange_reader import NotSeparable, separate
from cometreel.scenario.linking import link, link_separated
from cometreel.scenario.model import NULLABLE, Block, ScenarioBlock
from cometreel.scenario.sources import SourceFile, read_source, read_source_file
from cometreel.scenario.yaml_writer import block

__all__ = ["SCHEMA_NAME", "as_written", "dump", "dump_document", "load", "loads", "parse", "read_sources"]

SCHEMA_NAME = "scenario.schema.json"
_SUFFIXES = (".yaml", ".yml")
_LONG_LISTS = ("exchanges", "timeline", "faults")


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector while many objects are created that all stay: it takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load(paths: Path | str | Iterable[Path | str]) -> CompiledScenario:
    """Load a file, a folder, or several of them as one scenario.

    A folder contributes its `*.yaml` and `*.yml` files in alphabetical order, without the proposals `*.new.yaml`.

    :raises FileInvalid: with every problem of every file.
    """
    with without_garbage_collection():
        return _load(paths)


def _load(paths: Path | str | Iterable[Path | str]) -> CompiledScenario:
    several = [paths] if isinstance(paths, Path | str) else list(paths)
    problems: list[Problem] = []
    found = list(_files([Path(path) for path in several], problems))
    if not problems:
        with suppress(NotSeparable, OSError):
            return link_separated([separate(read_lines(path), str(path), path.parent) for path in found])
    return _linked(*_read(several))


def _read(paths: Iterable[Path | str]) -> tuple[list[SourceFile], list[Problem]]:
    problems: list[Problem] = []
    sources: list[SourceFile] = []
    for path in _files([Path(path) for path in paths], problems):
        try:
            sources.append(read_source_file(path))
        except FileInvalid as error:
            problems.extend(error.problems)
    return sources, problems


def read_sources(paths: Iterable[Path | str]) -> list[SourceFile]:
    """Read files and folders without linking them; a source keeps the problems of its blocks.

    :raises FileInvalid: if one of them can't be read or isn't a scenario at all.
    """
    with without_garbage_collection():
        sources, problems = _read(paths)
    if problems:
        raise FileInvalid([*problems, *(problem for source in sources for problem in source.problems)])
    return sources


def loads(text: str | bytes, name: str = "<string>") -> CompiledScenario:
    """Load one scenario from text.

    :raises FileInvalid: with every problem.
    """
    with suppress(NotSeparable):
        content = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
        return link_separated([separate(lines_of([content]), name, None)])
    return _linked([read_source(text, name)], [])


def parse(path: Path | str) -> ScenarioBlock:
    """Read one file without linking it, so that it may refer to other files of the same scenario.

    :raises FileInvalid: with every problem.
    """
    source = read_source_file(Path(path))
    if source.problems:
        raise FileInvalid(source.problems)
    return source.file()


def _linked(sources: Sequence[SourceFile], problems: list[Problem]) -> CompiledScenario:
    try:
        scenario = link(sources)
    except FileInvalid as error:
        raise FileInvalid([*problems, *error.problems]) from None
    if problems:
        raise FileInvalid(problems)
    return scenario


def _files(paths: Sequence[Path], problems: list[Problem]) -> Iterator[Path]:
    if not paths:
        problems.append(Problem("scenario", 0, 0, "no file was given", "at least one file or folder"))
    for path in paths:
        is_folder = os.path.isdir(path)  # noqa: PTH112  # pathlib fails for a name that is too long
        yield from _files_of(path, problems) if is_folder else [path]


def _files_of(folder: Path, problems: list[Problem]) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        problems.append(_unreadable(folder, error))
        return []
    found = [entry for entry in entries if entry.suffix in _SUFFIXES and not entry.stem.endswith(".new")]
    if not found:
        problems.append(Problem(str(folder), 0, 0, "the folder has no scenarios", "*.yaml or *.yml files"))
    return found


def _unreadable(path: Path, error: OSError) -> Problem:
    reason = error.strerror or type(error).__name__
    return Problem(str(path), 0, 0, f"can't be read: {reason}", "a scenario file or folder")


def dump(file: ScenarioBlock, schema: str = SCHEMA_NAME) -> str:
    """Format a file as YAML: block style, keys in the order of the format, no anchors. Equal files give equal text.

    `schema` is the path or URL of the JSON Schema for editors, by default a file next to the scenario. Values from data
    files are written as `{$file: …}` again, unless they were changed.
    """
    document = {key: with_markers(value, _marker) for key, value in as_written(file).items()}
    return "".join(dump_document(document, schema))


def _marker(value: FileValue) -> JSON:
    return marker_of_file(value) or value


def dump_document(document: Mapping[str, JSON | Iterator[JSON]], schema: str = SCHEMA_NAME) -> Iterator[str]:
    """Format the keys of a scenario file as YAML, as `dump`; yield the text in parts.

    Values of the long lists may be iterators, so that their items need not be in memory together.
    """
    yield f"# yaml-language-server: $schema={schema}\ncometreel: 1\n"
    for key, value in document.items():
        if isinstance(value, Iterator) or (key in _LONG_LISTS and isinstance(value, list)):
            number = -1
            for number, item in enumerate(value):
                yield "\n".join(["" if number else f"\n{key}:", *block([item], "  "), ""])
            value = []  # noqa: PLW2901
            if number >= 0:
                continue
        if key != "cometreel":
            yield "\n".join([*block({key: value}), ""])


def as_written(written: Block) -> JSONObject:
    """Return the keys that were set in a block, in the order of the format; null only where null is a value.

    Values from data files stay as they are; change a copy (`copy.deepcopy`) only.
    """
    found: JSONObject = {}
    for name, field in _ordered(type(written)):
        value = getattr(written, name)
        if name in written.model_fields_set and (value is not None or name in NULLABLE):
            found[field.alias or name] = _value(value)
    for name, value in sorted((written.model_extra or {}).items()):
        found[name] = value
    return found


def _ordered(kind: type[Block]) -> list[tuple[str, FieldInfo]]:
    """Return the fields of a block: its own before the inherited ones."""
    inherited = {name for base in kind.__bases__ if issubclass(base, Block) for name in base.model_fields}
    return sorted(kind.model_fields.items(), key=lambda field: field[0] in inherited)


def _value(value: object) -> JSON:
    if isinstance(value, Block):
        return as_written(value)
    if isinstance(value, list) and any(isinstance(item, Block) for item in value):
        return [_value(item) for item in value]
    if isinstance(value, dict) and any(isinstance(member, Block) for member in value.values()):
        return {key: _value(member) for key, member in value.items()}
    assert value is None or isinstance(value, bool | int | float | str | list | dict)
    return value
