"""Two JSON values, and every difference between them: where, what it was, what it is. deepdiff finds them.

Knows values only. `1` is `1.0` and isn't `true`, as in all of Cometreel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from cometreel.jsonvalue import JSON, same
from cometreel.scenario.matchers import MISSING

if TYPE_CHECKING:
    from deepdiff import DeepDiff
    from deepdiff.model import DiffLevel

__all__ = ["ValueChange", "ChangeKind", "changes", "leaves"]


class ChangeKind(Enum):
    """In which way one value differs; the words of the report."""

    CHANGED = "value changed"
    RETYPED = "type changed"
    REMOVED = "field removed"
    ADDED = "field added"
    RENAMED = "field renamed"
    ITEM_REMOVED = "item removed"
    ITEM_ADDED = "item added"


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One difference. `recorded` or `live` is MISSING where there is nothing; of a renamed field they are its names.

    `path` leads to the recorded value, or, where nothing was recorded, to the live one, as `live_path` always does:
    in an array that has lost an item the two differ. `renamed` is the new name.
    """

    how: ChangeKind
    path: tuple[str | int, ...]
    recorded: JSON | object
    live: JSON | object
    live_path: tuple[str | int, ...] = ()
    renamed: str = ""


def changes(recorded: JSON, live: JSON) -> list[ValueChange]:
    """Every difference between two values, in the order of the recorded one's members; what is new comes last."""
    if same(recorded, live):
        return []
    from deepdiff import DeepDiff  # noqa: PLC0415  # an optional dependency

    flagged = _flagged(recorded), _flagged(live)
    found = list(_found(DeepDiff(*flagged, view="tree", threshold_to_diff_deeper=0, ignore_private_variables=False)))
    order = {path: number for number, path in enumerate(_paths(recorded, ()))}
    return sorted(_with_renames(found), key=lambda change: order.get(change.path, len(order)))


def leaves(value: JSON) -> int:
    """How many values without members there are; at least one."""
    if isinstance(value, dict | list) and value:
        return sum(map(leaves, value.values() if isinstance(value, dict) else value))
    return 1


_WORDS = {
    "values_changed": ChangeKind.CHANGED,
    "type_changes": ChangeKind.RETYPED,
    "dictionary_item_removed": ChangeKind.REMOVED,
    "dictionary_item_added": ChangeKind.ADDED,
    "iterable_item_removed": ChangeKind.ITEM_REMOVED,
    "iterable_item_added": ChangeKind.ITEM_ADDED,
}


def _found(diff: DeepDiff) -> Iterator[ValueChange]:
    for word, how in _WORDS.items():
        for level in diff.get(word, ()):
            recorded = MISSING if how in (ChangeKind.ADDED, ChangeKind.ITEM_ADDED) else _plain(level.t1)
            live = MISSING if how in (ChangeKind.REMOVED, ChangeKind.ITEM_REMOVED) else _plain(level.t2)
            if how not in (ChangeKind.CHANGED, ChangeKind.RETYPED):
                yield ValueChange(how, _path(level), recorded, live, _path(level, live=True))
            elif not same(recorded, live):  # type: ignore[arg-type]  # neither is MISSING
                how_it_is = ChangeKind.CHANGED if _type(recorded) is _type(live) else ChangeKind.RETYPED
                yield ValueChange(how_it_is, _path(level), recorded, live, _path(level, live=True))


_FLAGS = {True: "\0true", False: "\0false"}


def _flagged(value: JSON, *, item: bool = False) -> JSON:
    """The value with other signs for true and false in arrays: deepdiff aligns items by Python's `1 == True`."""
    if isinstance(value, bool):
        return _FLAGS[value] if item else value
    if isinstance(value, list):
        return [_flagged(each, item=True) for each in value]
    return {key: _flagged(member) for key, member in value.items()} if isinstance(value, dict) else value


def _plain(value: JSON) -> JSON:
    if isinstance(value, str):
        return next((flag for flag, sign in _FLAGS.items() if sign == value), value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {key: _plain(member) for key, member in value.items()} if isinstance(value, dict) else value


def _type(value: JSON | object) -> type:
    """The type as JSON has it: one for all numbers."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _path(level: DiffLevel, *, live: bool = False) -> tuple[str | int, ...]:
    steps = level.path(output_format="list", use_t2=live)
    return tuple(step if isinstance(step, int) else str(step) for step in steps or ())


def _paths(value: JSON, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    yield path
    members: Sequence[tuple[str | int, JSON]] = ()
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    for step, member in members:
        yield from _paths(member, (*path, step))


def _with_renames(found: Sequence[ValueChange]) -> Iterator[ValueChange]:
    """A field that is gone and a new one beside it with the same value are one that was renamed."""
    new = [change for change in found if change.how is ChangeKind.ADDED]
    for change in found:
        if change.how is ChangeKind.ADDED:
            continue
        twin = _twin(change, new) if change.how is ChangeKind.REMOVED else None
        if twin is None:
            yield change
            continue
        new.remove(twin)
        name = str(twin.path[-1])
        yield ValueChange(ChangeKind.RENAMED, change.path, change.path[-1], name, renamed=name)
    yield from new


def _twin(gone: ValueChange, new: Sequence[ValueChange]) -> ValueChange | None:
    beside = [change for change in new if change.path[:-1] == gone.path[:-1]]
    twins = [change for change in beside if same(gone.recorded, change.live)]  # type: ignore[arg-type]  # neither is MISSING
    return twins[0] if len(twins) == 1 else None
