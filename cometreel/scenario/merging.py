"""Merges several files into the content of one scenario, by the rules of `linking`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.yaml_reader import FilePosition

from .block_building import DocumentOrigin
from .model import Block, BlockOrigin, ExchangeBlock, PublishBlock, ReplyBlock
from .sources import SourceFile

__all__ = ["merged"]

_LISTS = ("exchanges", "timeline", "faults")
_FIRST = ("title", "source")
_EQUAL = ("bayeux", "session", "correlation", "settings")


@dataclass(frozen=True, slots=True)
class _MergedOrigin:
    """The places of the top-level keys: each in the first file that has it."""

    sources: Sequence[SourceFile]
    keys: Mapping[str, SourceFile]

    def position(self, path: Sequence[str | int], *, key: bool = False) -> FilePosition:
        source = self.keys.get(str(path[0]), self.sources[0]) if path else self.sources[0]
        return source.document.position(path, key=key)


def merged(sources: Sequence[SourceFile]) -> tuple[dict[str, object], BlockOrigin]:
    """Return the keys of all files together, and their places. Each block gets its place.

    :raises FileInvalid: with every problem of every file, and if two files contradict each other.
    """
    merger = _Merger(sources)
    content = merger.content()
    if merger.problems:
        raise FileInvalid(merger.problems)
    return content, _MergedOrigin(sources, merger.keys)


class _Merger:
    """Merges the keys and collects the problems."""

    def __init__(self, sources: Sequence[SourceFile]) -> None:
        self._sources = sources
        self.problems = [problem for source in sources for problem in source.problems]
        self.keys: dict[str, SourceFile] = {}

    def content(self) -> dict[str, object]:
        content: dict[str, object] = {"cometreel": 1}
        for key in _FIRST:
            written = self._written(key)
            self._put(content, key, [pair for pair in written if pair[1]] or written)
        for key in _EQUAL:
            self._put(content, key, self._written(key))
            self._check_equal(key)
        if self._written("ignore"):
            content["ignore"] = list(dict.fromkeys(p for source in self._sources for p in source.head.ignore or ()))
        common = [dict(source.head.reply_headers or {}) for source in self._sources]
        has_common = all(each == common[0] for each in common[1:])
        if self._written("reply_headers") and has_common:
            content["reply_headers"] = common[0]
        self._merge_roles(content)
        self._merge_lists(content, None if has_common else common)
        for source in self._sources:
            for name, value in (source.head.model_extra or {}).items():
                content.setdefault(name, value)
        return content

    def _written(self, key: str) -> list[tuple[SourceFile, object]]:
        found = ((source, getattr(source.head, key)) for source in self._sources)
        return [(source, value) for source, value in found if value is not None]

    def _put(self, content: dict[str, object], key: str, written: Sequence[tuple[SourceFile, object]]) -> None:
        """Take the value of the first file."""
        if written:
            source, value = written[0]
            content[key] = _placed(value, source, (key,))
            self.keys[key] = source

    def _check_equal(self, key: str) -> None:
        written = self._written(key)
        for source, value in written[1:]:
            if value != written[0][1]:
                where = written[0][0].position((key,), key=True)
                self._problem(source, (key,), f"{key} differs from {where}")

    def _merge_roles(self, content: dict[str, object]) -> None:
        roles: dict[str, Block] = {}
        for source in self._sources:
            for name, block in (source.head.roles or {}).items():
                if name not in roles:
                    roles[name] = block.place_at(DocumentOrigin(source.document, ("roles", name)))
                elif roles[name] != block:
                    found = f"the role {name!r} differs from the one in another file"
                    self._problem(source, ("roles", name), found)
        if self._written("roles"):
            content["roles"] = roles

    def _merge_lists(self, content: dict[str, object], common: Sequence[Mapping[str, JSON]] | None) -> None:
        for key in _LISTS:
            blocks: list[object] = []
            for number, source in enumerate(self._sources):
                for place, block in getattr(source, key):
                    own = _with_headers(block, common[number]) if common is not None else block
                    blocks.append(_placed(own, source, (key, place)))
            if any(key in source.document.value for source in self._sources if isinstance(source.document.value, dict)):
                content[key] = blocks

    def _problem(self, source: SourceFile, path: tuple[str | int, ...], found: str) -> None:
        position = source.position(path, key=True)
        self.problems.append(
            Problem(position.file, position.line, position.column, found, "the same value in all files")
        )


def _placed(value: object, source: SourceFile, path: tuple[str | int, ...]) -> object:
    return value.place_at(DocumentOrigin(source.document, path)) if isinstance(value, Block) else value


def _with_headers(block: object, common: Mapping[str, JSON]) -> object:
    """Write the header fields of all replies of a file into the reply of one exchange."""
    if not isinstance(block, ExchangeBlock) or isinstance(block.request, PublishBlock) or not common:
        return block
    reply = block.reply or ReplyBlock()
    own = reply.headers or {}
    names = {name.lower() for name in own}
    headers = {**own, **{name: value for name, value in common.items() if name.lower() not in names}}
    return block.model_copy(update={"reply": reply.model_copy(update={"headers": headers})})
