"""Reads YAML 1.2 (core schema) as JSON values, with the line and column of every value and key.

libyaml parses the text into events (CSafeLoader); this module resolves them: `No`, `on`, `0123`, `12:30:45` and dates
are strings, tags are errors, recursive aliases are errors, and expanded aliases are limited.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import yaml

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON, NumberLiteral, number

__all__ = ["Document", "FilePosition", "NodePosition", "NodePositions", "is_text", "plain_scalar", "read_yaml"]

NodePosition: TypeAlias = tuple[int, int]
"""Line and column of a scalar, counted from 1."""

FilePosition: TypeAlias = tuple[str, int, int]
"""A file with a line and a column in it."""

_MAX_DEPTH = 100
_SHARED_LENGTH, _SHARED_TEXTS = 40, 20_000
"""The length and the number of texts that are kept once, because scenarios repeat them."""

_BLOCK_DEPTH = 4
"""The depth of the events of an exchange: positions in them and in bodies are kept only on the way to markers."""

_TOO_DEEP = f"nested more than {_MAX_DEPTH} levels deep"
_EXPANDED_NODES = 1_000_000
_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_DOT_BEFORE_EXPONENT = re.compile(r"\.(?=[eE])")
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_FORBIDDEN = yaml.reader.Reader.NON_PRINTABLE  # YAML 1.2 §5.1; to compile it again would take 4 ms of the start-up


_Packed: TypeAlias = int
"""A line and a column as one number, which needs a third of the memory of a pair."""


def _packed(place: NodePosition) -> _Packed:
    return place[0] << 32 | place[1]


def _unpacked(place: _Packed) -> NodePosition:
    return place >> 32 & 0xFFFFFFFF, place & 0xFFFFFFFF


@dataclass(slots=True)
class NodePositions:
    """The position of a mapping or a sequence, of its key if it is a member, and of its children."""

    place: _Packed
    key: _Packed = 0
    nodes: int = 1
    """The number of values in it, with aliases expanded."""
    members: dict[str, NodePositions | int] | None = None
    """The children of a mapping. That of a scalar has the position of the key in its upper 64 bits, then its own."""
    items: list[NodePositions | _Packed] | None = None

    def child(self, step: str | int) -> tuple[NodePosition | None, NodePositions | NodePosition] | None:
        """Return the position of the key and the child at one step of a path; None if there is none."""
        if isinstance(step, int):
            item = self.items[step] if self.items is not None and step < len(self.items) else None
            return None if item is None else (None, _unpacked(item) if isinstance(item, int) else item)
        member = None if self.members is None else self.members.get(step)
        if isinstance(member, int):
            return _unpacked(member >> 64), _unpacked(member)
        return None if member is None else (_unpacked(member.key), member)


class _Inserted(Protocol):
    """A value that was inserted from another file."""

    def position(self, path: Sequence[str | int], *, key: bool) -> FilePosition:
        """Return the position in that file of a part of the value."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document as a JSON value, and the positions in it."""

    file: str
    value: JSON
    places: NodePositions | NodePosition
    file_markers: Sequence[tuple[str | int, ...]] = ()
    """The paths of the markers `{$file: …}`."""
    inserted: dict[tuple[str | int, ...], _Inserted] = field(default_factory=dict)
    """The values that replaced such markers, by path."""
    text: bytes = b""
    """The text, if `places` has no positions inside of values without markers: it is read again when one is needed."""
    has_anchors: bool = False
    line_offset: int = 0
    """The number of lines before the text in the file, if it is a part of the file."""
    _complete: list[Document] = field(default_factory=list)

    def position(self, path: Sequence[str | int], *, key: bool = False) -> FilePosition:
        """Return the position of a value or key; of one in an inserted value, the position in its own file."""
        for length in range(1, len(path)) if self.inserted else ():
            inserted = self.inserted.get(tuple(path[:length]))
            if inserted is not None:
                return inserted.position(path[length:], key=key)
        return (self.file, *self.place(path, key=key))

    def place(self, path: Sequence[str | int], *, key: bool = False) -> NodePosition:
        """Return the position of the value at this path, or of its key; for a missing value, of the nearest parent."""
        line, column = self._place(path, key=key)
        return line + self.line_offset, column

    def _place(self, path: Sequence[str | int], *, key: bool) -> NodePosition:
        here: NodePositions | NodePosition = self.places
        at_key: NodePosition | None = None
        for step in path:
            if isinstance(here, tuple):
                break
            if here.nodes > 1 and here.members is None and here.items is None:
                return self._reread().place(path, key=key)  # without an offset
            found = here.child(step)
            if found is not None:
                at_key, here = found
        if key and at_key is not None:
            return at_key
        return here if isinstance(here, tuple) else _unpacked(here.place)

    def _reread(self) -> Document:
        """Return the document with all positions."""
        if not self._complete:
            reader = _YamlReader(self.text, self.file, complete=True)
            reader.run()
            self._complete.append(Document(self.file, None, reader.root_places))
        return self._complete[0]


