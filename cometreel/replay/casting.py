"""Casting: which recorded session a live one plays. Roles are leased, round robin when there are too few.

This is the only thing that sessions share.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping

__all__ = ["Casting"]


class Casting:
    """The roles of a scenario, by name, and how many live sessions play each.

    `users` gives the user whom each role names, or None.
    """

    def __init__(self, users: Mapping[str, str | None]) -> None:
        self._places = {role: place for place, role in enumerate(users)}
        self._by_user = {user: role for role, user in reversed(list(users.items())) if user is not None}
        self._leases = dict.fromkeys(users, 0)
        self._next = 0

    def named(self, user: str | None) -> str | None:
        """The role that names this user, if one does."""
        return self._by_user.get(user) if user is not None else None

    def take(self, role: str) -> None:
        """Count one more live session that plays this role."""
        self._leases[role] = self._leases.get(role, 0) + 1

    def turn(self, among: Collection[str]) -> Iterator[str]:
        """Go through some roles in the order in which they would be leased: those with the fewest players first."""
        number = max(1, len(self._places))
        waiting = [
            (self._leases[role], (self._places[role] - self._next) % number, role)
            for role in among
            if role in self._places
        ]
        heapq.heapify(waiting)
        while waiting:
            yield heapq.heappop(waiting)[2]

    def lease(self, role: str) -> None:
        """Give a role to a live session; the next one to be leased is the one after it."""
        self.take(role)
        self._next = (self._places[role] + 1) % len(self._places)

    def release(self, role: str) -> None:
        """Give a role back when its session ends."""
        if self._leases.get(role, 0) > 0:
            self._leases[role] -= 1
