"""Which exchange answers a question: trigger, role, guards, what is used up; and casting, as late as possible.

In file order the first group that matches and has something left. Renders nothing and schedules nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cometreel.immutable import immutable
from cometreel.replay.casting import Casting
from cometreel.replay.repertoire import Repertoire
from cometreel.replay.sessions import Session
from cometreel.replay.settings import Repeat
from cometreel.scenario import Exchange, Match, Mismatch, Question
from cometreel.scenario.exchange import Group

__all__ = ["Chooser", "Choice"]


@immutable
class Choice:
    """The exchange that answers, and what its trigger captured."""

    exchange: Exchange
    match: Match


class Chooser:
    """Chooses exchanges of one scenario. `repeat` holds where an exchange doesn't say; `on_cast` learns of castings."""

    def __init__(
        self, repertoire: Repertoire, casting: Casting, repeat: Repeat, on_cast: Callable[[Session], None]
    ) -> None:
        self._repertoire, self._casting = repertoire, casting
        self._repeat, self._on_cast = repeat, on_cast

    def choose(self, question: Question, session: Session, *, locked_out: bool = False) -> Choice | None:
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

    def _try(self, group: Group, known: Match | None, question: Question, session: Session) -> Choice | None:
        match = known or group.match(question, session.ids)
        if isinstance(match, Mismatch):
            return None
        exchange = session.plays.pick(group, self._repeat)
        return Choice(exchange, match) if exchange is not None else None

    def _cast(
        self, uncast: Mapping[str, Sequence[tuple[Group, Match | None]]], question: Question, session: Session
    ) -> Choice | None:
        """Lease the next free role for whom there is an answer, and give that answer."""
        for role in self._casting.turn(uncast):
            for group, known in uncast[role]:
                choice = self._try(group, known, question, session)
                if choice is not None:
                    self._casting.lease(role)
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
