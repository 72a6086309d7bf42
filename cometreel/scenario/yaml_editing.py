"""Changes values of a list in the text of a YAML file. Everything else keeps its formatting and its comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import TypeAlias

import yaml

from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario.yaml_writer import block, inline, is_marker

__all__ = ["ItemChange", "edit_items"]

_Span: TypeAlias = tuple[int, int]
"""The first character of an entry of a mapping or a sequence in the text, and the one after its end."""


@dataclass(frozen=True, slots=True)
class ItemChange:
    """The old and the new value of one item of a list, and lines of comments to write above it."""

    old: JSON
    new: JSON
    comments: Sequence[str] = ()


def edit_items(text: str, key: str, changes: Mapping[int, ItemChange]) -> str:
    """Return the text of a YAML file with changes of items of the top-level list `key`, by index.

    Only the text of values that differ is replaced. Values that are written once and used several times (anchors) are
    not recognised: the caller must read the result and compare it with the intended value.

    :raises ValueError: if the file has no such list.
    :raises yaml.YAMLError: if the text is not YAML.
    """
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    members = root.value if isinstance(root, yaml.MappingNode) else []
    items = next((value for name, value in members if name.value == key), None)
    if not isinstance(items, yaml.SequenceNode) or any(number >= len(items.value) for number in changes):
        raise ValueError(f"the file has no list {key!r} with these items")
    editor = _TextEditor(text)
    for number, change in changes.items():
        node = items.value[number]
        editor.comment(node, change.comments)
        editor.change(node, change.old, change.new, flow=bool(items.flow_style))
    return editor.result()


class _TextEditor:
    """Collects replacements of parts of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._eol = "\r\n" if "\r\n" in text else "\n"
        self._edits: list[tuple[int, int, str]] = []

    def result(self) -> str:
        """Return the text with all replacements."""
        parts: list[str] = []
        place = 0
        for start, end, new in sorted(self._edits, key=lambda edit: edit[:2]):
            parts += [self._text[place:start], new]
            place = max(place, end)
        return "".join([*parts, self._text[place:]])

    def comment(self, node: yaml.Node, lines: Sequence[str]) -> None:
        """Write lines of comments above an item."""
        if not lines:
            return
        start = node.start_mark.index
        before = self._text[self._line_start(start) : start]
        if before.strip() in ("", "-"):
            indent = before[: len(before) - len(before.lstrip())]
            written = "".join(f"{indent}# {line}{self._eol}" for line in lines)
            self._insert(self._line_start(start), written)
        else:  # the item follows another one, or a bracket, on the same line
            written = self._eol.join(f"    # {line}" for line in lines)
            self._insert(start, f"{self._eol}{written}{self._eol}    ")

    def change(self, node: yaml.Node, old: JSON, new: JSON, *, flow: bool) -> None:
        """Replace what differs between an old and a new value. `flow` is true inside of a value in flow style."""
        if encode(old) == encode(new):
            return
        flow = flow or bool(getattr(node, "flow_style", False))
        changed = False
        if isinstance(node, yaml.MappingNode) and isinstance(old, dict) and isinstance(new, dict):
            changed = {name.value for name, _ in node.value} == {*old} and self._change_mapping(
                node, old, new, flow=flow
            )
        elif isinstance(node, yaml.SequenceNode) and isinstance(old, list) and isinstance(new, list):
            changed = len(node.value) == len(old) and self._change_sequence(node, old, new, flow=flow)
        if not changed:
            self._replace(node, new, flow=flow)

    # --- mappings -------------------------------------------------------------------------------------------
    def _change_mapping(self, node: yaml.MappingNode, old: JSONObject, new: JSONObject, *, flow: bool) -> bool:
        """Return False, and change nothing, if no member stays."""
        removed = [name.value for name, _ in node.value if name.value not in new]
        added = [name for name in new if name not in old]
        renamed = dict(zip(removed, added, strict=True)) if len(removed) == len(added) else {}
        kept = [renamed.get(name.value, name.value) in new for name, _ in node.value]
        if not any(kept):
            return False
        for name, value in node.value:
            key = renamed.get(name.value, name.value)
            if key != name.value:
                self._edits.append((name.start_mark.index, name.end_mark.index, inline(key)))
            if key in new:
                self.change(value, old[name.value], new[key], flow=flow)
        entries = [(name.start_mark.index, max(name.end_mark.index, self._end(value))) for name, value in node.value]
        self._remove(entries, kept, flow=flow)
        if not renamed:
            last = max(entry[1] for entry, stays in zip(entries, kept, strict=True) if stays)
            self._append_members(last, node.start_mark.column, {name: new[name] for name in added}, flow=flow)
        return True

    def _append_members(self, end: int, column: int, members: JSONObject, *, flow: bool) -> None:
        if not members:
            return
        if flow:
            self._insert(end, "".join(f", {inline({name: value})[1:-1]}" for name, value in members.items()))
        else:
            lines = block(members, " " * column)
            self._insert(self._line_end(end), "".join(f"{self._eol}{line}" for line in lines))

    # --- sequences ------------------------------------------------------------------------------------------
    def _change_sequence(self, node: yaml.SequenceNode, old: list[JSON], new: list[JSON], *, flow: bool) -> bool:
        """Return False, and change nothing, if items are both added and removed, or if none stays."""
        matcher = SequenceMatcher(None, [encode(item) for item in old], [encode(item) for item in new], autojunk=False)
        kept = [True] * len(old)
        inserted: dict[int, list[JSON]] = {}
        pairs: list[tuple[int, int]] = []
        for _, start, end, new_start, new_end in matcher.get_opcodes():
            common = min(end - start, new_end - new_start)
            pairs += zip(range(start, start + common), range(new_start, new_start + common), strict=True)
            for number in range(start + common, end):
                kept[number] = False
            if new_end - new_start > common:
                inserted[start + common] = new[new_start + common : new_end]
        if not any(kept) or (inserted and not all(kept)):
            return False
        for place, number in pairs:
            self.change(node.value[place], old[place], new[number], flow=flow)
        entries = [(self._item_start(item, flow=flow), self._end(item)) for item in node.value]
        self._remove(entries, kept, flow=flow)
        for place, items in inserted.items():
            self._insert_items(entries, place, items, flow=flow)
        return True

    def _insert_items(self, entries: Sequence[_Span], place: int, items: list[JSON], *, flow: bool) -> None:
        if flow:
            written = ", ".join(map(inline, items))
            if place == 0:
                self._insert(entries[0][0], f"{written}, ")
            else:
                self._insert(entries[place - 1][1], f", {written}")
            return
        column = entries[0][0] - self._line_start(entries[0][0])
        lines = list(block(items, " " * column))
        if place == 0:
            written = self._eol.join([lines[0][column:], *lines[1:]])
            self._insert(entries[0][0], f"{written}{self._eol}{' ' * column}")
        else:
            self._insert(self._line_end(entries[place - 1][1]), "".join(f"{self._eol}{line}" for line in lines))

    def _item_start(self, item: yaml.Node, *, flow: bool) -> int:
        start: int = item.start_mark.index
        return start if flow else self._text.rindex("-", 0, start)

    # --- text -----------------------------------------------------------------------------------------------
    def _remove(self, entries: Sequence[_Span], kept: Sequence[bool], *, flow: bool) -> None:
        """Remove the entries that are not kept; comments of the entries after them stay."""
        runs = [(stays, [number for number, _ in run]) for stays, run in groupby(enumerate(kept), lambda each: each[1])]
        for stays, numbers in runs:
            first, last = numbers[0], numbers[-1]
            if stays:
                continue
            if last + 1 < len(entries):
                start, end = entries[first][0], entries[last + 1][0]
                rest = self._text[entries[last][1] : end].partition("\n")[2].lstrip(" ")
                self._edits.append((start, end, rest if not flow and "#" in rest else ""))
            else:
                before = entries[first - 1][1]
                self._edits.append((before if flow else self._line_end(before), entries[last][1], ""))

    def _replace(self, node: yaml.Node, new: JSON, *, flow: bool) -> None:
        start, end = node.start_mark.index, self._end(node)
        nested = isinstance(new, dict | list) and new and not is_marker(new)
        if nested and not flow and isinstance(node, yaml.CollectionNode):
            lines = list(block(new, " " * node.start_mark.column))
            written = self._eol.join([lines[0].lstrip(" "), *lines[1:]])
        else:
            written = inline(new)
        self._edits.append((start, end, f" {written}" if start == end else written))

    def _end(self, node: yaml.Node) -> int:
        """Return the end of a value; the parser's end of a block includes the lines after it."""
        start: int = node.start_mark.index
        end: int = node.end_mark.index
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            if isinstance(last, tuple):
                key_end: int = last[0].end_mark.index
                return max(key_end, self._end(last[1]))
            return self._end(last)
        return start + len(self._text[start:end].rstrip())

    def _insert(self, place: int, text: str) -> None:
        self._edits.append((place, place, text))

    def _line_start(self, place: int) -> int:
        return self._text.rfind("\n", 0, place) + 1

    def _line_end(self, place: int) -> int:
        """Return the end of the line, before its line break and after its comment."""
        end = self._text.find("\n", place)
        if end < 0:
            return len(self._text)
        return end - (self._text[end - 1 : end] == "\r")
