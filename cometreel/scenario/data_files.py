"""Data files: bodies and data in separate files, named with `{$file: desktop/initialization-1.json}`.

The content of a file replaces its marker when the scenario is read, so that everything else sees the value as if it was
written in the scenario. A value from a file knows its file; it is written back as the marker unless it was changed.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import is_
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON, NotJSON, decode, encode
from cometreel.scenario.yaml_reader import Document, FilePosition, read_yaml

__all__ = [
    "DataFiles",
    "FileList",
    "FileObject",
    "FileText",
    "FileValue",
    "data_path",
    "lines_of",
    "marker_of_file",
    "named_files",
    "read_lines",
    "read_regular_file",
    "with_markers",
]

_Kind: TypeAlias = Literal["json", "text", "base64"]
_KINDS: dict[str, _Kind] = {
    **dict.fromkeys(("body", "form", "data", "ext"), "json"),
    "text": "text",
    "base64": "base64",
}
_PARENTS = (("exchanges", int, "request"), ("exchanges", int, "reply"), ("exchanges", int, "events", int))
_ENTRIES = (("timeline", int), ("faults", int))
_INSTEAD = "write `text: {$file: …}` for text in another format, `base64: {$file: …}` for any bytes"
_EXPECTED = "the path of a file in the folder of the scenario, for example desktop/body-1.json"
_PLACE = re.compile(r"line (\d+) column (\d+)")
_DEEPEST = 90
_PART = 256 * 1024
"""The number of bytes that are read at once by `read_lines`."""


class FileObject(dict[str, JSON]):
    """An object from a data file. `content` is the value of the file; the object may have been changed since."""

    __slots__ = ("content", "file")

    def __init__(self, value: dict[str, JSON], content: JSON, file: str) -> None:
        super().__init__(value)
        self.content, self.file = content, file

    def __deepcopy__(self, memo: dict[int, object]) -> FileObject:
        return FileObject({key: _copied(member) for key, member in self.items()}, self.content, self.file)


class FileList(list[JSON]):
    """A list from a data file, as `FileObject`."""

    __slots__ = ("content", "file")

    def __init__(self, value: list[JSON], content: JSON, file: str) -> None:
        super().__init__(value)
        self.content, self.file = content, file

    def __deepcopy__(self, memo: dict[int, object]) -> FileList:
        return FileList([_copied(item) for item in self], self.content, self.file)


class FileText(str):
    """A text from a data file: the file itself, its base64, or the JSON string that it contains."""

    __slots__ = ("file",)
    file: str


FileValue: TypeAlias = FileObject | FileList | FileText


def _copied(value: JSON) -> JSON:
    """Copy objects and lists; much faster than `copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: _copied(member) for key, member in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def marker_of_file(value: object) -> dict[str, JSON] | None:
    """Return the marker of a value that comes from a data file and is unchanged, else None."""
    if isinstance(value, FileText):
        return {"$file": value.file}
    if isinstance(value, FileObject | FileList) and encode(value) == encode(value.content):
        return {"$file": value.file}
    return None


def with_markers(value: JSON, marker: Callable[[FileValue], JSON]) -> JSON:
    """Return a value in which `marker` replaced each value from a data file; the value itself if it has none."""
    if isinstance(value, FileObject | FileList | FileText):
        return marker(value)
    if isinstance(value, dict):
        members = {key: with_markers(member, marker) for key, member in value.items()}
        return value if all(map(is_, members.values(), value.values())) else members
    if isinstance(value, list):
        items = [with_markers(item, marker) for item in value]
        return value if all(map(is_, items, value)) else items
    return value


def read_regular_file(path: Path) -> bytes | None:
    """Return the content of a regular file, None for others, because reading a pipe or a terminal may never end.

    :raises OSError: if it can't be read.
    """
    with _opened(path) as file:
        return file.read() if _is_regular(file) else None


def read_lines(path: Path) -> list[bytes]:
    """Return the content of a regular file in parts of whole lines, which can be released one by one; none for others.

    :raises OSError: if it can't be read.
    """
    with _opened(path) as file:
        return lines_of(iter(lambda: file.read(_PART), b"")) if _is_regular(file) else []


def lines_of(parts: Iterable[bytes]) -> list[bytes]:
    """Return parts of a text so that each ends with a line break; the last one ends as the text does."""
    found: list[bytes] = []
    rest = b""
    for part in parts:
        end = part.rfind(b"\n") + 1
        if end:
            found.append(rest + part[:end])
        rest = part[end:] if end else rest + part
    return [*found, rest] if rest else found


def _opened(path: Path) -> BinaryIO:
    """Open a file without waiting, because opening a pipe waits for a writer."""
    return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")


def _is_regular(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def data_path(folder: Path, name: str) -> Path | None:
    """Return the path of a data file, None if the name leads out of the folder."""
    path = Path(name)
    if not name or path.is_absolute() or path.drive or "\\" in name or "\0" in name or ".." in path.parts:
        return None
    found = folder / path
    try:
        inside = found.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # too long, or a loop of symbolic links
        return None
    return found if inside else None


@dataclass(slots=True)
class _DataFile:
    """One data file. Its text is parsed again, with positions, only if a position in it is needed."""

    name: str
    path: Path
    content: bytes
    value: JSON
    _places: Document | None = None

    def position(self, path: Sequence[str | int], *, key: bool) -> FilePosition:
        if self._places is None:
            try:
                self._places = read_yaml(self.content, str(self.path))
            except FileInvalid:  # JSON that isn't YAML, for example with tabs
                self._places = Document(str(self.path), None, (1, 1))
        return self._places.position(path, key=key)


class _Invalid(Exception):
    """A data file that can't be used."""

    def __init__(self, found: str, expected: str, hint: str = "", place: FilePosition | None = None) -> None:
        super().__init__(found)
        self.found, self.expected, self.hint, self.place = found, expected, hint, place


@dataclass(slots=True)
class DataFiles:
    """Reads the data files of one scenario file; each once. `folder` is that of the scenario, None if it has none."""

    folder: Path | None
    _read: dict[tuple[str, _Kind], _DataFile] = field(default_factory=dict)

    def insert(self, document: Document) -> list[Problem]:
        """Replace the markers of a document by the contents of their files; return the problems.

        Markers where no file is allowed stay, and are refused by the checks of their fields.
        """
        problems: list[Problem] = []
        for path in document.file_markers:
            kind = _kind(path)
            if kind is None:
                continue
            name = _at(document.value, (*path, "$file"))
            try:
                value, file = self._value(name, kind)
            except _Invalid as error:
                here = document.position((*path, "$file"))
                hint = error.hint
                if error.place is not None:
                    used = "{}:{}:{}".format(*here)
                    hint = f"{hint}; used in {used}" if hint else f"used in {used}"
                problems.append(Problem(*(error.place or here), error.found, error.expected, hint))
                value = "" if kind != "json" else None  # the checks have nothing to add
            else:
                document.inserted[path] = file
            parent = _at(document.value, path[:-1])
            if isinstance(parent, dict | list):
                parent[path[-1]] = value  # type: ignore[index]  # the path comes from this document
        return problems

    def _value(self, name: JSON, kind: _Kind) -> tuple[JSON, _DataFile]:
        if not isinstance(name, str):
            raise _Invalid("$file isn't text", _EXPECTED)
        if (name, kind) not in self._read:
            self._read[name, kind] = self._file(name, kind)
        file = self._read[name, kind]
        value: JSON = file.value
        if isinstance(value, dict):
            return FileObject(value, value, name), file
        if isinstance(value, list):
            return FileList(value, value, name), file
        if isinstance(value, str):
            text = FileText(value)
            text.file = name
            return text, file
        return value, file

    def _file(self, name: str, kind: _Kind) -> _DataFile:
        if self.folder is None:
            found = f"the data file {name} can't be found: this scenario is text without a folder"
            raise _Invalid(found, "a scenario that is loaded from a file")
        path = data_path(self.folder, name)
        if path is None:
            raise _Invalid(f"the data file {name!r} is outside of the folder of the scenario", _EXPECTED)
        content = _content(path, name)
        if kind == "base64":
            value: JSON = base64.b64encode(content).decode()
        elif kind == "text":
            value = _text(path, name, content)
        else:
            value = _json(path, name, content)
        return _DataFile(name, path, content if kind == "json" else b"", value)


def _kind(path: tuple[str | int, ...]) -> _Kind | None:
    for parent in (*_PARENTS, *_ENTRIES):
        steps = path[: len(parent)]
        if len(path) > len(parent) and all(
            isinstance(step, int) if each is int else step == each for step, each in zip(steps, parent, strict=True)
        ):
            key = path[len(parent)]
            return _KINDS.get(key) if isinstance(key, str) else None
    return None


def _content(path: Path, name: str) -> bytes:
    try:
        content = read_regular_file(path)
    except FileNotFoundError:
        raise _Invalid(f"the data file {name} doesn't exist", _EXPECTED, f"looked for {path}") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _Invalid(f"the data file {name} can't be read: {reason}", "a readable file") from None
    if content is None:
        raise _Invalid(f"the data file {name} isn't a regular file, but a pipe or a device", _EXPECTED)
    return content


def _text(path: Path, name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        found = f"the data file {name} isn't UTF-8 text"
        place = (str(path), content.count(b"\n", 0, error.start) + 1, 1)
        raise _Invalid(found, "UTF-8 text", "write `base64: {$file: …}` for any bytes", place) from None


def _json(path: Path, name: str, content: bytes) -> JSON:
    try:
        value = decode(content)
    except NotJSON as error:
        place = _PLACE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (1, 1)
        reason = str(error).partition(": line")[0]
        found = f"the data file {name} isn't JSON: {reason}"
        raise _Invalid(found, "one JSON value", _INSTEAD, (str(path), line, column)) from None
    if content.count(b"{") + content.count(b"[") > _DEEPEST and _is_deep(value):
        raise _Invalid(f"the data file {name} is nested more than {_DEEPEST} levels deep", "fewer levels")
    return value


def _is_deep(value: JSON) -> bool:
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [child for each in level for child in _children(each)]
    return bool(level)


def _children(value: JSON) -> Iterator[JSON]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (child for child in children if isinstance(child, dict | list))


def _at(value: JSON, path: Sequence[str | int]) -> JSON:
    for step in path:
        if isinstance(value, dict):
            value = value[str(step)]
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
    return value


_REFERENCE = re.compile(rb"""\$file["']?\s*:\s*(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|([^\s"'#,}\]][^\n,}\]]*))""")


def named_files(scenario: Path) -> list[Path]:
    """Return the data files that the text of a scenario file names, also of an invalid one, to notice their edits."""
    try:
        text = read_regular_file(scenario) or b""
        names = {next(filter(None, found), b"").decode().strip() for found in _REFERENCE.findall(text)}
    except (OSError, UnicodeDecodeError):
        return []
    paths = (data_path(scenario.parent, name) for name in sorted(names))
    return [path for path in paths if path is not None]