def read_yaml(text: str | bytes, file: str, *, kind: str = "a scenario", first: str = "cometreel: 1") -> Document:
    """Read one YAML document. The error for an empty file names the expected `kind` and the `first` line.

    :raises FileInvalid: if it isn't one document of plain YAML 1.2 core data, with every problem.
    """
    checked = _checked(text, file)
    reader = _YamlReader(checked, file)
    try:
        reader.run()
    except yaml.MarkedYAMLError as error:
        reader.problems.append(_syntax_problem(error, file))
    if not reader.started and not reader.problems:
        reader.problems.append(Problem(file, 0, 0, "the file is empty", kind, f"start with '{first}'"))
    if reader.problems:
        raise FileInvalid(reader.problems)
    return Document(
        file, reader.root, reader.root_places, reader.file_markers, text=checked, has_anchors=reader.has_anchors
    )


def _checked(text: str | bytes, file: str) -> bytes:
    """Return the text in UTF-8, and check that YAML allows its characters."""
    raw = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        text = raw.decode(errors="strict" if isinstance(text, bytes) else "surrogatepass")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        line, column = _position(before, len(before))
        byte = f"the byte 0x{raw[error.start]:02x} is not UTF-8"
        raise FileInvalid([Problem(file, line, column, byte, "UTF-8 text", "save the file as UTF-8")]) from None
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        line, column = _position(text, forbidden.start())
        found = f"the character U+{ord(forbidden[0]):04X} isn't allowed in YAML"
        hint = f'write it as "\\u{ord(forbidden[0]):04x}" in double quotes'
        raise FileInvalid([Problem(file, line, column, found, "printable text", hint)])
    return raw


def _position(text: str, offset: int) -> NodePosition:
    line = text.count("\n", 0, offset) + 1
    return line, offset - (text.rfind("\n", 0, offset) + 1) + 1


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    if "maximum nesting depth" in (error.problem or ""):  # newer libyaml has its own limit and reads ahead
        return Problem(file, line, column, _TOO_DEEP, "fewer levels")
    found = f"not YAML: {error.problem}" + (f" {error.context}" if error.context else "")
    hint = (
        "indent with spaces, not tabs; quote a text that starts with @, ` or %"
        if "cannot start" in found or "tab char" in found
        else ""
    )
    return Problem(file, line, column, found, "YAML 1.2", hint)


def _float(text: str) -> float:
    """Return a number with the text that JSON has for it: `1.e+16` is `1e+16` in a form that YAML 1.1 reads too.

    :raises ValueError: if a double can't hold it.
    """
    text = _DOT_BEFORE_EXPONENT.sub("", text, count=1)
    return number(text) if _JSON_NUMBER.fullmatch(text) else float(repr(number(text)))


class _NotANumber(ValueError):
    """A plain scalar that is written as a number, but that JSON can't represent."""

    def __init__(self, found: str, expected: str, hint: str) -> None:
        super().__init__(found)
        self.found, self.expected, self.hint = found, expected, hint


