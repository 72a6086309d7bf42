"""Positions of calls in Python files, for blocks that are built by functions instead of read from YAML."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, FrameType

from cometreel.scenario.yaml_reader import FilePosition, NodePosition

__all__ = ["CallSite", "call_site"]

_PACKAGE = __name__.partition(".")[0]
_MOST_TABLES = 16
_COLUMN_BITS = 20
_tables: dict[int, tuple[CodeType, array[int]]] = {}
"""The positions of the instructions of a few code objects, by id, because a module may have thousands of calls."""


@dataclass(frozen=True, slots=True, eq=False)
class CallSite:
    """One call: the code that contains it, and its instruction. The position is computed when it is needed."""

    code: CodeType
    instruction: int

    @property
    def file(self) -> str:
        """The path of the Python file."""
        return self.code.co_filename

    @property
    def place(self) -> NodePosition:
        """Line and column of the call, counted from 1."""
        found = _tables.get(id(self.code))
        if found is None:
            if len(_tables) >= _MOST_TABLES:
                _tables.clear()
            found = _tables[id(self.code)] = (self.code, _table(self.code))
        packed = found[1][self.instruction // 2]
        return packed >> _COLUMN_BITS, packed & ((1 << _COLUMN_BITS) - 1)

    def position(self, path: Sequence[str | int], *, key: bool = False) -> FilePosition:
        """Return the position of the call, for each part of the block that it builds."""
        return (self.file, *self.place)


def _table(code: CodeType) -> array[int]:
    """Return line and column of each instruction as one number, because a long module has many instructions."""
    first = code.co_firstlineno
    return array(
        "Q", ((line or first) << _COLUMN_BITS | (column or 0) + 1 for line, _, column, _ in code.co_positions())
    )


def call_site() -> CallSite:
    """Return the call that entered this package: the position of the user's code."""
    frame: FrameType = sys._getframe(1)  # noqa: SLF001  # the only way that is fast enough for thousands of calls
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return CallSite(frame.f_code, frame.f_lasti)
