"""Reads the exchanges of a scenario file one after the other, so that only one of them is in memory as YAML.

Most lines of a scenario are `key:`, `key: value`, `- value` and `- key: value`, with a plain or quoted value. They are
read here, about three times as fast as by `yaml_reader`, which reads the rest of the file, and each exchange with other
lines as a document with one exchange. A file that has an error, or that can't be separated into exchanges with
certainty, raises `NotSeparable`; read it as a whole then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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

_MAX_DEPTH = 50
_LONGEST_COMMENT = 100_000
"""The number of bytes of empty lines and comments that may be before the first exchange."""

_KNOWN_LINES, _LONGEST_KNOWN = 5_000, 80
"""The number and the length of lines that are parsed only once, because scenarios repeat them."""

_SHARED_TEXTS, _LONGEST_SHARED = 20_000, 40
_KEY = re.compile(rb"^exchanges:[ ]*\r?\n", re.MULTILINE)
_FIRST = re.compile(rb"(?:[ ]*(?:#[^\n]*)?\r?\n)*([ ]*)- [ ]*[^ \r\n]")
_END = re.compile(rb"\n(?:[^ \r\n#-]|-(?! ))")
"""The line before the next block; it is searched in a text with a line break before it."""

_DIRECTIVE = re.compile(rb"^%", re.MULTILINE)
_OTHER_LINE_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
_CONTROL = r"\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff"
_COMMENTS = re.compile(rf"(?:[^{_CONTROL}]|\r?\n)*")
_VALUE_FORMS = rf"""
    (?: (?P<plain>(?:[\w/(<^.$+]|-(?=[\d.]))(?:[^{_CONTROL}]*[^ :{_CONTROL}])?)
      | (?P<double>"(?:[^"\\{_CONTROL}]|\\["\\/bfnrt])*")
      | '(?P<single>(?:[^'{_CONTROL}]|'')*)'
      | (?P<empty>\{{\}}|\[\])
    )[ ]*"""
_VALUE = re.compile(_VALUE_FORMS, re.VERBOSE)
_LINE = re.compile(
    rf"""
    (?P<start>(?P<indent>[ ]*)(?P<dash>-[ ]+)?)
    (?: (?: (?P<plain_key>[\w/.+][\w/.+-]{{0,200}})
          | "(?P<double_key>[^"\\{_CONTROL}]{{1,200}})"
          | '(?P<single_key>[^'{_CONTROL}]{{1,200}})'
        ):(?=[ ]|$)
    )?[ ]*
    (?P<value>(?:{_VALUE_FORMS})?)
    """,
    re.VERBOSE,
)
_BLANK = re.compile(rf"[ ]*(?:#[^{_CONTROL}]*)?")


class NotSeparable(Exception):
    """The file has an error, or its exchanges can't be separated with certainty."""


@dataclass(slots=True, unsafe_hash=True)
class WrittenExchange:
    """One exchange as it is written. `has_markers` is false if no key in it starts with `$`."""

    value: JSON
    has_markers: bool
    file: str
    _places: dict[ValuePath, NodePosition]
    _document: Callable[[], Document]

    def position(self, path: ValuePath) -> Position:
        """Return the position of a value in it."""
        place = self._places.get(path)
        if place is not None:
            return Position(self.file, *place)
        return Position(*self._document().position(("exchanges", 0, *path)))


_Scalar: TypeAlias = "bool | int | float | str | None"
_Empty: TypeAlias = "Callable[[], JSON]"


_ScenarioLine: TypeAlias = "tuple[int, bool, str, int, _Scalar, _Empty | None, bool]"
"""One line: the column of its dash or key, counted from 0, whether it has a dash, its key ("" if none), the column of
its key, its value, a function that creates its value if that is an empty mapping or list, and whether the value may
begin in the next line.
"""

_Lines: TypeAlias = "Callable[[str], _ScenarioLine | None]"


