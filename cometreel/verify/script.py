"""The script of a run: the exchanges of a scenario in the order of sending, each with the session that sends it.

Exchanges are in file order, except where a guard (`before`, `after`) requires another one. An exchange with `as` is
sent by each session that it names, any other by the first. Roles that only faults name get no session, because
faults belong to a replay.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cometreel.errors import FileInvalid, Problem
from cometreel.scenario import (
    CompiledScenario,
    EventSpec,
    Exchange,
    ExchangeBlock,
    Position,
    TimelineEntry,
)
from cometreel.scenario.sources import SourceFile, read_source_file
from cometreel.scenario.values import Fixed

__all__ = [
    "DEFAULT_SESSION",
    "RECEIVERS",
    "SEVERAL",
    "ExpectedTimelineEvent",
    "Script",
    "ScriptStep",
    "SessionPlan",
    "build_script",
]

SEVERAL = frozenset({"subscribers", "all"})
"""The values of `deliver` with which other sessions receive a notification too."""
RECEIVERS = SEVERAL | {"asker"}
"""The values of `deliver` that are not a role."""
DEFAULT_SESSION = "everybody"
"""The only session of a scenario without roles."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """The plan of one live session. `user` is the recorded login name, `channels` are subscribed.

    `anchors` are the exchanges after which its timeline entries are due.
    """

    name: str
    user: str | None = None
    id: str | None = None
    channels: tuple[str, ...] = ()
    anchors: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One exchange sent by one session. `source` is its file, `number` its index in that file."""

    session: str
    exchange: Exchange
    block: ExchangeBlock
    source: SourceFile
    number: int

    def receives(self, event: EventSpec) -> str:
        """Return the session that receives an event for certain: the asker, or the role that `deliver` names."""
        return self.session if event.deliver in RECEIVERS else event.deliver

    def position(self, path: Sequence[str | int] = ()) -> Position:
        """Return the position of a path of the exchange, or of its closest parent in the file."""
        return self.source.position(("exchanges", self.number, *path))


@dataclass(frozen=True, slots=True)
class ExpectedTimelineEvent:
    """An unsolicited notification that one session should receive."""

    session: str
    entry: TimelineEntry


@dataclass(frozen=True, slots=True)
class Script:
    """The steps of a run, the sessions that send them, and the notifications of the timeline."""

    scenario: CompiledScenario
    sources: tuple[SourceFile, ...]
    sessions: tuple[SessionPlan, ...]
    steps: tuple[ScriptStep, ...]
    timeline_events: tuple[ExpectedTimelineEvent, ...]

    @property
    def endpoint(self) -> str:
        """The path of the CometD endpoint."""
        return self.scenario.bayeux.endpoint or "/cometd"

    @property
    def needs_login(self) -> bool:
        """True if the scenario requires authentication."""
        authenticated = any(step.exchange.authenticated is True for step in self.steps)
        return authenticated or self.scenario.settings.auth in ("session", "csrf")


def build_script(scenario: CompiledScenario) -> Script:
    """Build the script of a scenario; reads its files again to get line numbers for the report.

    :raises FileInvalid: if a file can't be read, or the scenario has no exchanges.
    """
    sources = tuple(map(read_source_file, scenario.files))
    if not scenario.exchanges:
        raise FileInvalid([Problem(str(sources[0].document.file), 0, 0, "no exchanges", "at least one to play")])
    names = _session_names(scenario)
    steps = tuple(_steps(scenario, sources, names[0]))
    timeline_events = tuple(_timeline_events(scenario, names[0]))
    sessions = tuple(_session_plan(scenario, name, steps, timeline_events) for name in names)
    return Script(scenario, sources, sessions, steps, timeline_events)


def _session_names(scenario: CompiledScenario) -> list[str]:
    """Return all roles except those that only faults name, or the default session if there are none."""
    named = {role for exchange in scenario.exchanges for role in exchange.roles}
    named |= {role for entry in scenario.timeline for role in entry.roles}
    events = (event for exchange in scenario.exchanges for event in exchange.events)
    named |= {event.deliver for event in events if event.deliver not in RECEIVERS}
    only_faulty = {role for fault in scenario.faults for role in fault.roles} - named
    return [role for role in scenario.roles if role not in only_faulty] or [DEFAULT_SESSION]


def _session_plan(
    scenario: CompiledScenario, name: str, steps: Sequence[ScriptStep], timeline_events: Sequence[ExpectedTimelineEvent]
) -> SessionPlan:
    role = scenario.roles.get(name)
    own_timeline = [each.entry for each in timeline_events if each.session == name]
    events = [event for step in steps for event in step.exchange.events if step.receives(event) == name]
    events += [entry.event for entry in own_timeline]
    channels = [event.channel.value for event in events if isinstance(event.channel, Fixed)]
    topics = sorted({str(channel) for channel in channels if not str(channel).startswith("/service/")})
    anchors = frozenset(entry.since for entry in own_timeline if isinstance(entry.since, str))
    return SessionPlan(name, role.user if role else None, role.id if role else None, tuple(topics), anchors)


def _sessions_of(roles: frozenset[str], all_roles: Mapping[str, object], first: str) -> list[str]:
    return [role for role in all_roles if role in roles] or [first]


def _steps(scenario: CompiledScenario, sources: Sequence[SourceFile], first: str) -> Iterator[ScriptStep]:
    written = [(source, number, block) for source in sources for number, block in source.exchanges]
    for index in _in_order(scenario.exchanges):
        exchange, (source, number, block) = scenario.exchanges[index], written[index]
        for session in _sessions_of(exchange.roles, scenario.roles, first):
            yield ScriptStep(session, exchange, block, source, number)


def _in_order(exchanges: Sequence[Exchange]) -> Iterator[int]:
    """Return the indexes of the exchanges in the order of sending: file order, unless a guard requires another."""
    index = {exchange.name: number for number, exchange in enumerate(exchanges)}
    followers: list[list[int]] = [[] for _ in exchanges]
    waits_for = [0] * len(exchanges)
    for number, exchange in enumerate(exchanges):
        guards = [(index[name], number) for name in exchange.after if name in index]
        guards += [(number, index[name]) for name in exchange.before if name in index]
        for earlier, later in guards:
            followers[earlier].append(later)
            waits_for[later] += 1
    ready = [number for number, count in enumerate(waits_for) if not count]
    done: set[int] = set()
    while len(done) < len(exchanges):
        # circular guards: take the first exchange left; the run reports the guard that it violates
        number = heapq.heappop(ready) if ready else next(each for each in index.values() if each not in done)
        done.add(number)
        yield number
        for later in followers[number]:
            waits_for[later] -= 1
            if not waits_for[later] and later not in done:
                heapq.heappush(ready, later)


def _timeline_events(scenario: CompiledScenario, first: str) -> Iterator[ExpectedTimelineEvent]:
    for entry in scenario.timeline:
        for session in _sessions_of(entry.roles, scenario.roles, first):
            yield ExpectedTimelineEvent(session, entry)
