"""Plays exchanges: renders the chosen exchange, updates the session, and schedules the events that follow.

Delays of the scenario are converted to the ticks of a session here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

from cometreel.bayeux import EncodedMessage
from cometreel.engine import faults
from cometreel.engine.actions import Action, Cause, EndClients, Notify, Origin, ScheduledAction
from cometreel.engine.bound_values import BoundValues
from cometreel.engine.id_generator import user_id
from cometreel.engine.matching import ExchangeChoice
from cometreel.engine.prepared_scenario import PreparedScenario, numbers_of
from cometreel.engine.rendering import (
    LONGEST,
    ExchangeRenderer,
    Numbering,
    RenderedExchange,
    TimedEvents,
    delivered_once,
    scenario_time,
)
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.scheduling import Schedule, Ticks, TimerHandle, to_ticks
from cometreel.engine.sessions import Session
from cometreel.engine.static_responses import ReadyResponse, StaticEvents, ready_response_of
from cometreel.jsonvalue import JSONObject
from cometreel.scenario import (
    Anchor,
    Exchange,
    FaultAction,
    Match,
    NormalizedPublish,
    RenderContext,
    ReplyOut,
    RequestOrPublish,
    TimelineEntry,
    User,
)

__all__ = ["Player", "StartEntry", "Timeline", "actions_of", "static_events"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_NUMBERS: Mapping[int, int] = {}


class Player:
    """Plays one scenario. `wallclock` returns the real time for templates that use it."""

    def __init__(
        self,
        prepared: PreparedScenario,
        settings: ReplaySettings,
        schedule: Schedule[Action],
        wallclock: Callable[[], datetime],
        values: BoundValues,
    ) -> None:
        self._prepared, self._values = prepared, values
        self._ready: dict[int, ReadyResponse | None] = {}  # of the exchanges that were played, by index
        self.seed = settings.seed or ""
        """The seed of generated values: the same in each run unless the user sets another."""
        self.scale = settings.scale
        """The factor for all delays that are scheduled from now on."""
        self.since: float | None = None
        """The time at which the scenario's clock starts, if it follows the time (seconds)."""
        self._schedule, self._wallclock = schedule, wallclock

    def play(
        self,
        choice: ExchangeChoice,
        normalized: RequestOrPublish,
        session: Session,
        actions: Sequence[FaultAction] = (),
    ) -> RenderedExchange:
        """Render the chosen exchange and count it as played.

        :raises TemplateFailed: if a template can't be evaluated for this request; then it isn't counted.
        """
        exchange, match = choice.exchange, choice.match
        if match.session_captures or match.ids:
            _capture(match, session)
        rendered = self._render(exchange, choice, normalized, session, actions)
        session.plays.count(exchange)
        return rendered

    def ready_response(self, exchange: Exchange) -> ReadyResponse | None:
        """Return the reply and the notifications of an exchange if all their bytes are ready; otherwise None."""
        index = exchange.index
        ready = self._ready.get(index)
        if ready is None and index not in self._ready:
            static = self._prepared.static_responses.get(index) or self._prepared.static_response(exchange)
            numbers = self._prepared.numbers.get(index) or self._prepared.recorded_numbers(exchange)
            ready = None if self.hands_out(exchange) else ready_response_of(static, numbers.recorded)
            self._ready[index] = ready
        return ready

    def count_ready(self, choice: ExchangeChoice, ready: ReadyResponse, session: Session) -> Mapping[int, int]:
        """Count an exchange as played, and return its live reference numbers by the recorded ones."""
        match = choice.match
        if match.session_captures or match.ids:
            _capture(match, session)
        session.plays.count(choice.exchange)
        if not ready.numbers:
            return _NO_NUMBERS
        take = session.references.take
        return {recorded: take(recorded) for recorded in ready.numbers}

    def schedule_ready(
        self, exchange: Exchange, ready: ReadyResponse, live: Mapping[int, int], session: Session, at: Ticks, call: int
    ) -> None:
        """Schedule the notifications of a ready response; `call` is the number of the call that caused them.

        It does the same as `actions_of` and `schedule`, for events that are in order already.
        """
        session.causes += 1
        index, cause = exchange.index, session.causes
        for rank, each in enumerate(ready.events):
            timed = each.timed
            action: Action
            if timed.disconnect:
                action = EndClients(session, None, timed.deliver)
            else:
                messages = _numbered_messages(each, live) if each.numbered else timed.messages
                origins = tuple([Origin(session.number, exchange.name, None, call, place) for place in timed.places])
                action = Notify(session, messages, timed.batch is not None, None, timed.deliver, origins)
            delay = to_ticks(timed.after_seconds * self.scale)
            self._schedule.add(Ticks(at + delay), action, (index, cause, rank))

    def _render(
        self,
        exchange: Exchange,
        choice: ExchangeChoice,
        normalized: RequestOrPublish,
        session: Session,
        actions: Sequence[FaultAction],
    ) -> RenderedExchange:
        prepared, index = self._prepared, exchange.index
        static = prepared.static_responses.get(index) or prepared.static_response(exchange)
        numbers = prepared.numbers.get(index) or prepared.recorded_numbers(exchange)
        live = {recorded: session.references.take(recorded) for recorded in numbers.recorded}
        hands_out = self.hands_out(exchange)
        reply = None
        if static.reply is not None and not hands_out:
            ready = static.reply
            reply = ReplyOut(ready.after_seconds, ready.status, ready.headers, None, ready.body.joined(live))
        events = None if static.events is None or actions else static_events(static.events, live)
        if reply is not None and events is not None:
            return RenderedExchange(reply, events)
        seed = f"{exchange.name}|{session.plays.counts.get(exchange.name, 0)}"
        context = partial(self._context, session, normalized, seed, choice, session.last_request)
        numbering = Numbering(session.references, live)
        profile = prepared.scenario.profile
        renderer = ExchangeRenderer(normalized, context, profile, session.base, numbering, with_ref=numbers.templated)
        how_often = partial(faults.delivery_count, actions) if actions else delivered_once
        if hands_out:
            reply = self._values.hand_out(exchange, session, renderer)
        return RenderedExchange(
            renderer.reply(exchange) if reply is None else reply,
            renderer.events(exchange.events, how_often) if events is None else events,
        )

    def hands_out(self, exchange: Exchange) -> bool:
        """True if the reply of an exchange can hand out a bound value."""
        return exchange.index in self._values.handed_out

    def preview(self, choice: ExchangeChoice, normalized: RequestOrPublish, session: Session) -> ReplyOut:
        """Return the reply of an exchange without playing it: nothing is counted, bound or sent.

        Its reference numbers are those of the next play. A value that it would hand out is the recorded one.

        :raises TemplateFailed: if a template can't be evaluated for this request.
        """
        exchange, match = choice.exchange, choice.match
        seed = f"{exchange.name}|{session.plays.counts.get(exchange.name, 0)}"

        def context() -> RenderContext:
            found = self._context(session, normalized, seed, choice, session.last_request)
            captured = {**session.values, **match.session_captures}
            return replace(found, session=captured, ids={**session.ids, **match.ids})

        profile, references = self._prepared.scenario.profile, session.references.copy()
        numbers = numbers_of(exchange, profile)
        numbering = Numbering(references, {recorded: references.take(recorded) for recorded in numbers.recorded})
        renderer = ExchangeRenderer(normalized, context, profile, session.base, numbering, with_ref=numbers.templated)
        reply = renderer.reply(exchange)
        return reply if isinstance(reply, ReplyOut) else ReplyOut(0.0, 200, (), content=b"")

    def _context(
        self, session: Session, normalized: RequestOrPublish, seed: str, choice: ExchangeChoice | None, at: float
    ) -> RenderContext:
        passed = session.clock if self.since is None else max(session.clock, at - self.since)
        return RenderContext(
            request=normalized,
            captures=choice.match.captures if choice is not None else {},
            session=session.values,
            user=self.user_of(session),
            ids=session.ids,
            now=scenario_time(self._prepared.scenario.recorded or _EPOCH, passed),
            seed=f"{self.seed}|{session.user or ''}|{seed}",
            wallclock=self._wallclock,
            base=session.base,
        )

    def user_of(self, session: Session) -> User:
        """Return the variable `user` of templates: the user that logged in, else the user of the role."""
        role = self._prepared.scenario.roles.get(session.role) if session.role is not None else None
        if session.user is None:
            return User(role.user, role.id) if role is not None else User()
        known = role.id if role is not None and role.user == session.user else None
        return User(session.user, known or user_id(session.user))

    def is_immediate(self, after_seconds: float) -> bool:
        """True if an action with this delay is due together with its cause."""
        return to_ticks(after_seconds * self.scale) == 0

    def is_next(self, after_seconds: float, first_after: float, at: Ticks) -> bool:
        """True if a reply to a request at this time is due at once, before its actions and all scheduled ones.

        `first_after` is the shortest delay of its actions.
        """
        if (after_seconds and not self.is_immediate(after_seconds)) or first_after < after_seconds:
            return False
        first = self._schedule.first()
        return first is None or first[0] > at + 1

    def schedule(
        self, actions: Sequence[ScheduledAction], session: Session, at: Ticks, place: int
    ) -> list[TimerHandle[Action]]:
        """Schedule the actions caused by an exchange or a timeline entry, whose position in the scenario is `place`.

        Actions due at the same time are ordered by the scenario, then by their cause, then as given.
        """
        session.causes += 1
        cause, handles = session.causes, []
        ordered = sorted(actions, key=_after) if len(actions) > 1 else actions
        for rank, each in enumerate(ordered):
            delay = to_ticks(min(LONGEST, each.after_seconds) * self.scale)
            handles.append(self._schedule.add(Ticks(at + delay), each.action, (place, cause, rank)))
        return handles

    def start_entry(self, session: Session, entry: TimelineEntry, at: Ticks) -> None:
        """Schedule a timeline entry.

        :raises TemplateFailed: if a template can't be evaluated.
        """
        normalized = NormalizedPublish(channel=str(entry.since))
        context = partial(self._context, session, normalized, f"timeline|{entry.index}", None, session.time(at))
        numbering = Numbering(session.references, {})
        renderer = ExchangeRenderer(normalized, context, self._prepared.scenario.profile, session.base, numbering)
        actions = actions_of(renderer.events([entry.event]), session, Cause(entry=entry.index))
        place = len(self._prepared.scenario.exchanges) + entry.index
        session.timeline[entry.index] = self.schedule(actions, session, at, place)