@dataclass(slots=True)
class SeparatedFile:
    """One scenario file: the blocks besides its exchanges, and the exchanges, which can be read once."""

    source: SourceFile
    _text: list[bytes]
    """The text of the exchanges in parts of whole lines, in reverse order."""
    _data_files: DataFiles
    _indent: str
    _first_line: int
    _known: dict[str, _ScenarioLine | None] = field(default_factory=dict)
    _heads: dict[str, tuple[int, bool, str, int]] = field(default_factory=dict)
    """The lines up to the end of their keys, as the first fields of `_ScenarioLine`."""
    _shared: dict[str, str] = field(default_factory=dict)

    def exchanges(self) -> Iterator[WrittenExchange]:
        """Yield the exchanges in file order.

        :raises NotSeparable: if one has an error, or isn't certainly separate from the others.
        """
        line = self._first_line
        begin = f"{self._indent}- "
        for part in self._parts(begin.encode()):
            items = _decoded(part)
            if _OTHER_LINE_BREAK.search(items):
                raise NotSeparable
            items = items.replace("\r\n", "\n")
            for text in items.removeprefix(begin).removesuffix("\n").split(f"\n{begin}"):
                yield self._exchange(text, line)
                line += text.count("\n") + 1

    def _parts(self, begin: bytes) -> Iterator[bytes]:
        """Yield the text of the exchanges in parts that begin with an exchange."""
        text = b""
        while self._text:
            text += self._text.pop()
            last = text.rfind(b"\n" + begin) + 1
            if last:
                yield text[:last]
                text = text[last:]
        if text:
            yield text

    def _exchange(self, text: str, line: int) -> WrittenExchange:
        file = self.source.document.file
        reader = _ExchangeLines(self._known, self._line)
        lines = f"{' ' * len(self._indent)}  {text}".split("\n")
        value = reader.read(lines, line)
        if value is not None:
            return WrittenExchange(value, False, file, reader.places, lambda: self._document(text, line))
        document = self._document(text, line)
        if self._data_files.insert(document):
            raise NotSeparable
        assert isinstance(document.value, dict)
        exchanges = document.value["exchanges"]
        assert isinstance(exchanges, list)
        return WrittenExchange(exchanges[0], True, file, {}, lambda: document)

    def _document(self, text: str, line: int) -> Document:
        """Read a document with one exchange, which is in this line of the file.

        :raises NotSeparable: if it has an error, or an anchor or alias, which could refer to another part of the file.
        """
        try:
            document = read_yaml(f"exchanges:\n{self._indent}- {text}\n", self.source.document.file)
        except FileInvalid:
            raise NotSeparable from None
        value = document.value
        exchanges = value.get("exchanges") if isinstance(value, dict) and len(value) == 1 else None
        if document.has_anchors or not isinstance(exchanges, list) or len(exchanges) != 1:
            raise NotSeparable
        return replace(document, line_offset=line - 2)

    def _line(self, text: str) -> _ScenarioLine | None:
        """Return a line that isn't in `_known`; None if it is empty or a comment.

        :raises _OtherLine: if it has another form.
        """
        line = self._parsed(text)
        if len(self._known) < _KNOWN_LINES and len(text) <= _LONGEST_KNOWN:
            self._known[text] = line
        return line

    def _parsed(self, text: str) -> _ScenarioLine | None:
        head, colon, written = text.partition(": ")
        start = self._heads.get(head) if colon else None
        if start is not None and (value := _VALUE.fullmatch(written)) is not None:
            return (*start, *self._value(value), False)
        if _BLANK.fullmatch(text):
            return None
        found = _LINE.fullmatch(text)
        if found is None:
            raise _OtherLine
        plain_key, double_key, single_key = found.group("plain_key", "double_key", "single_key")
        key = plain_key or double_key or single_key or ""
        if key[:1] == "$" or (plain_key and not is_text(key)) or not (key or (found["dash"] and found["value"])):
            raise _OtherLine
        start = len(found["indent"]), found["dash"] is not None, self._short(key), len(found["start"])
        value = _VALUE.fullmatch(found["value"])
        if value is None:
            return (*start, None, None, True)
        if key and ": " not in key and len(self._heads) < _KNOWN_LINES:
            self._heads[head] = start
        return (*start, *self._value(value), False)

    def _value(self, found: re.Match[str]) -> tuple[_Scalar, _Empty | None]:
        form = found.lastgroup or ""
        text = found[form]
        if form == "plain":
            if ": " in text or " #" in text:
                raise _OtherLine
            try:
                value = plain_scalar(text)
            except ValueError:
                raise _OtherLine from None
            return self._short(value) if isinstance(value, str) else value, None
        if form == "double":
            return self._short(json.loads(text) if "\\" in text else text[1:-1]), None
        if form == "single":
            return self._short(text.replace("''", "'")), None
        return None, dict if text == "{}" else list

    def _short(self, text: str) -> str:
        """Return the text; a short one is kept once."""
        if len(text) > _LONGEST_SHARED or len(self._shared) >= _SHARED_TEXTS:
            return self._shared.get(text, text)
        return self._shared.setdefault(text, text)


class _OtherLine(Exception):
    """A line that isn't read here."""


