"""The owners that requests name: from a CSV or YAML file, or from a pattern such as `place=Place{1..200}`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cometreel.errors import FileInvalid, OptionInvalid, Problem
from cometreel.load.mix import Mix
from cometreel.load.owner_kinds import OwnerKind
from cometreel.scenario.findings import describe, near
from cometreel.scenario.yaml_reader import Document, read_yaml

__all__ = ["NUMBER_RANGE", "Owners", "read_owners"]

_OPTION = "--reel-owners"
_WORDS = {kind.value: kind for kind in OwnerKind}
NUMBER_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST = 1_000_000
_HEADER = ["kind", "owner"]


class Owners:
    """The owners of each kind, in the given order, without duplicates.

    The owners of `agent` are the user names of the agents, if the run logs them in.
    """

    def __init__(self, owners: Mapping[OwnerKind, Iterable[str]]) -> None:
        self._owners = {kind: tuple(dict.fromkeys(names)) for kind, names in owners.items()}

    def of(self, kind: OwnerKind) -> tuple[str, ...]:
        """Return the owners of this kind."""
        return self._owners.get(kind, ())

    def missing(self, mix: Mix) -> list[OwnerKind]:
        """Return the kinds of the mix that need an owner and have none."""
        return [kind for kind in mix.kinds() if kind.owned and not self.of(kind)]

    def check(self, mix: Mix) -> None:
        """Check that each kind of the mix that needs an owner has one.

        :raises OptionInvalid: if a kind has none, with an example.
        """
        for kind in self.missing(mix):
            found = f"the mix has {kind.value}, but no owner of this kind is given"
            raise OptionInvalid(_OPTION, found, f"at least one, such as {kind.value}={kind.label}{{1..10}}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Owners) and self._owners == other._owners

    def __hash__(self) -> int:
        return hash(tuple(self._owners.items()))

    def __repr__(self) -> str:
        return f"Owners({ {kind.value: len(names) for kind, names in self._owners.items()} })"


def read_owners(values: Sequence[str]) -> Owners:
    """Read the values of `--reel-owners`: patterns (`place=Place{1..200}`) and file names, joined in order.

    :raises OptionInvalid: if a value is neither, or a pattern is invalid.
    :raises FileInvalid: if a file is invalid, with the line and column of every problem.
    """
    found: dict[OwnerKind, list[str]] = {}
    for value in values:
        word, equals, pattern = value.partition("=")
        kind = _WORDS.get(word.strip())
        if equals and kind is not None:
            found.setdefault(kind, []).extend(_expanded(pattern.strip(), value))
        elif Path(value).is_file():
            for each, names in _read_file(Path(value)).items():
                found.setdefault(each, []).extend(names)
        else:
            expected = f"a file, or KIND=NAME with one of {', '.join(_WORDS)}, such as place=Place{{1..200}}"
            raise OptionInvalid(_OPTION, f"{value!r} is no file", expected, near(word, _WORDS))
    return Owners(found)


def _expanded(pattern: str, value: str) -> list[str]:
    """Expand a pattern: `{1..200}` counts, `{001..200}` counts with leading zeros."""
    if not pattern:
        raise OptionInvalid(_OPTION, f"{value!r} has no name", "a name after the '='")
    ranges = list(NUMBER_RANGE.finditer(pattern))
    if not ranges:
        if "{" in pattern or "}" in pattern:
            raise OptionInvalid(_OPTION, f"{value!r}", "a range such as {1..200}")
        return [pattern]
    if len(ranges) > 1:
        raise OptionInvalid(_OPTION, f"{value!r} has {len(ranges)} ranges", "one range")
    before, after = pattern[: ranges[0].start()], pattern[ranges[0].end() :]
    first, last = ranges[0].groups()
    if int(first) > int(last):
        raise OptionInvalid(_OPTION, f"{value!r} counts down", "a range from low to high", f"{{{last}..{first}}}")
    if int(last) - int(first) >= _MOST:
        raise OptionInvalid(_OPTION, f"{value!r} has more than {_MOST} owners", "fewer")
    width = len(first) if first.startswith("0") else 0
    return [f"{before}{number:0{width}d}{after}" for number in range(int(first), int(last) + 1)]


def _read_file(path: Path) -> dict[OwnerKind, list[str]]:
    raw, yaml = path.read_bytes(), path.suffix.lower() in (".yaml", ".yml")
    begin = "place: [Place1]" if yaml else ",".join(_HEADER)
    if yaml:
        found = _from_yaml(read_yaml(raw, str(path), kind="owners by kind", first=begin))
    else:
        found = _from_csv(raw, str(path))
    if not any(found.values()):
        nothing = Problem(str(path), 0, 0, "it contains no owner", "at least one", f"start with '{begin}'")
        raise FileInvalid([nothing])
    return found


def _from_yaml(document: Document) -> dict[OwnerKind, list[str]]:
    """Read `place: [Place1, Place2]`, with one key for each kind."""
    problems: list[Problem] = []

    def wrong(path: tuple[str | int, ...], found: str, expected: str, hint: str = "", *, key: bool = False) -> None:
        problems.append(Problem(document.file, *document.place(path, key=key), found, expected, hint))

    found: dict[OwnerKind, list[str]] = {}
    if not isinstance(document.value, dict):
        wrong((), describe(document.value), "a mapping from kind to owners")
    for word, names in document.value.items() if isinstance(document.value, dict) else ():
        kind = _WORDS.get(word)
        if kind is None:
            wrong((word,), f"the key {word!r}", f"one of {', '.join(_WORDS)}", near(word, _WORDS), key=True)
        elif not isinstance(names, list):
            wrong((word,), describe(names), "a list of names")
        else:
            for number, name in enumerate(names):
                if isinstance(name, str) and name:
                    found.setdefault(kind, []).append(name)
                else:
                    wrong((word, number), describe(name), "a name", "quote it")
    if problems:
        raise FileInvalid(problems)
    return found


def _from_csv(raw: bytes, file: str) -> dict[OwnerKind, list[str]]:
    """Read a CSV table (RFC 4180) with the header `kind,owner`. The header is required."""
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = Problem(file, line, 1, f"the byte 0x{raw[error.start]:02x} is not UTF-8", "UTF-8 text")
        raise FileInvalid([problem]) from None
    problems: list[Problem] = []
    found: dict[OwnerKind, list[str]] = {}
    reader = csv.reader(lines)
    for row in reader:
        cells = [cell.strip() for cell in row]
        if reader.line_num == 1 and cells != _HEADER:
            problems.append(Problem(file, 1, 1, f"the header {','.join(cells)!r}", repr(",".join(_HEADER))))
        elif reader.line_num > 1 and any(cells):
            wrong = _row_problem(file, reader.line_num, row, cells)
            if wrong is None:
                found.setdefault(_WORDS[cells[0]], []).append(cells[1])
            else:
                problems.append(wrong)
    if problems:
        raise FileInvalid(problems)
    return found


def _row_problem(file: str, line: int, row: list[str], cells: list[str]) -> Problem | None:
    if len(cells) != len(_HEADER):
        return Problem(file, line, 1, f"{len(cells)} columns", "two, kind and owner")
    if cells[0] not in _WORDS:
        return Problem(file, line, 1, f"the kind {cells[0]!r}", f"one of {', '.join(_WORDS)}", near(cells[0], _WORDS))
    if not cells[1]:
        return Problem(file, line, len(row[0]) + 2, "no owner", "a name")
    return None
