"""Assigns roles to sessions: by their login, by a value in a request, or by a timeline entry.

An exchange whose choice depends on the role assigns one in turn (`matching`). A role is assigned as late as possible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from cometreel.engine.matching import RoleAllocator
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.sessions import Session
from cometreel.jsonvalue import JSON
from cometreel.scenario import Anchor, NormalizedRequest, RequestOrPublish, Scenario, TimelineEntry
from cometreel.scenario.normalized_request import query_of

__all__ = ["SessionRoles"]

_FORM = "application/x-www-form-urlencoded"


class SessionRoles:
    """The roles of the live sessions of one scenario; `on_assigned` is called after a session got a role."""

    def __init__(
        self, prepared: PreparedScenario, allocator: RoleAllocator, on_assigned: Callable[[Session], None]
    ) -> None:
        self._allocator, self._on_assigned = allocator, on_assigned
        self._role_of_value = _role_of_value(prepared.scenario)
        self._unnamed = _unnamed_roles(prepared.scenario)
        self._since = _unnamed_since(prepared.scenario, self._unnamed)
        self._unassigned = {entry.index: entry for entry in prepared.scenario.timeline if entry.roles}

    def on_login(self, session: Session) -> None:
        """Assign the role of the user that logged in, if there is one."""
        role = self._allocator.of_user(session.user)
        if role is None or (session.role is not None and not session.role_assigned):
            return
        if session.role is not None:
            self._allocator.release(session.role)
        self._allocator.assign(role)
        session.role, session.role_assigned = role, False
        self._on_assigned(session)

    def on_request(self, session: Session, normalized: RequestOrPublish) -> None:
        """Assign the role whose user or id is a value of the request, if there is exactly one."""
        if session.role is not None or not self._role_of_value:
            return
        roles = {role for text in _texts(normalized) if (role := self._role_of_value.get(text)) is not None}
        if len(roles) == 1:
            self._assign(session, roles.pop())

    def on_anchor(self, session: Session, anchor: Anchor) -> None:
        """Assign the role of a timeline entry with this anchor, if nothing else can assign it.

        A role with the fewest sessions comes first, also if it waits for another anchor.
        """
        if session.role is not None or anchor not in self._since:
            return
        role = next(self._allocator.in_turn(self._since[anchor]))
        if self._allocator.has_fewest(role, self._unnamed):
            self._assign(session, role)

    def never_assigned(self, session: Session) -> Iterator[TimelineEntry]:
        """Yield, once, the entries that this session reached and whose roles no session ever had."""
        if session.role is not None or not session.anchors:
            return
        for entry in [*self._unassigned.values()]:
            if any(map(self._allocator.was_assigned, entry.roles)):
                del self._unassigned[entry.index]
            elif entry.since in session.anchors:
                yield self._unassigned.pop(entry.index)

    def _assign(self, session: Session, role: str) -> None:
        self._allocator.assign_in_turn(role)
        session.role, session.role_assigned = role, True
        self._on_assigned(session)


def _role_of_value(scenario: Scenario) -> Mapping[str, str]:
    """Map each user and id to its role, unless several roles have it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for role in scenario.roles.values():
        for value in (role.user, role.id):
            if value:
                found[value].add(role.name)
    return {value: next(iter(roles)) for value, roles in found.items() if len(roles) == 1}


def _unnamed_roles(scenario: Scenario) -> frozenset[str]:
    """Return the roles that only a timeline entry can assign: without user and id, and in no `as` of an exchange."""
    chosen = {role for exchange in scenario.exchanges for role in exchange.roles}
    named = {role.name for role in scenario.roles.values() if role.user or role.id}
    used = {role for entry in scenario.timeline for role in entry.roles}
    return frozenset(used - chosen - named)


def _unnamed_since(scenario: Scenario, unnamed: frozenset[str]) -> dict[Anchor, list[str]]:
    found: defaultdict[Anchor, dict[str, None]] = defaultdict(dict)
    for entry in scenario.timeline:
        for role in sorted(entry.roles & unnamed):
            found[entry.since][role] = None
    return {anchor: [*roles] for anchor, roles in found.items()}


def _texts(normalized: RequestOrPublish) -> Iterator[str]:
    """Yield the texts in the path, the query and the body of a request, or in the data of a publish."""
    if isinstance(normalized, NormalizedRequest):
        yield from normalized.path.segments
        yield from _texts_in(normalized.query)
        yield from _texts_in(normalized.body)
        if not normalized.is_json and (normalized.headers.get("content-type") or "").lower().startswith(_FORM):
            yield from _texts_in(query_of(normalized.content.decode(errors="replace")))
    else:
        yield from _texts_in(normalized.data)


def _texts_in(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from _texts_in(item)
