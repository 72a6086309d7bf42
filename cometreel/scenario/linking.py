"""Links checked files into one scenario and resolves the names in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.cross_references import cross_reference_problems, ids_of_requests
from cometreel.scenario.json_pointer import find
from cometreel.scenario.profiles import Profile, profile, profile_of, unknown_profile

from . import compiling
from .compiled import Fault, Position, Role
from .compiling import names, under
from .exchange import CompiledScenario, Exchange, ExchangeGroup, ExchangeIndex, TimelineEntry
from .model import CorrelationBlock, ExchangeBlock, FaultBlock, PublishBlock, ReplyBlock, ScenarioBlock, TimelineBlock
from .sources import SourceFile
from .specs import PublishReplySpec, ReplySpec
from .values import Locate, Value, ValuePath

__all__ = ["link", "link_added"]

_NO_PROFILE = Profile("none")
_T = TypeVar("_T")


def link(sources: Sequence[SourceFile]) -> CompiledScenario:
    """Combine several files into one scenario. The blocks of exchanges are removed from the sources, to save memory.

    :raises FileInvalid: with every problem of every file.
    """
    linker = _Linker(sources)
    scenario = linker.scenario()
    if linker.problems:
        raise FileInvalid(linker.problems)
    return scenario


def link_added(scenario: CompiledScenario, source: SourceFile) -> CompiledScenario:
    """Return a scenario with the blocks of one more source; only those are compiled.

    The added exchanges are tried before all others. Equal requests of one call are a group, which is played in order.

    :raises FileInvalid: with every problem of the source.
    """
    linker = _Linker([source], scenario)
    extended = linker.extended(scenario)
    if linker.problems:
        raise FileInvalid(linker.problems)
    return extended


class _Linker:
    """Merges the files and collects the problems between them. With a `base`, their blocks are added to it."""

    def __init__(self, sources: Sequence[SourceFile], base: CompiledScenario | None = None) -> None:
        self.sources = sources
        self.problems = [problem for source in sources for problem in source.problems]
        self._roles = self._merged_roles() if base is None else base.roles
        self._profile = self._merged_profile() if base is None else base.profile
        self._ids = ids_of_requests(sources) | (frozenset() if base is None else base.ids)
        existing = {} if base is None else base.by_name
        self.problems.extend(cross_reference_problems(sources, self._roles, self._ids, existing))
        self._groups: dict[str, list[Exchange]] = {}
        self._first_group = 0
        """The number of the first group: added ones are before all others."""
        if base is not None:
            self._first_group = base.lowest_group - len(sources[0].exchanges)

    def scenario(self) -> CompiledScenario:
        """Compile and combine all valid blocks."""
        exchanges = tuple(self._exchanges())
        self._check_repeats()
        groups = self._exchange_groups()
        heads = [source.head for source in self.sources]
        recorded = next((head.source.recorded for head in heads if head.source and head.source.recorded), None)
        return CompiledScenario(
            title=next((head.title for head in heads if head.title), ""),
            files=tuple(Path(source.document.file) for source in self.sources),
            bayeux=compiling.bayeux(self._only("bayeux", lambda head: head.bayeux)),
            session=compiling.session(self._only("session", lambda head: head.session)),
            settings=compiling.settings(self._only("settings", lambda head: head.settings)),
            profile=self._profile,
            roles=self._roles,
            exchanges=exchanges,
            groups=groups,
            timeline=tuple(self._timeline()),
            faults=tuple(self._faults()),
            recorded=None if recorded is None else _date_time(recorded),
            highest_ref=max(self._references(), default=0),
            index=ExchangeIndex(groups),
            by_name={exchange.name: exchange for exchange in exchanges},
            ignore=tuple(dict.fromkeys(pointer for head in heads for pointer in head.ignore or ())),
            ids=self._ids,
        )

    def extended(self, base: CompiledScenario) -> CompiledScenario:
        """Compile all valid blocks and add them to a scenario."""
        exchanges = tuple(self._exchanges(_next_index(base.exchanges)))
        self._check_repeats()
        groups = self._exchange_groups()
        return replace(
            base,
            exchanges=(*base.exchanges, *exchanges),
            groups=(*groups, *base.groups),
            timeline=(*base.timeline, *self._timeline(_next_index(base.timeline))),
            faults=(*base.faults, *self._faults(_next_index(base.faults))),
            highest_ref=max((base.highest_ref, *self._references())),
            index=base.index.with_groups(groups),
            by_name={**base.by_name, **{exchange.name: exchange for exchange in exchanges}},
            ids=self._ids,
            lowest_group=self._first_group,
        )

    def _exchange_groups(self) -> tuple[ExchangeGroup, ...]:
        return tuple(
            ExchangeGroup(number, tuple(members), members[-1].repeat)
            for number, members in enumerate(self._groups.values(), self._first_group)
        )

    def _problem(self, position: Position, found: str, expected: str = "", hint: str = "") -> None:
        self.problems.append(Problem(position.file, position.line, position.column, found, expected, hint))

    def _only(self, key: str, block_of: Callable[[ScenarioBlock], _T | None]) -> _T | None:
        """Return the only block of that name; two different ones are a problem."""
        blocks = [(source, block) for source in self.sources if (block := block_of(source.head)) is not None]
        for source, block in blocks[1:]:
            if block != blocks[0][1]:
                where = blocks[0][0].position((key,), key=True)
                found = f"{key} differs from {where}"
                self._problem(source.position((key,), key=True), found, "the same value in all files")
        return blocks[0][1] if blocks else None

    def _merged_roles(self) -> Mapping[str, Role]:
        roles: dict[str, Role] = {}
        for source in self.sources:
            for name, block in (source.head.roles or {}).items():
                role = Role(name, block.user, block.id)
                if roles.setdefault(name, role) != role:
                    found = f"the role {name!r} differs from the one in another file"
                    self._problem(source.position(("roles", name), key=True), found, "the same value in all files")
        return roles

    def _merged_profile(self) -> Profile:
        correlation = self._only("correlation", lambda head: None if head.correlation is None else (head.correlation,))
        if correlation is None:
            return _NO_PROFILE
        written = correlation[0]
        name = written.extends if isinstance(written, CorrelationBlock) else written
        if (finding := unknown_profile(name)) is not None:
            source = next(source for source in self.sources if source.head.correlation == written)
            position = source.position(("correlation", *finding.path))
            self._problem(position, finding.found, finding.expected, finding.hint)
            return _NO_PROFILE
        return profile_of(written) if isinstance(written, CorrelationBlock) else profile(written)

    def _exchanges(self, index: int = 0) -> Iterator[Exchange]:
        for source in self.sources:
            common = compiling.reply_headers(source.head.reply_headers, _at(source, "reply_headers"))
            for number, block in _drained(source.exchanges):
                locate = _locator(source, "exchanges", number)
                yield self._exchange(block, index, locate, common)
                index += 1

    def _exchange(
        self, block: ExchangeBlock, index: int, locate: Locate, common: tuple[tuple[str, Value], ...]
    ) -> Exchange:
        after = names(block.when.after) if block.when else ()
        before = names(block.when.before) if block.when else ()
        roles = frozenset(names(block.as_))
        ignored = self._profile.request
        identity = compiling.identity(block.request, ignored)
        members = self._groups.setdefault(f"{identity}{sorted(roles)}{sorted(after)}{sorted(before)}", [])
        publish = isinstance(block.request, PublishBlock)
        exchange = Exchange(
            index=index,
            name=block.name,
            trigger=members[0].trigger if members else compiling.request_pattern(block.request, ignored),
            roles=roles,
            authenticated=block.request.authenticated,
            after=after,
            before=before,
            reply=_reply(block.reply, publish, under(locate, "reply"), common),
            events=compiling.events(block.events, under(locate, "events")),
            repeat=block.repeat,
            group=members[0].group if members else self._first_group + len(self._groups) - 1,
            position=locate(()),
        )
        members.append(exchange)
        return exchange

    def _check_repeats(self) -> None:
        for members in self._groups.values():
            for exchange in members[:-1]:
                if exchange.repeat is not None:
                    found = f"repeat: {exchange.repeat} is set, but exchanges with the same request follow"
                    expected = f"repeat: on the last one, {members[-1].name!r}"
                    self._problem(exchange.position, found, expected)

    def _timeline(self, index: int = 0) -> Iterator[TimelineEntry]:
        for source in self.sources:
            for number, block in source.timeline:
                yield self._entry(block, index, _locator(source, "timeline", number))
                index += 1

    def _entry(self, block: TimelineBlock, index: int, locate: Locate) -> TimelineEntry:
        event = compiling.event(block, index, locate)
        since = compiling.anchor(block.since or "connect")
        until = compiling.anchors(block.until)
        return TimelineEntry(index, frozenset(names(block.as_)), since, until, event, locate(()))

    def _faults(self, index: int = 0) -> Iterator[Fault]:
        for source in self.sources:
            for number, block in source.faults:
                yield self._fault(block, index, _locator(source, "faults", number))
                index += 1

    def _fault(self, block: FaultBlock, index: int, locate: Locate) -> Fault:
        return compiling.fault(block, index, locate(()))

    def _references(self) -> Iterator[int]:
        """Yield the reference numbers in replies and events."""
        for source in self.sources:
            for item in source.blocks("exchanges"):
                if isinstance(item, dict):
                    yield from _numbers(item.get("reply"), "/body", self._profile.reply)
                    yield from _numbers(item.get("reply"), "/body", [f"{each}/*" for each in self._profile.map])
                    yield from _numbers(item.get("events"), "/*/data", self._profile.event)
            for entry in source.blocks("timeline"):
                yield from _numbers(entry, "/data", self._profile.event)


def _next_index(items: Sequence[Exchange] | Sequence[TimelineEntry] | Sequence[Fault]) -> int:
    return items[-1].index + 1 if items else 0


def _drained(blocks: list[_T]) -> Iterator[_T]:
    """Yield the items of a list and remove them."""
    blocks.reverse()
    while blocks:
        yield blocks.pop()


def _reply(
    block: ReplyBlock | None, publish: bool, locate: Locate, common: tuple[tuple[str, Value], ...]
) -> ReplySpec | PublishReplySpec | None:
    if block is None and (publish or not common):
        return None
    return compiling.reply(block or ReplyBlock(), publish, locate, common)


def _numbers(value: JSON, prefix: str, pointers: Iterable[str]) -> Iterator[int]:
    for pointer in pointers:
        for _, found in find(value, prefix + pointer):
            if isinstance(found, int) and not isinstance(found, bool):
                yield found


def _at(source: SourceFile, key: str) -> Locate:
    return lambda path: source.position((key, *path))


def _locator(source: SourceFile, key: str, number: int) -> Locate:
    def locate(path: ValuePath) -> Position:
        return source.position((key, number, *path))

    return locate


def _date_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
