"""The compiled scenario: exchanges, timeline entries and their container."""

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
    """One exchange. `index` is its position in the scenario; exchanges with equal patterns share a `group` number.

    Empty `roles` match every session; `authenticated` None matches both. `after` and `before` are guards: names of
    exchanges. Without a `reply`, the reply to an HTTP request is 200 with no body, that to a publish is the default.
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

    def match(self, request: Question, ids: Mapping[str, JSON]) -> Match | Mismatch:
        """Compare a request with the pattern; `ids` are the current `$id` bindings of the session."""
        return match(self.trigger, request, ids)


@dataclass(frozen=True, slots=True)
class Group:
    """Exchanges with equal triggers, roles and guards, in the order in which a session plays them.

    `repeat` is what happens when they run out, None where the scenario doesn't say.
    """

    number: int
    exchanges: tuple[Exchange, ...]

    @property
    def repeat(self) -> Literal["last", "cycle", "fail"] | None:
        """What the last exchange says."""
        return self.exchanges[-1].repeat

    def match(self, request: Question, ids: Mapping[str, JSON]) -> Match | Mismatch:
        """Compare a request with the common pattern."""
        return self.exchanges[0].match(request, ids)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An unsolicited notification.

    It starts with the first `since` in a session (an exchange name, `handshake`, `connect` or `subscribe`) and ends
    with one of `until` (exchange names, `unsubscribe` or `disconnect`).
    """

    index: int
    roles: frozenset[str]
    since: str
    until: tuple[str, ...]
    event: EventSpec
    position: Position


class Index(Protocol):
    """Finds the exchanges that may match a request, at a cost that doesn't grow with the scenario."""

    def groups(self, request: Question, role: str | None = None) -> tuple[Group, ...]:
        """Return the groups that may match, in file order of their first exchange; the same spelling of `/me` first.

        With a role, only those that it may play.
        """
        ...

    def answers(self, request: Question, role: str | None = None) -> tuple[tuple[Group, Match | None], ...]:
        """Return the groups with their match, if it depends on nothing but the request."""
        ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """One or several scenario files, checked and linked.

    `highest_ref` is the largest reference number in it, 0 if there is none. `ignore` are JSON Pointers into reply
    bodies and event data, as in a profile's `volatile`: values that may differ between servers or days, which `verify`
    doesn't compare. Replay doesn't use them.
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
        """Normalise an HTTP request, without the ids that the clients of this scenario choose."""
        return normalize_request(request, self.profile.request)

    def publish_question(self, message: Mapping[str, JSON]) -> NormalizedPublish:
        """Normalise a Bayeux publish, without the ids that the clients of this scenario choose."""
        return normalize_publish(message, self.profile.request)