def _capture(match: Match, session: Session) -> None:
    """Keep the captured values of a match in the session, as copies: a responder may change session values."""
    session.values.update(deepcopy(dict(match.session_captures)))
    session.ids.update(match.ids)


def _after(scheduled: ScheduledAction) -> float:
    return scheduled.after_seconds


def actions_of(events: Sequence[TimedEvents], session: Session, cause: Cause) -> list[ScheduledAction]:
    """Return the actions that deliver events to their receivers."""
    client_id, number = cause.client_id, session.number
    return [
        ScheduledAction(
            timed.after_seconds,
            EndClients(session, client_id, timed.deliver)
            if timed.disconnect
            else Notify(
                session,
                timed.messages,
                timed.batch is not None,
                client_id,
                timed.deliver,
                tuple([Origin(number, cause.exchange, cause.entry, cause.call, place) for place in timed.places]),
            ),
        )
        for timed in events
    ]


def static_events(static: Sequence[StaticEvents], live: Mapping[int, int]) -> tuple[TimedEvents, ...]:
    """Return static events with live reference numbers."""
    return tuple([_numbered(each, live) if each.numbered else each.timed for each in static])


def _numbered(static: StaticEvents, live: Mapping[int, int]) -> TimedEvents:
    timed, messages = static.timed, _numbered_messages(static, live)
    return TimedEvents(timed.after_seconds, messages, timed.batch, timed.disconnect, timed.deliver, timed.places)


