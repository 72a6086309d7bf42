"""An exchange, a timeline entry and the scenario that holds them, compiled and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from cometreel.jsonvalue import JSON
from cometreel.scenario.normalized_request import (
    NormalizedPublish,
    NormalizedRequest,
    Question,
    normalize_publish,
    normalize_request,
)
from cometreel.scenario.profiles import Profile
from cometreel.scenario.request_pattern import Match, Mismatch, Trigger, match
from cometreel.wire import Request

from .compiled import BayeuxSection, Fault, Position, Role, SessionSection, SettingsSection
from .specs import EventSpec, PublishReplySpec, ReplySpec

__all__ = ["Exchange", "Group", "Index", "Scenario", "TimelineEntry"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange. `index` is its place in the scenario; exchanges with equal triggers share a `group` number.

    `roles` empty serves everybody. `authenticated` None serves both. `after` and `before` are guards: names of
    exchanges. Without a `reply` an HTTP request is answered 200 with no body, a publish as the server does.
    """

    index: int
    name: str
    trigger: Trigger
    roles: frozenset[str]
    authenticated: bool | None
    after: tuple[str, ...]
    before: tuple[str, ...]
    reply: ReplySpec | PublishReplySpec | None
    events: tuple[EventSpec, ...]
    repeat: Literal["last", "cycle", "fail"] | None
    group: int
    position: Position

    def match(self, question: Question, ids: Mapping[str, JSON]) -> Match | Mismatch:
        """Compare a question with the trigger; `ids` are the session's `$id` bindings so far."""
        return match(self.trigger, question, ids)


@dataclass(frozen=True, slots=True)
class Group:
    """Exchanges with equal triggers, roles and guards, in the order in which a session plays them.

    `repeat` is that of the last exchange: what happens when all were played, None for the default.
    """

    number: int
    exchanges: tuple[Exchange, ...]
    repeat: Literal["last", "cycle", "fail"] | None

    def match(self, question: Question, ids: Mapping[str, JSON]) -> Match | Mismatch:
        """Compare a question with the trigger that they share."""
        return self.exchanges[0].match(question, ids)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A notification that nobody asked for.

    `since` is an exchange's name, or `handshake`, `connect`, `subscribe`: the first time that happens in a
    session. It is over when one of `until` happens (exchange names, or `unsubscribe`, `disconnect`).
    """

    index: int
    roles: frozenset[str]
    since: str
    until: tuple[str, ...]
    event: EventSpec
    position: Position


class Index(Protocol):
    """Finds what may answer a question, at a cost that doesn't grow with the scenario."""

    def groups(self, question: Question, role: str | None = None) -> tuple[Group, ...]:
        """The groups that may match, in file order of their first exchange; the same spelling of `/me` first.

        With a role, only those that it may play.
        """
        ...

    def answers(self, question: Question, role: str | None = None) -> tuple[tuple[Group, Match | None], ...]:
        """The same groups, each with its match where that is known beforehand: nothing but the request decides it."""
        ...

    def candidates(self, question: Question) -> tuple[Exchange, ...]:
        """The exchanges of those groups."""
        ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that one or several scenario files say, checked.

    `highest_ref` is the largest correlation number that occurs in it, 0 where there is none. `ignore` are JSON
    Pointers into reply bodies and event data, as in a profile's `volatile`: values that may differ from one server, or
    one day, to the next. `verify` leaves them out; replay and matching don't look at them.
    """

    title: str
    files: tuple[Path, ...]
    bayeux: BayeuxSection
    session: SessionSection
    settings: SettingsSection
    profile: Profile
    roles: Mapping[str, Role]
    exchanges: tuple[Exchange, ...]
    groups: tuple[Group, ...]
    timeline: tuple[TimelineEntry, ...]
    faults: tuple[Fault, ...]
    recorded: datetime | None
    highest_ref: int
    index: Index
    by_name: Mapping[str, Exchange]
    ignore: tuple[str, ...] = ()

    def question(self, request: Request) -> NormalizedRequest:
        """Normalise an HTTP request, without the ids that this scenario's clients choose."""
        return normalize_request(request, self.profile.request)

    def publish_question(self, message: Mapping[str, JSON]) -> NormalizedPublish:
        """Normalise a Bayeux publish, without the ids that this scenario's clients choose."""
        return normalize_publish(message, self.profile.request)
