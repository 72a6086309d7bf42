"""Reads the exchanges of a scenario file one after the other, so that only one of them is in memory as YAML.

Most lines of a scenario are `key:`, `key: value`, `- value` or `- key: value`, with a plain or quoted value. They are read
here, about five times as fast as by a YAML parser. `yaml_reader` reads an exchange with other lines, as a document with one
exchange, and the rest of the file. A file that has an error, or that can't be separated into exchanges with certainty,
raises `NotSeparable`; read it as a whole then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.data_files import DataFiles
from cometreel.scenario.sources import SourceFile, checked_source
from cometreel.scenario.yaml_reader import Document, NodePosition, is_text, plain_scalar, read_yaml

from .compiled import Position
from .model import ExchangeBlock
from .values import ValuePath

__all__ = ["NotSeparable", "SeparatedFile", "WrittenExchange", "checked_exchange", "separate"]

_PART = 256 * 1024
"""The number of bytes that are decoded at once."""

_MAX_DEPTH = 50
_KNOWN_LINES, _LONGEST_KNOWN = 5_000, 80
"""The number and the length of lines that are parsed only once, because scenarios repeat them."""

_SHARED_TEXTS, _LONGEST_SHARED = 20_000, 40
_KEY = re.compile(rb"^exchanges:[ ]*\n", re.MULTILINE)
_FIRST = re.compile(rb"(?:[ ]*\n|[ ]*#[ -~]*\n)*([ ]*)- [ ]*[^ \n]")
_END = re.compile(rb"\n(?:[^ \n#-]|-(?! ))")
_DIRECTIVE = re.compile(rb"^%", re.MULTILINE)
_OTHER_LINE_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
_CONTROL = r"\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff"
_LINE = re.compile(
    rf"""(?P<indent>[ ]*)
    (?: (?P<dash>-[ ]+)?
        (?: (?: (?P<key>[\w/.+][\w/.+-]{{0,200}})
              | "(?P<double_key>[^"\\{_CONTROL}]{{1,200}})"
              | '(?P<single_key>[^'{_CONTROL}]{{1,200}})'
            ):(?:[ ]+|$)
        )?
        (?: (?P<plain>(?:[\w/(<^.$+]|-(?=[\d.]))(?:[^{_CONTROL}]*[^ :{_CONTROL}])?)
          | (?P<double>"(?:[^"\\{_CONTROL}]|\\["\\/bfnrt])*")
          | '(?P<single>(?:[^'{_CONTROL}]|'')*)'
          | (?P<empty>\{{\}}|\[\])
        )?[ ]*
      | \#[ -~]*
    )""",
    re.VERBOSE,
)


class NotSeparable(Exception):
    """The file has an error, or its exchanges can't be separated with certainty."""


@dataclass(frozen=True, slots=True)
class WrittenExchange:
    """One exchange as it is written. `has_markers` is false if no key in it starts with `$`."""

    value: JSON
    has_markers: bool
    file: str
    _places: dict[ValuePath, NodePosition]
    _document: Document | None
    _text: bytes
    _line: int

    def position(self, path: ValuePath) -> Position:
        """Return the position of a value in it."""
        place = self._places.get(path)
        if place is not None:
            return Position(self.file, *place)
        document = self._document or _document(self._text, self.file, self._line)
        return Position(*document.position(("exchanges", 0, *path)))


@dataclass(frozen=True, slots=True)
class _Line:
    """One line. `indent` is the column of its dash, or of its key; columns count from 0.

    `is_open` is true if its key has no value, so that a mapping or a list may begin in the next line. `empty` creates an
    empty mapping or list.
    """

    indent: int
    is_item: bool
    key: str | None
    key_indent: int
    value: bool | int | float | str | None
    is_open: bool
    empty: Callable[[], JSON] | None


_Lines: TypeAlias = "Callable[[str], _Line | None]"


