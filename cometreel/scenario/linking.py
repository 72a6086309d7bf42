"""Links checked files into one scenario and resolves the names in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.cross_references import CollectedNames, cross_reference_problems, ids_of_requests
from cometreel.scenario.exchange_reader import NotSeparable, SeparatedFile, checked_exchange
from cometreel.scenario.json_pointer import parse_pointer, values_at
from cometreel.scenario.profiles import Profile, profile, profile_of, unknown_profile

from . import compiling
from .compiled import Fault, Position, Role
from .compiling import names, under
from .exchange import CompiledScenario, Exchange, ExchangeGroup, ExchangeIndex, TimelineEntry
from .model import CorrelationBlock, ExchangeBlock, FaultBlock, PublishBlock, ReplyBlock, ScenarioBlock, TimelineBlock
from .sources import SourceFile
from .specs import PublishReplySpec, ReplySpec
from .values import Locate, Value, ValuePath

__all__ = ["link", "link_added", "link_separated"]

_NO_PROFILE = Profile("none")
_T = TypeVar("_T")


def link(sources: Sequence[SourceFile]) -> CompiledScenario:
    """Combine several files into one scenario. The blocks of exchanges are removed from the sources, to save memory.

    :raises FileInvalid: with every problem of every file.
    """
    linker = _Linker(sources)
    linker.add_all()
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
    linker.add_all()
    extended = linker.extended(scenario)
    if linker.problems:
        raise FileInvalid(linker.problems)
    return extended


def link_separated(files: Sequence[SeparatedFile]) -> CompiledScenario:
    """Combine several files into one scenario, as `link`; only one exchange at a time is in memory as YAML.

    :raises NotSeparable: if a file has an error, or its exchanges can't be separated with certainty.
    """
    sources = [file.source for file in files]
    linker, names = _Linker(sources), CollectedNames()
    for file in files:
        common = linker.reply_headers(file.source)
        for written in file.exchanges():
            names.add(written.value, has_markers=written.has_markers)
            linker.add(checked_exchange(written), written.value, written.position, common)
    if names.has_problems(sources, linker.roles):
        raise NotSeparable
    linker.ids = frozenset(names.ids)
    del names
    scenario = linker.scenario()
    if linker.problems:
        raise NotSeparable
    return scenario


class _Linker:
    """Merges the files and collects the problems between them. With a `base`, their blocks are added to it."""

    def __init__(self, sources: Sequence[SourceFile], base: CompiledScenario | None = None) -> None:
        self.sources = sources
        self.problems = [problem for source in sources for problem in source.problems]
        self._base = base
        self.roles = self._merged_roles() if base is None else base.roles
        self._profile = self._merged_profile() if base is None else base.profile
        self.ids: frozenset[str] = frozenset() if base is None else base.ids
        """The names of the `$id` markers in requests."""
        self._exchanges: list[Exchange] = []
        self._groups: dict[bytes, tuple[Exchange] | list[Exchange]] = {}
        """The exchanges with equal requests, roles and guards, by the digest of these; most have no other."""
        self._first_exchange = 0 if base is None else _next_index(base.exchanges)
        self._first_group = 0 if base is None else base.lowest_group - len(sources[0].exchanges)
        """The number of the first group: added ones are before all others."""
        self._highest_reference = 0 if base is None else base.highest_ref
        self._reference_pointers = tuple(_reference_pointers(self._profile))

    def add_all(self) -> None:
        """Check the references between all blocks, and add the exchanges of all sources, which are removed there."""
        self.ids |= ids_of_requests(self.sources)
        existing = {} if self._base is None else self._base.by_name
        self.problems.extend(cross_reference_problems(self.sources, self.roles, self.ids, existing))
        for source in self.sources:
            common = self.reply_headers(source)
            raw = source.blocks("exchanges")
            for number, block in _drained(source.exchanges):
                self.add(block, raw[number], _locator(source, "exchanges", number), common)

    def scenario(self) -> CompiledScenario:
        """Combine the exchanges that were added with all other valid blocks."""
        exchanges = tuple(self._exchanges)
        self._check_repeats()
        groups = self._exchange_groups()
        self._groups.clear()
        heads = [source.head for source in self.sources]
        recorded = next((head.source.recorded for head in heads if head.source and head.source.recorded), None)
        return CompiledScenario(
            title=next((head.title for head in heads if head.title), ""),
            files=tuple(Path(source.document.file) for source in self.sources),
            bayeux=compiling.bayeux(self._only("bayeux", lambda head: head.bayeux)),
            session=compiling.session(self._only("session", lambda head: head.session)),
            settings=compiling.settings(self._only("settings", lambda head: head.settings)),
            profile=self._profile,
            roles=self.roles,
            exchanges=exchanges,
            groups=groups,
            timeline=tuple(self._timeline()),
            faults=tuple(self._faults()),
            recorded=None if recorded is None else _date_time(recorded),
            highest_ref=max(self._references_of_timeline()),
            index=ExchangeIndex(groups),
            by_name={exchange.name: exchange for exchange in exchanges},
            ignore=tuple(dict.fromkeys(pointer for head in heads for pointer in head.ignore or ())),
            ids=self.ids,
        )

    def extended(self, base: CompiledScenario) -> CompiledScenario:
        """Compile all valid blocks and add them to a scenario."""
        exchanges = tuple(self._exchanges)
        self._check_repeats()
        groups = self._exchange_groups()
        return replace(
            base,
            exchanges=(*base.exchanges, *exchanges),
            groups=(*groups, *base.groups),
            timeline=(*base.timeline, *self._timeline(_next_index(base.timeline))),
            faults=(*base.faults, *self._faults(_next_index(base.faults))),
            highest_ref=max(self._references_of_timeline()),
            index=base.index.with_groups(groups),
            by_name={**base.by_name, **{exchange.name: exchange for exchange in exchanges}},
            ids=self.ids,
            lowest_group=self._first_group,
        )

    def _exchange_groups(self) -> tuple[ExchangeGroup, ...]:
        return tuple(
            ExchangeGroup(number, tuple(members), members[-1].repeat)
            for number, members in enumerate(self._groups.values(), self._first_group)
        )

    def reply_headers(self, source: SourceFile) -> tuple[tuple[str, Value], ...]:
        """Compile the header fields of all replies of a file."""
        return compiling.reply_headers(source.head.reply_headers, _at(source, "reply_headers"))

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

    def add(self, block: ExchangeBlock, raw: JSON, locate: Locate, common: Sequence[tuple[str, Value]]) -> None:
        """Compile the next exchange; `raw` is its value, `common` are the header fields of all replies of its file."""
        self._highest_reference = max(self._references(raw))
        after = names(block.when.after) if block.when else ()
        before = names(block.when.before) if block.when else ()
        roles = _roles(names(block.as_))
        ignored = self._profile.request
        identity = f"{compiling.identity(block.request, ignored)}{sorted(roles)}{sorted(after)}{sorted(before)}"
        digest = _digest(identity)
        members = self._groups.get(digest, ())
        publish = isinstance(block.request, PublishBlock)
        exchange = Exchange(
            index=self._first_exchange + len(self._exchanges),
            name=block.name,
            trigger=members[0].trigger if members else compiling.request_pattern(block.request, ignored),
            roles=roles,
            authenticated=block.request.authenticated,
            after=after,
            before=before,
            reply=_reply(block.reply, publish, under(locate, "reply"), common),
            events=compiling.events(block.events, under(locate, "events")),
            repeat=block.repeat,
            group=members[0].group if members else self._first_group + len(self._groups),
            position=locate(()),
        )
        if isinstance(members, list):
            members.append(exchange)
        else:
            self._groups[digest] = [*members, exchange] if members else (exchange,)
        self._exchanges.append(exchange)

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

    def _references(self, raw: JSON) -> Iterator[int]:
        """Yield the highest reference number so far, and those in the reply and the events of an exchange."""
        yield self._highest_reference
        for pointer in self._reference_pointers:
            yield from _numbers(raw, pointer)

    def _references_of_timeline(self) -> Iterator[int]:
        yield self._highest_reference
        pointers = [parse_pointer(f"/data{pointer}") for pointer in self._profile.event]
        for source in self.sources:
            for entry in source.blocks("timeline"):
                for pointer in pointers:
                    yield from _numbers(entry, pointer)


def _reference_pointers(profile: Profile) -> Iterator[tuple[str, ...]]:
    """Yield the places of reference numbers in exchanges."""
    for pointer in (*profile.reply, *(f"{each}/*" for each in profile.map)):
        yield parse_pointer(f"/reply/body{pointer}")
    for pointer in profile.event:
        yield parse_pointer(f"/events/*/data{pointer}")


@lru_cache(maxsize=1024)
def _roles(roles: tuple[str, ...]) -> frozenset[str]:
    """Return the set of the names; exchanges share it."""
    return frozenset(roles)


def _digest(text: str) -> bytes:
    """Return 16 bytes that are equal for equal texts only."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _next_index(items: Sequence[Exchange] | Sequence[TimelineEntry] | Sequence[Fault]) -> int:
    return items[-1].index + 1 if items else 0


def _drained(blocks: list[_T]) -> Iterator[_T]:
    """Yield the items of a list and remove them."""
    blocks.reverse()
    while blocks:
        yield blocks.pop()


def _reply(
    block: ReplyBlock | None, publish: bool, locate: Locate, common: Sequence[tuple[str, Value]]
) -> ReplySpec | PublishReplySpec | None:
    if block is None and (publish or not common):
        return None
    return compiling.reply(block or ReplyBlock(), publish, locate, common)


def _numbers(value: JSON, pointer: Sequence[str]) -> Iterator[int]:
    for found in values_at(value, pointer):
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