class _ExchangeLines:
    """Builds one exchange from its lines."""

    def __init__(self, known: Mapping[str, _ScenarioLine | None], line_of: _Lines) -> None:
        self.places: dict[ValuePath, NodePosition] = {}
        """The positions that a scenario keeps: of the exchange, its reply and its events."""
        self._known, self._line_of = known, line_of
        self._root: JSONObject = {}
        self._container: JSONObject | list[JSON] = self._root
        """The mapping or list to which the next line adds a value, if it has this indent."""
        self._indent = 0
        self._outer: list[tuple[int, JSONObject | list[JSON]]] = []
        """The indents and containers around it."""
        self._key = ""
        """The last key in the container, if its value may begin in the next line."""

    def read(self, lines: Sequence[str], first_line: int) -> JSONObject | None:
        """Return the exchange; None if `yaml_reader` must read it."""
        try:
            first = self._line_of(lines[0])
            if first is None or first[1]:
                return None
            self._indent = first[0]
            self.places[()] = first_line, self._indent + 1
            self._add(lines, first_line)
            self._close(self._indent)
        except _OtherLine:
            return None
        return self._root

    def _add(self, lines: Sequence[str], first_line: int) -> None:
        known, line_of = self._known, self._line_of
        for number, text in enumerate(lines, first_line):
            line = known[text] if text in known else line_of(text)
            if line is None:
                continue
            indent, is_item, key, key_indent, scalar, empty, is_open = line
            if indent > self._indent:
                self._open(indent, [] if is_item else {}, number)
            elif self._key or indent < self._indent:
                self._close(indent)
            value = scalar if empty is None else empty()
            if is_item:
                self._add_item({} if key else value, key_indent, number, is_mapping=bool(key))
                if not key:
                    continue
            container = self._container
            if not isinstance(container, dict) or key in container:
                raise _OtherLine
            if is_open:
                self._key = key
            else:
                container[key] = value

    def _open(self, indent: int, inner: JSONObject | list[JSON], line: int) -> None:
        """Add the value of the last key, which begins in this line."""
        container = self._container
        if not self._key or not isinstance(container, dict) or len(self._outer) >= _MAX_DEPTH:
            raise _OtherLine
        container[self._key] = inner
        if container is self._root and self._key == "reply":
            self.places["reply",] = line, indent + 1
        self._outer.append((self._indent, container))
        self._indent, self._container, self._key = indent, inner, ""

    def _close(self, indent: int) -> None:
        """End the containers that are deeper than a line; a key without a value has null."""
        if self._key and isinstance(self._container, dict):
            self._container[self._key] = None
            self._key = ""
        while indent < self._indent and self._outer:
            self._indent, self._container = self._outer.pop()
        if indent != self._indent:
            raise _OtherLine

    def _add_item(self, value: JSON, indent: int, line: int, *, is_mapping: bool) -> None:
        """Add an item to a list. The next line can add a member to it if it is a mapping."""
        container = self._container
        if not isinstance(container, list):
            raise _OtherLine
        if is_mapping and isinstance(value, dict):
            if len(self._outer) == 1 and container is self._root.get("events"):
                self.places["events", len(container)] = line, indent + 1
            self._outer.append((self._indent, container))
            self._indent, self._container = indent, value
        container.append(value)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise NotSeparable from None


def checked_exchange(written: WrittenExchange) -> ExchangeBlock:
    """Check an exchange.

    :raises NotSeparable: if it is invalid.
    """
    try:
        return ExchangeBlock.model_validate(written.value, context={"file": written.file})
    except ValidationError:
        raise NotSeparable from None


def separate(text: Sequence[bytes], file: str, folder: Path | None) -> SeparatedFile:
    """Find the exchanges in a scenario file, and read the rest of it. `folder` contains its data files.

    `text` has parts of whole lines, as those of `lines_of`. To save memory, release it afterwards.

    :raises NotSeparable: if the rest has an error, or the exchanges aren't a block list in the usual form.
    """
    before, exchanges, after = _sections(text)
    first = _FIRST.match(exchanges[0]) if exchanges else None
    while first is None and len(exchanges) > 1 and len(exchanges[0]) < _LONGEST_COMMENT:
        exchanges[:2] = [exchanges[0] + exchanges[1]]
        first = _FIRST.match(exchanges[0])
    if first is None or not text[-1].endswith(b"\n") or _DIRECTIVE.search(before):
        raise NotSeparable
    if not _COMMENTS.fullmatch(_decoded(exchanges[0][: first.start(1)])):
        raise NotSeparable
    lines = before.count(b"\n")
    try:
        document = read_yaml(before + b"\n" * sum(part.count(b"\n") for part in exchanges) + after, file)
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
    first_line = lines + exchanges[0].count(b"\n", 0, first.start(1)) + 1
    exchanges[0] = exchanges[0][first.start(1) :]
    return SeparatedFile(source, exchanges[::-1], data_files, first[1].decode(), first_line)


def _sections(text: Sequence[bytes]) -> tuple[bytes, list[bytes], bytes]:
    """Return the text up to the line `exchanges:`, that of the exchanges in parts, and the rest."""
    for number, part in enumerate(text):
        key = _KEY.search(part)
        if key is not None:
            parts = [rest for rest in (part[key.end() :], *text[number + 1 :]) if rest]
            before = b"".join([*text[:number], part[: key.end()]])
            break
    else:
        raise NotSeparable
    for number, part in enumerate(parts):
        end = _END.search(b"\n" + part)
        if end is not None:
            return before, [*parts[:number], part[: end.start()]], b"".join([part[end.start() :], *parts[number + 1 :]])
    return before, parts, b""
