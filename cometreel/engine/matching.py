"""Chooses the exchange that answers a request, and assigns roles to sessions when a choice needs one.

The first group in file order that matches and is not used up answers. Nothing is rendered or scheduled here.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.replay_settings import Repeat
from cometreel.engine.sessions import Session
from cometreel.http_fields import FORM_TYPE, media_type
from cometreel.jsonvalue import JSON
from cometreel.scenario import CompiledScenario, Exchange, Match, Mismatch, NormalizedRequest, RequestOrPublish
from cometreel.scenario.exchange import ExchangeGroup
from cometreel.scenario.normalized_request import RequestKey
from cometreel.value_copies import copy_by_constructor

__all__ = ["Chooser", "ExchangeChoice", "RoleAllocator", "RoleValues", "passes"]

_CACHE_SIZE = 4096


@dataclass(init=False, slots=True, unsafe_hash=True)
class ExchangeChoice:
    """The exchange that answers, and the values that its trigger captured."""

    exchange: Exchange
    match: Match

    def __init__(
        self,
        exchange: Exchange,
        match: Match,
    ) -> None:
        self.exchange, self.match = exchange, match


class Chooser:
    """Chooses exchanges of one scenario. `repeat` applies to exchanges that set none.

    `on_role_assigned` is called after a choice has assigned a role to a session.
    """

    def __init__(
        self,
        prepared: PreparedScenario,
        roles: RoleAllocator,
        repeat: Repeat,
        on_role_assigned: Callable[[Session], None],
    ) -> None:
        self._index, self._roles = prepared.scenario.index, roles
        self._repeat, self._on_role_assigned = repeat, on_role_assigned

    def choose(
        self, normalized: RequestOrPublish, session: Session, *, locked_out: bool = False
    ) -> ExchangeChoice | None:
        """Return the exchange that answers in this session; None if there is none.

        With `locked_out` only exchanges with `authenticated: false` are considered.
        """
        without_role: dict[str, list[tuple[ExchangeGroup, Match | None]]] = {}
        for group, cached in self._index.answers(normalized, session.role):
            first = group.exchanges[0]
            if not passes(first, session, locked_out=locked_out):
                continue
            if first.roles and session.role is None:
                for role in first.roles:
                    without_role.setdefault(role, []).append((group, cached))
            elif (choice := self._try(group, cached, normalized, session)) is not None:
                return choice
        return self._choose_with_role(without_role, normalized, session) if without_role else None

    def _try(
        self, group: ExchangeGroup, cached: Match | None, normalized: RequestOrPublish, session: Session
    ) -> ExchangeChoice | None:
        match = cached or group.match(normalized, session.ids)
        if isinstance(match, Mismatch):
            return None
        exchange = session.plays.pick(group, self._repeat)
        return ExchangeChoice(exchange, match) if exchange is not None else None

    def _choose_with_role(
        self,
        groups: Mapping[str, Sequence[tuple[ExchangeGroup, Match | None]]],
        normalized: RequestOrPublish,
        session: Session,
    ) -> ExchangeChoice | None:
        """Assign the next free role that has a matching answer, and return that answer."""
        for role in self._roles.in_turn(groups):
            for group, cached in groups[role]:
                choice = self._try(group, cached, normalized, session)
                if choice is not None:
                    self._roles.assign_in_turn(role)
                    session.role, session.role_assigned = role, True
                    self._on_role_assigned(session)
                    return choice
        return None


def passes(exchange: Exchange, session: Session, *, locked_out: bool = False) -> bool:
    """True if the login state and the guards of an exchange allow it in this session."""
    if exchange.authenticated is not None and exchange.authenticated is not session.authenticated:
        return False
    if locked_out and exchange.authenticated is not False:
        return False
    if not exchange.after and not exchange.before:
        return True
    return session.plays.allows(exchange.after, exchange.before)


class RoleValues:
    """Finds the role whose user or id a request contains as a whole value; the results are cached."""

    def __init__(self, scenario: CompiledScenario) -> None:
        self._role_of_value = _role_of_value(scenario)
        self._cache: dict[RequestKey, str | None] = {}

    def role_in(self, normalized: RequestOrPublish) -> str | None:
        """Return the role, if there is exactly one."""
        if not self._role_of_value:
            return None
        cached = isinstance(normalized, NormalizedRequest) and (normalized.is_json or not normalized.content)
        key = normalized.key if cached and isinstance(normalized, NormalizedRequest) else None
        if key is not None and key in self._cache:
            return self._cache[key]
        roles = {role for text in _texts(normalized) if (role := self._role_of_value.get(text)) is not None}
        found = roles.pop() if len(roles) == 1 else None
        if key is not None:
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = found
        return found


def _role_of_value(scenario: CompiledScenario) -> Mapping[str, str]:
    """Map each user and id to its role, unless several roles have it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for role in scenario.roles.values():
        for value in (role.user, role.id):
            if value:
                found[value].add(role.name)
    return {value: next(iter(roles)) for value, roles in found.items() if len(roles) == 1}


def _texts(normalized: RequestOrPublish) -> Iterator[str]:
    """Yield the texts and whole numbers in the path, query and body of a request, or in the data of a publish."""
    if isinstance(normalized, NormalizedRequest):
        yield from normalized.path.segments
        yield from _texts_in(normalized.query)
        yield from _texts_in(normalized.body)
        if not normalized.is_json and media_type(normalized.headers.get("content-type")) == FORM_TYPE:
            yield from _texts_in(normalized.form())
    else:
        yield from _texts_in(normalized.data)


def _texts_in(value: JSON) -> Iterator[str]:
    if isinstance(value, str | int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from _texts_in(item)


class RoleAllocator:
    """Counts how many live sessions have each role of a scenario. `users` maps roles to their user, or None."""

    def __init__(self, users: Mapping[str, str | None]) -> None:
        self._places = {role: place for place, role in enumerate(users)}
        self._by_user = {user: role for role, user in reversed(list(users.items())) if user is not None}
        self._sessions = dict.fromkeys(users, 0)
        self._assigned: set[str] = set()
        self._next = 0

    def of_user(self, user: str | None) -> str | None:
        """Return the role with this user, or None."""
        return self._by_user.get(user) if user is not None else None

    def in_turn(self, among: Collection[str]) -> Iterator[str]:
        """Yield roles in the order of assignment: those with the fewest sessions first, then round robin."""
        number = max(1, len(self._places))
        waiting = [
            (self._sessions[role], (self._places[role] - self._next) % number, role)
            for role in among
            if role in self._places
        ]
        heapq.heapify(waiting)
        while waiting:
            yield heapq.heappop(waiting)[2]

    def assign(self, role: str) -> None:
        """Count one more session with this role."""
        self._sessions[role] = self._sessions.get(role, 0) + 1
        self._assigned.add(role)

    def assign_in_turn(self, role: str) -> None:
        """Count one more session with this role; the next turn starts at the role after it."""
        self.assign(role)
        self._next = (self._places[role] + 1) % len(self._places)

    def has_fewest(self, role: str, among: Collection[str]) -> bool:
        """True if no other of these roles has fewer sessions."""
        return self._sessions[role] <= min(self._sessions[other] for other in among)

    def was_assigned(self, role: str) -> bool:
        """True if a session has, or had, this role."""
        return role in self._assigned

    def release(self, role: str) -> None:
        """Count one session less with this role."""
        if self._sessions.get(role, 0) > 0:
            self._sessions[role] -= 1


copy_by_constructor(__name__)
