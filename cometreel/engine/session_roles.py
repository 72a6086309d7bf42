"""Assigns roles to sessions: by their login, by a value in a request, by a timeline entry, or by a notification.

An exchange whose choice depends on the role assigns one in turn (`matching`, which also finds the values). A role is
assigned as late as possible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from cometreel.engine.matching import RoleAllocator
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.sessions import Session
from cometreel.scenario import Anchor, CompiledScenario, TimelineEntry

__all__ = ["SessionRoles"]


class SessionRoles:
    """The roles of the live sessions of one scenario; `on_assigned` is called after a session got a role."""

    def __init__(
        self, prepared: PreparedScenario, allocator: RoleAllocator, on_assigned: Callable[[Session], None]
    ) -> None:
        self._allocator, self._on_assigned = allocator, on_assigned
        self._unnamed = _unnamed_roles(prepared.scenario)
        self._only_delivered = prepared.scenario.unassigned_roles()
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

    def on_anchor(self, session: Session, anchor: Anchor) -> None:
        """Assign the role of a timeline entry with this anchor, if nothing else can assign it.

        A role with the fewest sessions comes first, also if it waits for another anchor.
        """
        if session.role is not None or anchor not in self._since:
            return
        role = next(self._allocator.in_turn(self._since[anchor]))
        if self._allocator.has_fewest(role, self._unnamed):
            self.assign(session, role)

    def on_delivery(self, role: str, asker: Session, others: Iterable[Session]) -> Session | None:
        """Return the receiver of a notification for a role that no session has, if only `deliver` names the role.

        It is the only other session without a role, and gets the role; None if there are several.
        """
        if role not in self._only_delivered:
            return None
        found = [session for session in others if session is not asker and session.role is None]
        if len(found) != 1:
            return None
        self.assign(found[0], role)
        return found[0]

    def never_assigned(self, session: Session) -> Iterator[TimelineEntry]:
        """Yield, once, the entries that this session reached and whose roles no session ever had."""
        if session.role is not None or not session.anchors:
            return
        for entry in [*self._unassigned.values()]:
            if any(map(self._allocator.was_assigned, entry.roles)):
                del self._unassigned[entry.index]
            elif entry.since in session.anchors:
                yield self._unassigned.pop(entry.index)

    def assign(self, session: Session, role: str) -> None:
        """Give a session without a role this one."""
        self._allocator.assign_in_turn(role)
        session.role, session.role_assigned = role, True
        self._on_assigned(session)


def _unnamed_roles(scenario: CompiledScenario) -> frozenset[str]:
    """Return the roles that only a timeline entry can assign: without user and id, and in no `as` of an exchange."""
    chosen = {role for exchange in scenario.exchanges for role in exchange.roles}
    named = {role.name for role in scenario.roles.values() if role.user or role.id}
    used = {role for entry in scenario.timeline for role in entry.roles}
    return frozenset(used - chosen - named)


def _unnamed_since(scenario: CompiledScenario, unnamed: frozenset[str]) -> dict[Anchor, list[str]]:
    found: defaultdict[Anchor, dict[str, None]] = defaultdict(dict)
    for entry in scenario.timeline:
        for role in sorted(entry.roles & unnamed):
            found[entry.since][role] = None
    return {anchor: [*roles] for anchor, roles in found.items()}
