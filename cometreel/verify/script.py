"""The script: a scenario as a list of steps, each with the live session that takes it.

The order is that of the files, but for guards: what is to come `before` or `after` an exchange does so. An exchange
with `as` is taken by each session that it names, any other by the first. Roles that only faults name have no part:
faults are what a replay does wrong on purpose.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.scenario import Exchange, ExchangeBlock, Position, PublishBlock, Scenario, TimelineBlock, TimelineEntry
from cometreel.scenario.sources import SourceFile, read_source
from cometreel.scenario.values import Fixed

__all__ = ["DEFAULT_SESSION", "ExpectedTimelineEvent", "SessionPlan", "Script", "ScriptStep", "build_script"]

DEFAULT_SESSION = "everybody"
"""The one session of a scenario without roles."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One live session to be. `user` is the recorded login name; `channels` are what it subscribes to."""

    name: str
    user: str | None = None
    id: str | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One exchange taken by one part. `source` is the file in which it is number `number`."""

    part: str
    exchange: Exchange
    block: ExchangeBlock
    source: SourceFile
    number: int

    def position(self, path: Sequence[str | int] = ()) -> Position:
        """Where a part of the exchange stands, or the nearest that is written."""
        return self.source.position(("exchanges", self.number, *path))


@dataclass(frozen=True, slots=True)
class ExpectedTimelineEvent:
    """A notification that nobody asked for, heard by one part."""

    part: str
    entry: TimelineEntry
    block: TimelineBlock


@dataclass(frozen=True, slots=True)
class Script:
    """Everything there is to play. `listens` is whether CometD is wanted at all, `logs_in` whether a login is."""

    scenario: Scenario
    sources: tuple[SourceFile, ...]
    parts: tuple[SessionPlan, ...]
    steps: tuple[ScriptStep, ...]
    cues: tuple[ExpectedTimelineEvent, ...]

    @property
    def endpoint(self) -> str:
        """The path of the CometD endpoint."""
        return self.scenario.bayeux.endpoint or "/cometd"

    @property
    def listens(self) -> bool:
        """Whether anything comes over CometD."""
        publishes = any(isinstance(step.block.request, PublishBlock) for step in self.steps)
        return bool(publishes or self.cues or any(step.exchange.events for step in self.steps))

    @property
    def logs_in(self) -> bool:
        """Whether the scenario says that a login is needed."""
        wanted = any(step.exchange.authenticated is True for step in self.steps)
        return wanted or self.scenario.settings.auth in ("session", "csrf")


def build_script(scenario: Scenario) -> Script:
    """Make the script of a scenario; its files are read once more, for the lines that a report names.

    :raises FileInvalid: if a file can't be read any more, or holds nothing to play.
    """
    sources = tuple(read_source(_text(path), str(path)) for path in scenario.files)
    if not scenario.exchanges:
        raise FileInvalid([Problem(str(sources[0].document.file), 0, 0, "no exchanges", "at least one to play")])
    names = _names(scenario)
    steps = tuple(_steps(scenario, sources, names[0]))
    cues = tuple(_cues(scenario, sources, names[0]))
    parts = tuple(_part(scenario, name, steps, cues) for name in names)
    return Script(scenario, sources, parts, steps, cues)


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a scenario file")]) from None


def _names(scenario: Scenario) -> list[str]:
    """The parts: the roles that play, in order; else one that stands for everybody."""
    named = {role for exchange in scenario.exchanges for role in exchange.roles}
    named |= {role for entry in scenario.timeline for role in entry.roles}
    only_faulty = {role for fault in scenario.faults for role in fault.roles} - named
    return [role for role in scenario.roles if role not in only_faulty] or [DEFAULT_SESSION]


def _part(
    scenario: Scenario, name: str, steps: Sequence[ScriptStep], cues: Sequence[ExpectedTimelineEvent]
) -> SessionPlan:
    role = scenario.roles.get(name)
    events = [event for step in steps if step.part == name for event in step.exchange.events]
    events += [cue.entry.event for cue in cues if cue.part == name]
    channels = [event.channel.value for event in events if isinstance(event.channel, Fixed)]
    topics = sorted({str(channel) for channel in channels if not str(channel).startswith("/service/")})
    return SessionPlan(name, role.user if role else None, role.id if role else None, tuple(topics))


def _taken_by(roles: frozenset[str], order: Mapping[str, object], first: str) -> list[str]:
    return [role for role in order if role in roles] or [first]


def _steps(scenario: Scenario, sources: Sequence[SourceFile], first: str) -> Iterator[ScriptStep]:
    written = [(source, number, block) for source in sources for number, block in source.exchanges]
    for index in _in_order(scenario.exchanges):
        exchange, (source, number, block) = scenario.exchanges[index], written[index]
        for part in _taken_by(exchange.roles, scenario.roles, first):
            yield ScriptStep(part, exchange, block, source, number)


def _in_order(exchanges: Sequence[Exchange]) -> Iterator[int]:
    """The places of the exchanges in the order in which they are played: the file's, where no guard says otherwise."""
    place = {exchange.name: number for number, exchange in enumerate(exchanges)}
    followers: list[list[int]] = [[] for _ in exchanges]
    waits_for = [0] * len(exchanges)
    for number, exchange in enumerate(exchanges):
        guards = [(place[name], number) for name in exchange.after if name in place]
        guards += [(number, place[name]) for name in exchange.before if name in place]
        for earlier, later in guards:
            followers[earlier].append(later)
            waits_for[later] += 1
    ready = [number for number, count in enumerate(waits_for) if not count]
    done: set[int] = set()
    while len(done) < len(exchanges):
        # guards in a circle: the first that is left says at its turn which guard it breaks
        number = heapq.heappop(ready) if ready else next(each for each in place.values() if each not in done)
        done.add(number)
        yield number
        for later in followers[number]:
            waits_for[later] -= 1
            if not waits_for[later] and later not in done:
                heapq.heappush(ready, later)


def _cues(scenario: Scenario, sources: Sequence[SourceFile], first: str) -> Iterator[ExpectedTimelineEvent]:
    entries = iter(scenario.timeline)
    for source in sources:
        for _, block in source.timeline:
            entry = next(entries)
            for part in _taken_by(entry.roles, scenario.roles, first):
                yield ExpectedTimelineEvent(part, entry, block)
