"""Which exchange answers a question: trigger, role, guards, what is used up; and casting, as late as possible.

In file order the first group that matches and has something left. Renders nothing and schedules nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.replay_settings import Repeat
from cometreel.engine.sessions import Session
from cometreel.immutable import immutable
from cometreel.scenario import Exchange, Match, Mismatch, Question
from cometreel.scenario.exchange import Group

__all__ = ["Chooser", "ExchangeChoice", "RoleAllocator"]


@immutable
class ExchangeChoice:
    """The exchange that answers, and what its trigger captured."""

    exchange: Exchange
    match: Match


class Chooser:
    """Chooses exchanges of one scenario. `repeat` holds where an exchange doesn't say; `on_cast` learns of castings."""

    def __init__(
        self, repertoire: PreparedScenario, casting: RoleAllocator, repeat: Repeat, on_cast: Callable[[Session], None]
    ) -> None:
        self._repertoire, self._casting = repertoire, casting
        self._repeat, self._on_cast = repeat, on_cast

    def choose(self, question: Question, session: Session, *, locked_out: bool = False) -> ExchangeChoice | None:
        """Choose what answers in this session; None if nothing does.

        `locked_out` leaves only exchanges that are meant for whoever has not logged in.
        """
        uncast: dict[str, list[tuple[Group, Match | None]]] = {}
        for group, known in self._repertoire.scenario.index.answers(question, session.role):
            first = group.exchanges[0]
            if not passes(first, session, locked_out=locked_out):
                continue
            if first.roles and session.role is None:
                for role in first.roles:
                    uncast.setdefault(role, []).append((group, known))
            elif (choice := self._try(group, known, question, session)) is not None:
                return choice
        return self._cast(uncast, question, session) if uncast else None

    def _try(self, group: Group, known: Match | None, question: Question, session: Session) -> ExchangeChoice | None:
        match = known or group.match(question, session.ids)
        if isinstance(match, Mismatch):
            return None
        exchange = session.plays.pick(group, self._repeat)
        return ExchangeChoice(exchange, match) if exchange is not None else None

    def _cast(
        self, uncast: Mapping[str, Sequence[tuple[Group, Match | None]]], question: Question, session: Session
    ) -> ExchangeChoice | None:
        """Lease the next free role for whom there is an answer, and give that answer."""
        for role in self._casting.turn(uncast):
            for group, known in uncast[role]:
                choice = self._try(group, known, question, session)
                if choice is not None:
                    self._casting.assign(role)
                    session.role, session.leased = role, True
                    self._on_cast(session)
                    return choice
        return None


def passes(exchange: Exchange, session: Session, *, locked_out: bool = False) -> bool:
    """Tell whether an exchange may answer in this session now, its trigger and role aside."""
    if exchange.authenticated is not None and exchange.authenticated is not session.authenticated:
        return False
    if locked_out and exchange.authenticated is not False:
        return False
    if not exchange.after and not exchange.before:
        return True
    return session.plays.allow(exchange.after, exchange.before)


class RoleAllocator:
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

    def assign(self, role: str) -> None:
        """Give a role to a live session; the next one to be leased is the one after it."""
        self.take(role)
        self._next = (self._places[role] + 1) % len(self._places)

    def release(self, role: str) -> None:
        """Give a role back when its session ends."""
        if self._leases.get(role, 0) > 0:
            self._leases[role] -= 1