@dataclass(slots=True)
class SeparatedFile:
    """One scenario file: the blocks besides its exchanges, and the exchanges, which can be read once."""

    source: SourceFile
    _text: bytes
    _data_files: DataFiles
    _start: int
    _end: int
    _indent: str
    _first_line: int
    _known: dict[str, _Line | None] = field(default_factory=dict)
    _shared: dict[str, str] = field(default_factory=dict)

    def exchanges(self) -> Iterator[WrittenExchange]:
        """Yield the exchanges in file order.

        :raises NotSeparable: if one has an error, or isn't certainly separate from the others.
        """
        line = self._first_line
        for part in self._parts():
            begin = f"{self._indent}- "
            for text in part.removeprefix(begin).removesuffix("\n").split(f"\n{begin}"):
                yield self._exchange(text, line)
                line += text.count("\n") + 1

    def _parts(self) -> Iterator[str]:
        """Yield the text of the exchanges in parts that begin with an exchange."""
        text, start, self._text = self._text, self._start, b""
        separator = f"\n{self._indent}- ".encode()
        while start < self._end:
            next_item = text.find(separator, min(start + _PART, self._end), self._end)
            end = self._end if next_item < 0 else next_item + 1
            try:
                part = text[start:end].decode()
            except UnicodeDecodeError:
                raise NotSeparable from None
            if _OTHER_LINE_BREAK.search(part):
                raise NotSeparable
            yield part
            start = end

    def _exchange(self, text: str, line: int) -> WrittenExchange:
        file = self.source.document.file
        whole = f"exchanges:\n{self._indent}- {text}\n".encode()
        reader = _ExchangeLines(self._line, len(self._indent) + 2)
        value = reader.read(text.split("\n"), line)
        if value is not None:
            return WrittenExchange(value, False, file, reader.places, None, whole, line)
        document = _document(whole, file, line)
        if self._data_files.insert(document):
            raise NotSeparable
        assert isinstance(document.value, dict)
        exchanges = document.value["exchanges"]
        assert isinstance(exchanges, list)
        return WrittenExchange(exchanges[0], True, file, {}, document, b"", line)

    def _line(self, text: str) -> _Line | None:
        """Return a line; None if it is empty or a comment.

        :raises _OtherLine: if it has another form.
        """
        if text in self._known:
            return self._known[text]
        line = self._parsed(text)
        if len(self._known) < _KNOWN_LINES and len(text) <= _LONGEST_KNOWN:
            self._known[text] = line
        return line

    def _parsed(self, text: str) -> _Line | None:
        found = _LINE.fullmatch(text)
        if found is None:
            raise _OtherLine
        indent, dash, plain_key, double_key, single_key, plain, double, single, empty = found.groups()
        key = plain_key or double_key or single_key
        if key is None and plain is None and double is None and single is None and empty is None and dash is None:
            return None
        if key is None and dash is None:
            raise _OtherLine
        if key is not None and (key[0] == "$" or (plain_key is not None and not is_text(key))):
            raise _OtherLine
        value: bool | int | float | str | None = None
        if plain is not None:
            value = self._plain(plain)
        elif double is not None:
            value = self._short(json.loads(double) if "\\" in double else double[1:-1])
        elif single is not None:
            value = self._short(single.replace("''", "'"))
        elif key is None and empty is None:
            raise _OtherLine
        return _Line(
            indent=len(indent),
            is_item=dash is not None,
            key=None if key is None else self._short(key),
            key_indent=len(indent) + len(dash or ""),
            value=value,
            is_open=plain is None and double is None and single is None and empty is None,
            empty=None if empty is None else dict if empty == "{}" else list,
        )

    def _plain(self, text: str) -> bool | int | float | str | None:
        if ": " in text or " #" in text:
            raise _OtherLine
        try:
            value = plain_scalar(text)
        except ValueError:
            raise _OtherLine from None
        return self._short(value) if isinstance(value, str) else value

    def _short(self, text: str) -> str:
        """Return the text; a short one is kept once."""
        if len(text) > _LONGEST_SHARED or len(self._shared) >= _SHARED_TEXTS:
            return self._shared.get(text, text)
        return self._shared.setdefault(text, text)


class _OtherLine(Exception):
    """A line that isn't read here."""