def plain_scalar(text: str) -> bool | int | float | str | None:
    """Return the value of a plain scalar in the core schema; numbers with a leading zero stay text.

    :raises ValueError: if it is a number that JSON can't represent.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    if _NOT_JSON.fullmatch(text):
        raise _NotANumber(f"{text} isn't a JSON number", "a finite number", f"write '{text}' for a string")
    try:
        if _INTEGER.fullmatch(text):
            return NumberLiteral(text) if text == "-0" else int(text)
        if _OTHER_BASE.fullmatch(text):
            return int(text, 0)
        return _float(text) if _FLOAT.fullmatch(text) else text
    except ValueError:
        raise _NotANumber("the number is too large", "a number that a double can hold", "quote it") from None


def is_text(plain: str) -> bool:
    """True if a plain scalar is a text."""
    try:
        return isinstance(plain_scalar(plain), str)
    except ValueError:
        return False


def _place(event: yaml.Event) -> NodePosition:
    mark = event.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _OpenCollection:
    """A mapping or sequence that hasn't ended yet."""

    places: NodePositions
    value: dict[str, JSON] | list[JSON]
    anchor: str | None
    key: str | None = None
    key_place: NodePosition = (0, 0)
    has_marker: bool = False


def _step(frame: _OpenCollection) -> str | int:
    """Return the key or the number of the value that is added next."""
    return len(frame.value) if isinstance(frame.value, list) else str(frame.key)


