"""Plays: renders what was chosen, moves the session on, and puts on the schedule what follows.

The only room that turns seconds of the scenario into moments of a session. Knows neither Bayeux nor HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

from cometreel.engine import faults
from cometreel.engine.actions import Action, EndClients, Notify
from cometreel.engine.id_generator import user_id
from cometreel.engine.matching import ExchangeChoice
from cometreel.engine.play_state import Numbering
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.rendering import (
    LONGEST,
    ExchangeRenderer,
    RenderedExchange,
    TimedEvents,
    delivered_once,
    scenario_time,
)
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.scheduling import Schedule, TimerHandle, microseconds
from cometreel.engine.sessions import Session
from cometreel.immutable import immutable
from cometreel.scenario import FaultAction, NormalizedPublish, Question, RenderContext, TimelineEntry, User

__all__ = ["Player", "ScheduledAction", "Start", "Timeline"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@immutable
class ScheduledAction:
    """An order and how long after its cause it is due, in seconds of the scenario."""

    after_seconds: float
    order: Action


class Player:
    """Plays one scenario. `wallclock` is the real time, for templates that ask for it."""

    def __init__(
        self,
        repertoire: PreparedScenario,
        settings: ReplaySettings,
        schedule: Schedule[Action],
        wallclock: Callable[[], datetime],
    ) -> None:
        self._repertoire, self._settings = repertoire, settings
        self.scale = settings.scale
        """What every `after` that is put on the schedule from now on is multiplied by."""
        self._schedule, self._wallclock = schedule, wallclock

    def play(
        self, choice: ExchangeChoice, question: Question, session: Session, actions: Sequence[FaultAction] = ()
    ) -> RenderedExchange:
        """Render what was chosen and count it as played.

        :raises TemplateFailed: if a template can't be evaluated for this request; then it doesn't count.
        """
        exchange, match = choice.exchange, choice.match
        if match.session_captures:
            session.values.update(deepcopy(dict(match.session_captures)))  # a responder may change what a session has
        if match.ids:
            session.ids.update(match.ids)
        number = session.plays.counts.get(exchange.name, 0)
        score = self._score(session, question, f"{exchange.name}|{number}", choice)
        performance = score.render(
            exchange,
            self._repertoire.numbers[exchange.index],
            self._repertoire.ready(exchange),
            partial(faults.delivery_count, actions) if actions else delivered_once,
        )
        session.plays.played(exchange)
        if performance.reply is not None:
            session.clock += max(0.0, performance.reply.after_seconds)
        return performance

    def _score(
        self, session: Session, question: Question, seed: str, choice: ExchangeChoice | None = None
    ) -> ExchangeRenderer:
        context = partial(self._context, session, question, seed, choice)
        return ExchangeRenderer(
            question, context, self._repertoire.scenario.profile, session.base, Numbering(session.references)
        )

    def _context(self, session: Session, question: Question, seed: str, choice: ExchangeChoice | None) -> RenderContext:
        return RenderContext(
            request=question,
            captures=choice.match.captures if choice is not None else {},
            session=session.values,
            user=self.user_of(session),
            ids=session.ids,
            now=scenario_time(self._repertoire.scenario.recorded or _EPOCH, session.clock),
            seed=f"{self.seed}|{session.user or ''}|{seed}",
            wallclock=self._wallclock,
        )

    @property
    def seed(self) -> str:
        """What generated values are made from: the same in each run, unless the user set another."""
        return self._settings.seed or ""

    def user_of(self, session: Session) -> User:
        """Tell whom templates see as `user`: whoever logged in, else the user of the role."""
        role = self._repertoire.scenario.roles.get(session.role) if session.role is not None else None
        if session.user is None:
            return User(role.user, role.id) if role is not None else User()
        known = role.id if role is not None and role.user == session.user else None
        return User(session.user, known or user_id(session.user))

    def is_immediate(self, after_seconds: float) -> bool:
        """Tell whether something is due together with its cause."""
        return microseconds(after_seconds * self.scale) == 0

    def comes_first(self, after_seconds: float, cues: Sequence[ScheduledAction], tick: int) -> bool:
        """Tell whether a reply is due together with its cause at this time, and before the cues and all that waits."""
        if not self.is_immediate(after_seconds) or any(cue.after_seconds < after_seconds for cue in cues):
            return False
        waiting = self._schedule.first()
        return waiting is None or waiting[0] > tick + 1

    def cues(
        self, events: Sequence[TimedEvents], session: Session, client_id: str | None = None
    ) -> list[ScheduledAction]:
        """Turn rendered events into orders for one CometD client, or for all of the session."""
        return [ScheduledAction(timed.after_seconds, _order(timed, session, client_id)) for timed in events]

    def put(
        self, cues: Sequence[ScheduledAction], session: Session, tick: int, place: int
    ) -> list[TimerHandle[Action]]:
        """Schedule what follows a cause at this time (µs of the session); `place` is the cause's in the scenario.

        What is due earlier comes first at any speed; then the scenario's order decides, then that of the cues.
        """
        session.performances += 1
        serial, tickets = session.performances, []
        ordered = sorted(cues, key=_after) if len(cues) > 1 else cues
        for rank, cue in enumerate(ordered):
            due = tick + microseconds(min(LONGEST, max(0.0, cue.after_seconds)) * self.scale)
            tickets.append(self._schedule.add(due, cue.order, (place, serial, rank)))
        return tickets

    def start(self, session: Session, entry: TimelineEntry, tick: int) -> None:
        """Schedule a timeline entry.

        :raises TemplateFailed: if a template can't be evaluated.
        """
        score = self._score(session, NormalizedPublish(channel=entry.since), f"timeline|{entry.index}")
        events = score.events([entry.event])
        place = len(self._repertoire.scenario.exchanges) + entry.index
        session.running[entry.index] = self.put(self.cues(events, session), session, tick, place)


def _after(cue: ScheduledAction) -> float:
    return cue.after_seconds


def _order(timed: TimedEvents, session: Session, client_id: str | None) -> Action:
    if timed.disconnect:
        return EndClients(session, client_id)
    return Notify(session, timed.messages, timed.batch is not None, client_id)


Start: TypeAlias = Callable[[Session, TimelineEntry, int], None]
"""Schedules an entry from a time (µs of the session) on, and keeps its tickets in `session.running`."""


class Timeline:
    """The timeline of one scenario, for all sessions."""

    def __init__(self, repertoire: PreparedScenario, start: Start) -> None:
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