class _ExchangeLines:
    """Builds one exchange from its lines."""

    def __init__(self, line_of: _Lines, indent: int) -> None:
        self.places: dict[ValuePath, NodePosition] = {}
        """The positions that a scenario keeps: of the exchange, its reply and its events."""
        self._line_of = line_of
        self._first_indent = indent
        self._outer: list[tuple[int, JSONObject | list[JSON]]] = []
        self._events: list[JSON] | None = None

    def read(self, lines: Sequence[str], first_line: int) -> JSONObject | None:
        """Return the exchange; None if `yaml_reader` must read it."""
        try:
            return self._read([" " * self._first_indent + lines[0], *lines[1:]], first_line)
        except _OtherLine:
            return None

    def _read(self, lines: Sequence[str], first_line: int) -> JSONObject:
        first = self._line_of(lines[0])
        if first is None or first.is_item:
            raise _OtherLine
        root: JSONObject = {}
        container: JSONObject | list[JSON] = root
        indent, key = first.indent, ""  # the key whose value may begin in the next line
        self.places[()] = first_line, indent + 1
        for number, text in enumerate(lines, first_line):
            line = self._line_of(text)
            if line is None:
                continue
            if line.indent > indent:
                if not key:
                    raise _OtherLine
                container = self._opened(container, indent, key, line, number)
                indent, key = line.indent, ""
            else:
                if key:
                    _set(container, key, None)
                    key = ""
                while line.indent < indent and self._outer:
                    indent, container = self._outer.pop()
                if line.indent != indent:
                    raise _OtherLine
            value = line.value if line.empty is None else line.empty()
            if line.is_item:
                if not isinstance(container, list):
                    raise _OtherLine
                if line.key is None:
                    container.append(value)
                    continue
                if container is self._events:
                    self.places["events", len(container)] = number, line.key_indent + 1
                member: JSONObject = {}
                container.append(member)
                self._outer.append((indent, container))
                indent, container = line.key_indent, member
            if line.is_open:
                key = str(line.key)
                if not isinstance(container, dict) or key in container:
                    raise _OtherLine
            else:
                _set(container, str(line.key), value)
        if key:
            _set(container, key, None)
        return root

    def _opened(
        self, container: JSONObject | list[JSON], indent: int, key: str, line: _Line, number: int
    ) -> JSONObject | list[JSON]:
        """Return the mapping or the list that begins with this line, as the value of `key`."""
        if len(self._outer) >= _MAX_DEPTH:
            raise _OtherLine
        inner: JSONObject | list[JSON] = [] if line.is_item else {}
        _set(container, key, inner)
        if not self._outer and key == "reply":
            self.places["reply",] = number, line.indent + 1
        if not self._outer and key == "events" and isinstance(inner, list):
            self._events = inner
        self._outer.append((indent, container))
        return inner


def _set(container: JSONObject | list[JSON], key: str, value: JSON) -> None:
    if not isinstance(container, dict) or key in container:
        raise _OtherLine
    container[key] = value


def _document(text: bytes, file: str, line: int) -> Document:
    """Read a document with one exchange, which is in this line of the file.

    :raises NotSeparable: if it has an error, or an anchor or alias, which could refer to another part of the file.
    """
    try:
        document = read_yaml(text, file)
    except FileInvalid:
        raise NotSeparable from None
    value = document.value
    exchanges = value.get("exchanges") if isinstance(value, dict) and len(value) == 1 else None
    if document.has_anchors or not isinstance(exchanges, list) or len(exchanges) != 1:
        raise NotSeparable
    return replace(document, line_offset=line - 2)


def checked_exchange(written: WrittenExchange) -> ExchangeBlock:
    """Check an exchange.

    :raises NotSeparable: if it is invalid.
    """
    try:
        return ExchangeBlock.model_validate(written.value, context={"file": written.file})
    except ValidationError:
        raise NotSeparable from None


def separate(text: bytes, file: str, folder: Path | None) -> SeparatedFile:
    """Find the exchanges in the text of a scenario file, and read the rest of it. `folder` contains its data files.

    :raises NotSeparable: if the rest has an error, or the exchanges aren't a block list in the usual form.
    """
    key = _KEY.search(text)
    first = None if key is None else _FIRST.match(text, key.end())
    if key is None or first is None or not text.endswith(b"\n"):
        raise NotSeparable
    end = _END.search(text, first.start(1))
    stop = len(text) if end is None else end.start() + 1
    before, after = text[: key.end()], text[stop:]
    lines = before.count(b"\n")
    if _DIRECTIVE.search(before):
        raise NotSeparable
    try:
        document = read_yaml(before + b"\n" * text.count(b"\n", key.end(), stop) + after, file)
        value = document.value
        if not isinstance(value, dict) or "exchanges" not in value or value["exchanges"] is not None:
            raise NotSeparable  # the line is a part of a text
        if document.place(("exchanges",), key=True) != (lines, 1):
            raise NotSeparable
        del value["exchanges"]
        data_files = DataFiles(folder)
        source = checked_source(document, data_files)
    except FileInvalid:
        raise NotSeparable from None
    first_line = lines + text.count(b"\n", key.end(), first.start(1)) + 1
    return SeparatedFile(source, text, data_files, first.start(1), stop, first[1].decode(), first_line)