class _YamlReader:
    """Builds one value from libyaml's events, without recursion."""

    def __init__(self, text: bytes, file: str, *, complete: bool = False) -> None:
        self.file = file
        self._complete = complete
        self.problems: list[Problem] = []
        self.file_markers: list[tuple[str | int, ...]] = []
        self.started = False
        self.root: JSON = None
        self.root_places: NodePositions | NodePosition = (1, 1)
        self._parser = yaml.CSafeLoader(text)
        self._open: list[_OpenCollection] = []
        self.has_anchors = False
        self._anchors: dict[str, tuple[JSON, NodePositions | NodePosition]] = {}
        self._copied = 0
        self._shared: dict[str, str] = {}

    def run(self) -> None:
        parser = self._parser
        try:
            while True:
                event = parser.get_event()
                if isinstance(event, yaml.ScalarEvent):
                    self._scalar(event)
                elif isinstance(event, yaml.CollectionStartEvent):
                    if not self._start(event):
                        return
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._end()
                elif isinstance(event, yaml.AliasEvent):
                    if not self._alias(event):
                        return
                elif isinstance(event, yaml.DocumentStartEvent) and self.started:
                    self._problem(_place(event), "the file has a second document", "one document", "remove the '---'")
                    return
                elif isinstance(event, yaml.StreamEndEvent):
                    return
        finally:
            parser.dispose()

    def _problem(self, place: NodePosition, found: str, expected: str = "", hint: str = "") -> None:
        self.problems.append(Problem(self.file, *place, found, expected, hint))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if event.tag is not None and event.tag not in _TAGS:
            self._refuse_tag(event)
        place = _place(event)
        text: str = event.value
        if len(text) <= _SHARED_LENGTH and len(self._shared) < _SHARED_TEXTS:
            text = self._shared.setdefault(text, text)
        frame = self._open[-1] if self._open else None
        if frame is not None and frame.key is None and type(frame.value) is dict:
            self._key(frame, event, place)
            return
        value = self._resolved(text, place) if event.implicit[0] else text
        if event.anchor is not None:
            self._anchor(event.anchor, value, place)
        self._add(value, place, 1)

    def _resolved(self, text: str, place: NodePosition) -> JSON:
        """Return the value of a plain scalar."""
        try:
            return plain_scalar(text)
        except _NotANumber as error:
            self._problem(place, error.found, error.expected, error.hint)
            return text

    def _key(self, frame: _OpenCollection, event: yaml.ScalarEvent, place: NodePosition) -> None:
        text: str = event.value
        plain = event.implicit[0]
        if plain and text == "<<":
            hint = "write the members out, or quote it if it is a key"
            self._problem(place, "'<<' doesn't merge mappings in YAML 1.2", "a key", hint)
        elif plain and not isinstance(self._resolved(text, place), str):
            found = f"the key {text or '~'} isn't a string"
            self._problem(place, found, "a string", f"write '{text}':")
        if event.anchor is not None:
            self._anchor(event.anchor, text, place)
        first = frame.places.child(text)
        if first is not None and first[0] is not None:
            found = f"the key {text!r} is duplicated"
            self._problem(place, found, "each key once", f"first used in line {first[0][0]}")
        if text[:1] == "$":
            frame.has_marker = True
        frame.key, frame.key_place = self._shared.setdefault(text, text), place

    def _start(self, event: yaml.CollectionStartEvent) -> bool:
        if event.tag is not None and event.tag not in _TAGS:
            self._refuse_tag(event)
        place = _place(event)
        if self._open and self._open[-1].key is None and isinstance(self._open[-1].value, dict):
            hint = 'quote it; write {$t: "{{ … }}"} for a template'
            self._problem(place, "a key is a mapping or a sequence", "a string", hint)
            return False
        if len(self._open) >= _MAX_DEPTH:
            self._problem(place, _TOO_DEEP, "fewer levels")
            return False
        value: dict[str, JSON] | list[JSON] = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        self._open.append(_OpenCollection(NodePositions(_packed(place)), value, event.anchor))
        return True

    def _end(self) -> None:
        frame = self._open.pop()
        if frame.has_marker and self._open:
            self._open[-1].has_marker = True
        elif len(self._open) >= _BLOCK_DEPTH and not self._complete:
            frame.places.members = frame.places.items = None
        if frame.anchor is not None:
            self._anchor(frame.anchor, frame.value, frame.places)
        self._add(frame.value, frame.places, frame.places.nodes)

    def _anchor(self, name: str, value: JSON, places: NodePositions | NodePosition) -> None:
        self.has_anchors = True
        self._anchors[name] = value, places

    def _alias(self, event: yaml.AliasEvent) -> bool:
        place = _place(event)
        if any(frame.anchor == event.anchor for frame in self._open):
            self._problem(place, f"the alias *{event.anchor} is inside its own anchor", "no recursion")
            return False
        if event.anchor not in self._anchors:
            found = f"the alias *{event.anchor} has no anchor before it"
            self._problem(place, found, "a defined anchor", f"define &{event.anchor} first")
            return False
        value, places = self._anchors[event.anchor]
        nodes = 1 if isinstance(places, tuple) else places.nodes
        self._copied += nodes
        if self._copied > _EXPANDED_NODES:
            self._problem(
                place,
                f"aliases expand to more than {_EXPANDED_NODES} values",
                "fewer",
                "write the data without aliases",
            )
            return False
        frame = self._open[-1] if self._open else None
        if frame is not None and frame.key is None and isinstance(frame.value, dict):
            self._problem(place, "a key is an alias", "a string")
            return False
        self._add(value, places, nodes)
        return True

    def _add(self, value: JSON, place: NodePositions | NodePosition, nodes: int) -> None:
        if not self._open:
            self.root, self.root_places, self.started = value, place, True
            return
        frame = self._open[-1]
        container, places = frame.value, frame.places
        places.nodes += nodes
        if type(value) is dict and len(value) == 1 and "$file" in value:
            self.file_markers.append(tuple(map(_step, self._open)))
        if isinstance(container, list):
            container.append(value)
            if places.items is None:
                places.items = []
            places.items.append(_packed(place) if isinstance(place, tuple) else place)
        elif frame.key is not None:
            container[frame.key] = value
            if places.members is None:
                places.members = {}
            key = _packed(frame.key_place)
            if isinstance(place, tuple):
                places.members[frame.key] = key << 64 | _packed(place)
            else:
                places.members[frame.key] = replace(place, key=key)  # a copy, because an alias has another key
            frame.key = None

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
        self._problem(_place(event), f"the tag {tag} isn't allowed", "plain data", "remove the tag")
