"""Notifications that nobody asked for: when an entry starts, and when it is over.

An entry starts when its `since` happens first in a session that it is for, and again only after one of its `until`
has happened in between. There is no model of the application behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from cometreel.replay.repertoire import Repertoire
from cometreel.replay.sessions import Session
from cometreel.scenario import TimelineEntry

__all__ = ["Start", "Timeline"]

Start: TypeAlias = Callable[[Session, TimelineEntry, int], None]
"""Schedules an entry from a time (µs of the session) on, and keeps its tickets in `session.running`."""


class Timeline:
    """The timeline of one scenario, for all sessions."""

    def __init__(self, repertoire: Repertoire, start: Start) -> None:
        self._repertoire, self._start = repertoire, start

    def happened(self, session: Session, what: str, tick: int) -> None:
        """Take note that something happened in a session: an exchange was played, or a CometD client did something."""
        if what not in self._repertoire.anchors:
            return
        session.happened[what] = tick
        for entry in self._repertoire.ending(what, session.role):
            for ticket in session.running.pop(entry.index, ()):
                ticket.cancel()
        for entry in self._repertoire.starting(what, session.role):
            self._begin(session, entry, tick)

    def cast(self, session: Session) -> None:
        """Start what waited for a session to be given its role, and is not over already."""
        for what, tick in list(session.happened.items()):
            for entry in self._repertoire.starting(what, session.role):
                if not any(session.happened.get(end, tick - 1) >= tick for end in entry.until):
                    self._begin(session, entry, tick)

    def _begin(self, session: Session, entry: TimelineEntry, tick: int) -> None:
        if entry.index not in session.running:
            session.running[entry.index] = []
            self._start(session, entry, tick)