def _numbered_messages(static: StaticEvents, live: Mapping[int, int]) -> tuple[JSONObject | EncodedMessage, ...]:
    messages = list(static.timed.messages)
    for index, body in static.numbered:
        recorded = messages[index]
        assert isinstance(recorded, EncodedMessage)
        messages[index] = EncodedMessage(recorded.channel, body.joined(live))
    return tuple(messages)


StartEntry: TypeAlias = Callable[[Session, TimelineEntry, Ticks], None]
"""Schedules an entry from a time on, and keeps its timers in `session.timeline`."""


class Timeline:
    """The timeline of one scenario, for all sessions."""

    def __init__(self, prepared: PreparedScenario, start: StartEntry) -> None:
        self._prepared, self._start = prepared, start

    def on_anchor(self, session: Session, anchor: Anchor, at: Ticks) -> None:
        """Start and end entries after an exchange was played or a CometD client did something."""
        session.anchors[anchor] = at
        for entry in self._prepared.entries_until(anchor, session.role):
            for handle in session.timeline.pop(entry.index, ()):
                handle.cancel()
        for entry in self._prepared.entries_since(anchor, session.role):
            self._start_once(session, entry, at)

    def on_role_assigned(self, session: Session) -> None:
        """Start the entries of a session's new role whose anchors were reached before, unless they are over.

        Those of an earlier role end.
        """
        for index, handles in [*session.timeline.items()]:
            roles = self._prepared.scenario.timeline[index].roles
            if roles and session.role not in roles:
                del session.timeline[index]
                for handle in handles:
                    handle.cancel()
        for anchor, at in list(session.anchors.items()):
            for entry in self._prepared.entries_since(anchor, session.role):
                if entry.roles and not any(session.anchors.get(end, at - 1) >= at for end in entry.until):
                    self._start_once(session, entry, at)

    def _start_once(self, session: Session, entry: TimelineEntry, at: Ticks) -> None:
        if entry.index not in session.timeline:
            session.timeline[entry.index] = []
            self._start(session, entry, at)
