"""Lists every difference between two JSON values, found by deepdiff.

`1` equals `1.0` and does not equal `true`, as everywhere in Cometreel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from cometreel.jsonvalue import JSON, same
from cometreel.scenario.matchers import MISSING, Missing

if TYPE_CHECKING:
    from deepdiff import DeepDiff
    from deepdiff.model import DiffLevel

__all__ = ["ChangeKind", "ValueChange", "count_values", "value_changes"]


class ChangeKind(Enum):
    """The kind of a change; the values are the report's words."""

    CHANGED = "value changed"
    RETYPED = "type changed"
    REMOVED = "field removed"
    ADDED = "field added"
    RENAMED = "field renamed"
    ITEM_REMOVED = "item removed"
    ITEM_ADDED = "item added"


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One difference. `recorded` or `live` is MISSING if there is no value; of a renamed field they are its names.

    `path` leads to the recorded value, or to the live one if nothing was recorded. `live_path` always leads to the live
    value; the two differ in an array that has lost an item. `renamed` is the new name of a field.
    """

    kind: ChangeKind
    path: tuple[str | int, ...]
    recorded: JSON | Missing
    live: JSON | Missing
    live_path: tuple[str | int, ...] = ()
    renamed: str = ""


def value_changes(recorded: JSON, live: JSON) -> list[ValueChange]:
    """Return every difference between two values, in the order of the recorded members, added ones last."""
    if same(recorded, live):
        return []
    from deepdiff import DeepDiff  # noqa: PLC0415  # an optional dependency

    encoded = _with_encoded_booleans(recorded), _with_encoded_booleans(live)
    # without report_repetition, deepdiff reports an item removed and an item added at the same index as one changed
    # value, although the two are at different places of the aligned arrays
    diff = DeepDiff(
        *encoded, view="tree", threshold_to_diff_deeper=0, ignore_private_variables=False, report_repetition=True
    )
    found = list(_changes(diff))
    order = {path: number for number, path in enumerate(_paths(recorded, ()))}
    return sorted(_with_renames(found), key=lambda change: order.get(change.path, len(order)))


def count_values(value: JSON) -> int:
    """Return the number of values without members, at least 1."""
    if isinstance(value, dict | list) and value:
        return sum(map(count_values, value.values() if isinstance(value, dict) else value))
    return 1


_KINDS = {
    "values_changed": ChangeKind.CHANGED,
    "type_changes": ChangeKind.RETYPED,
    "dictionary_item_removed": ChangeKind.REMOVED,
    "dictionary_item_added": ChangeKind.ADDED,
    "iterable_item_removed": ChangeKind.ITEM_REMOVED,
    "iterable_item_added": ChangeKind.ITEM_ADDED,
}


def _changes(diff: DeepDiff) -> Iterator[ValueChange]:
    for report_type, kind in _KINDS.items():
        for level in diff.get(report_type, ()):
            path, live_path = _path(level), _path(level, live=True)
            if kind in (ChangeKind.CHANGED, ChangeKind.RETYPED):
                recorded, live = _decoded(level.t1), _decoded(level.t2)
                if not same(recorded, live):
                    type_or_value = ChangeKind.CHANGED if _type(recorded) is _type(live) else ChangeKind.RETYPED
                    yield ValueChange(type_or_value, path, recorded, live, live_path)
            elif kind in (ChangeKind.ADDED, ChangeKind.ITEM_ADDED):
                yield ValueChange(kind, path, MISSING, _decoded(level.t2), live_path)
            else:
                yield ValueChange(kind, path, _decoded(level.t1), MISSING, live_path)


_ENCODED = {True: "\0true", False: "\0false"}


def _with_encoded_booleans(value: JSON, *, item: bool = False) -> JSON:
    """Replace booleans in arrays by text, because deepdiff aligns items by Python's equality (`1 == True`)."""
    if isinstance(value, bool):
        return _ENCODED[value] if item else value
    if isinstance(value, list):
        return [_with_encoded_booleans(each, item=True) for each in value]
    if isinstance(value, dict):
        return {key: _with_encoded_booleans(member) for key, member in value.items()}
    return value


def _decoded(value: JSON) -> JSON:
    if isinstance(value, str):
        return next((boolean for boolean, text in _ENCODED.items() if text == value), value)
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    return {key: _decoded(member) for key, member in value.items()} if isinstance(value, dict) else value


def _type(value: JSON) -> type:
    """Return the JSON type; all numbers have the same one."""
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
    """Turn a removed and an added field of one object into a renamed field if their values are the same."""
    added = [change for change in found if change.kind is ChangeKind.ADDED]
    for change in found:
        if change.kind is ChangeKind.ADDED:
            continue
        same_value = _added_with_same_value(change, added) if change.kind is ChangeKind.REMOVED else None
        if same_value is None:
            yield change
            continue
        added.remove(same_value)
        name = str(same_value.path[-1])
        yield ValueChange(ChangeKind.RENAMED, change.path, change.path[-1], name, renamed=name)
    yield from added


def _added_with_same_value(removed: ValueChange, added: Sequence[ValueChange]) -> ValueChange | None:
    siblings = [change for change in added if change.path[:-1] == removed.path[:-1]]
    found = [change for change in siblings if _same(removed.recorded, change.live)]
    return found[0] if len(found) == 1 else None


def _same(recorded: JSON | Missing, live: JSON | Missing) -> bool:
    return recorded is not MISSING and live is not MISSING and same(recorded, live)
