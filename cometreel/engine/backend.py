"""The replay engine, without I/O: requests in, effects out, the time passed as `now`.

The backend connects the Bayeux server, the request handler, the sessions and the schedule, and processes everything in
the order of time. It uses no socket, clock or random number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from cometreel.bayeux.transport import is_endpoint
from cometreel.engine.actions import Action, AnswerRequest, Notify, Origin, ScheduledAction
from cometreel.engine.bayeux_application import BayeuxReplayApplication, bayeux_settings
from cometreel.engine.bound_values import BoundValues
from cometreel.engine.counters import Counters
from cometreel.engine.faults import Faults
from cometreel.engine.given_up import GiveUpReason
from cometreel.engine.handler import RequestHandler, access_denied
from cometreel.engine.id_generator import IdGenerator
from cometreel.engine.notification_router import NotificationRouter
from cometreel.engine.player import Player
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.request_journal import Calls, RequestJournal
from cometreel.engine.responders import Responder, check_responders
from cometreel.engine.scheduling import Schedule, Ticks, TimerHandle, to_ticks
from cometreel.engine.session_finder import SessionFinder
from cometreel.engine.sessions import ReplyFields, Session, SessionResolver, Sessions
from cometreel.http_fields import error_reply, in_utf_8
from cometreel.identity import TokenHash
from cometreel.jsonvalue import JSONObject
from cometreel.scenario import CompiledScenario, TimelineEntry
from cometreel.scenario.values import Fixed
from cometreel.wire import Effect, Headers, Reply, Request

__all__ = ["Backend"]


def _epoch() -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC)


class Backend:
    """Plays one scenario to any number of live sessions.

    `nonce` makes opaque ids differ from run to run; it is used only if the settings have no seed. `wallclock` returns
    the real time for templates that use it. `now` is in seconds, on any monotonic clock.
    """

    def __init__(
        self,
        scenario: CompiledScenario,
        settings: ReplaySettings | None = None,
        *,
        nonce: str = "",
        responders: Iterable[Responder] = (),
        wallclock: Callable[[], datetime] = _epoch,
    ) -> None:
        self.settings = settings = settings or ReplaySettings()
        self._responders, self._wallclock = list(responders), wallclock
        check_responders(self._responders)
        self._given = scenario, tuple(self._responders)  # that of `reset`
        self.journal = RequestJournal(settings.max_calls)
        self.counters = Counters()
        self._ids = IdGenerator(settings.seed, settings.node, nonce)
        self._hashed = TokenHash(nonce)
        self._effects: list[Effect] = []
        self._time = float("-inf")
        self._followed_since: float | None = None
        self._start(scenario)

    def _start(self, scenario: CompiledScenario) -> None:
        """Create everything that `reset` discards."""
        self._schedule: Schedule[Action] = Schedule()
        self._pending: dict[int, TimerHandle[Action]] = {}  # the timers of delayed replies, by request
        self.sessions = Sessions(self._ids, self.settings.node, self._on_end, scenario.session)
        self._application = BayeuxReplayApplication(
            bayeux_settings(scenario.bayeux), self._ids.new, self.sessions, self._perform, self._schedule_action
        )
        self.server = self._application.server
        self._deadlines, self._reply_channels = self.server.deadlines, self.server.reply_channels
        self._router = self._application.router = NotificationRouter(
            self.sessions, self.server, self.counters, self._effects.extend, self._give_up, self.settings.max_waiting
        )
        self._use(scenario)

    def _use(self, scenario: CompiledScenario, previous: PreparedScenario | None = None) -> None:
        """Create everything that depends on the scenario; `previous` is that before exchanges were added or removed."""
        self.scenario, self._endpoint = scenario, self.server.settings.endpoint
        self._endpoint_base = self._endpoint.rstrip("/")
        self._router.keeps_when_gone = scenario.session.when_gone == "keep"
        self._prepared = prepared = PreparedScenario(scenario, previous)
        values = BoundValues(scenario, self.sessions, partial(self._ids.new, "bound"))
        self._player = Player(prepared, self.settings, self._schedule, self._wallclock, values)
        self._player.since = self._followed_since
        self._handler = self._application.handler = RequestHandler(
            prepared, self.settings, self._player, self.sessions, self._responders, self.journal, self._effects.append
        )
        self._router.assign_role = self._handler.on_delivery
        cookie, browser_cookie = scenario.session.cookie, self.server.settings.cookie_name
        self._finder = self._application.finder = SessionFinder(
            self.sessions,
            scenario.session,
            browser_cookie,
            self.server.read_messages,
            values,
            self._hashed,
            self._handler.new_references,
        )
        self._resolver = SessionResolver(
            self.sessions, self._finder, cookie, browser_cookie, self.settings.auth, self._handler.on_login
        )

    def _on_end(self, session: Session) -> None:
        """Report the notifications that a session can't get because it ended, and release its role."""
        self._router.on_end(session, self._time)
        if session.role is not None or session.anchors:  # few of the sessions that end have one
            self._give_up_entries(session, self._handler.on_end(session))

    @property
    def calls(self) -> Calls:
        """The latest calls, oldest first."""
        return self.journal.calls

    @property
    def faults(self) -> Faults:
        """The active faults."""
        return self._handler.faults

    def register(self, responder: Responder) -> None:
        """Add a responder; it is called after those added earlier and before the exchanges are matched.

        :raises OptionInvalid: if it is not a function, or an `async` function.
        """
        check_responders([responder])
        self._responders.append(responder)

    # ------------------------------------------------------------------ called by the driver
    def receive(self, request: Request, now: float) -> list[Effect]:
        """Process an HTTP request, or the upgrade that opens a WebSocket. Without a `Reply` the request is held."""
        self._catch_up(now)
        if len(request.body) > self.settings.max_body:
            text = f"the body has {len(request.body)} bytes; expected at most {self.settings.max_body}"
            return [error_reply(request.id, 413, 10, text), *self._take_effects()]
        if request.body and request.headers.charset():
            request = replace(request, body=in_utf_8(request.headers, request.body))
        is_bayeux = self._is_bayeux(request.path)
        self.counters.requests["websocket" if request.websocket else "bayeux" if is_bayeux else "http"] += 1
        may_be_unasked = request.method != "POST" and not (is_bayeux or request.websocket or self._responders)
        if may_be_unasked and (reply := self._handler.unasked(request)) is not None:
            return [reply, *self._take_effects()]
        if now >= self.sessions.no_end_before:
            self.sessions.end_expired(now)
        session, fields = self._resolver.resolve(request, now, is_bayeux=is_bayeux)
        if is_bayeux:
            self._receive_bayeux(request, session, fields, now)
        else:
            self._receive_http(request, session, fields, now)
        self._catch_up(now)
        if session.kind == "anonymous":
            self._finder.release(session)
        return self._take_effects()

    def _is_bayeux(self, path: str) -> bool:
        """True if a path is the Bayeux endpoint or below it."""
        endpoint = self._endpoint
        return path.startswith(self._endpoint_base) and (
            path == endpoint or is_endpoint(path[: len(endpoint) + 1], endpoint)
        )

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Process one text frame of an open WebSocket."""
        self._catch_up(now)
        self._effects += self._application.frame(request_id, text, self._time)
        self._catch_up(now)
        return self._take_effects()

    def deadline(self) -> float | None:
        """Return the time of the next call to `advance`; None if nothing is scheduled."""
        first, timer = self._schedule.first(), self._deadlines.first
        if first is None:
            return timer
        at = first[1].session.time(first[0])
        return at if timer is None else min(at, timer)

    def advance(self, now: float) -> list[Effect]:
        """Process everything that is due by now: replies, notifications, poll timeouts, expired sessions."""
        self._catch_up(now)
        return self._take_effects()

    def awaits_confirmation(self, request_id: int) -> bool:
        """True if `delivered` must be called when the reply or frame has been written."""
        return request_id in self._reply_channels

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Record that the reply, or the oldest unconfirmed frame, was written to the client."""
        self._catch_up(now)
        if request_id in self._reply_channels:
            self._effects += self.server.delivered(request_id, self._time)
        return self._take_effects()

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Handle a client that disconnected during a request, or a failed write."""
        self._catch_up(now)
        if (timer := self._pending.pop(request_id, None)) is not None:
            timer.cancel()
        self._effects += self._application.gone(request_id, self._time)
        return self._take_effects()

    def release_all(self, now: float) -> list[Effect]:
        """Answer every held request and report the notifications that still wait for a client: a graceful stop."""
        self._catch_up(now)
        self._release()
        self._router.on_stop(self._time)
        for session in self.sessions:
            self._give_up_entries(session, self._handler.never_assigned(session))
        return self._take_effects()

    def _release(self) -> None:
        for timer in list(self._pending.values()):
            if timer.item is not None:
                self._perform(timer.item, self._time)
                timer.cancel()
        self._effects += self.server.release_all(self._time)

    # ------------------------------------------------------------------ called by `Control` and `ClockControl`
    def follow_clock(self, since: float) -> None:
        """Let `now` in templates follow the time since this one. It is for a clock that is moved; a real one varies."""
        self._followed_since = self._player.since = since

    def reset(self, now: float) -> list[Effect]:
        """Restart with the same speed, without sessions, calls, plays and everything that was added.

        Held requests are answered and WebSockets closed, as by a server that restarts; the next request of a CometD
        client is answered with advice to shake hands again.
        """
        self._catch_up(now)
        self._release()
        self.journal.clear()
        scenario, self._responders[:] = self._given
        self._start(scenario)
        return self._take_effects()

    def set_speed(self, speed: float, now: float) -> list[Effect]:
        """Change the speed of everything that is scheduled from now on."""
        self._catch_up(now)
        self.settings = replace(self.settings, speed=speed)
        self._player.scale = self.settings.scale
        return self._take_effects()

    def notify(self, sessions: Iterable[Session], message: JSONObject, now: float) -> list[Effect]:
        """Deliver a message to all CometD clients of these sessions; a session without a client keeps it for one."""
        self._catch_up(now)
        for session in sessions:
            notify = Notify(session, (message,), origins=(Origin(session.number),))
            self._router.notify_clients(session, notify, self._time)
        return self._take_effects()

    def replace(self, scenario: CompiledScenario, now: float) -> list[Effect]:
        """Play another scenario from now on. Sessions stay, and scheduled actions are still performed."""
        self._catch_up(now)
        self._given = scenario, self._given[1]
        self.server.reconfigure(bayeux_settings(scenario.bayeux))
        self.sessions.configure(scenario.session)
        faults = Faults(scenario.faults, self.faults.last)
        for session in self.sessions:
            session.timeline.clear()
        self._use(scenario)
        self._handler.adopt(self.sessions, faults)
        return self._take_effects()

    def extend(self, scenario: CompiledScenario, now: float) -> list[Effect]:
        """Play the scenario with other exchanges from now on, until a reset.

        The timeline entries must be those of before and new ones at the end. Sessions continue where they were; they
        forget the plays of removed exchanges, because another one may get the name.
        """
        self._catch_up(now)
        faults = self.faults
        removed = self.scenario.by_name.keys() - scenario.by_name.keys()
        self._use(scenario, self._prepared)
        self._handler.adopt(self.sessions, faults)
        for session in self.sessions if removed else ():
            session.plays.forget(removed)
        return self._take_effects()

    # ------------------------------------------------------------------ requests
    def _receive_http(self, request: Request, session: Session, fields: ReplyFields, now: float) -> None:
        if request.websocket:
            refusal = error_reply(request.id, 404, 6, "this path is not a WebSocket endpoint")
            self._effects.append(_with_fields(refusal, fields))
        elif self._resolver.auth == "csrf" and self._resolver.lacks_token(request, session):
            self._handler.record_refusal(request, session, now, "no CSRF token")
            refusal = error_reply(request.id, 403, 3, "Missing or invalid Csrf token")
            self._effects.append(_with_fields(refusal, fields))
        else:
            locked_out = self._resolver.auth != "open" and self._resolver.is_locked_out(session)
            result = self._handler.handle(request, session, now, locked_out=locked_out)
            if isinstance(result, Reply):
                self._effects.append(_with_fields(result, fields))
                return
            for effect in result.effects:
                self._effects.append(_with_fields(effect, fields) if isinstance(effect, Reply) else effect)
            if (timer := result.timer) is not None:
                _add_fields(timer, fields)
                self._pending[request.id] = timer

    def _receive_bayeux(self, request: Request, session: Session, fields: ReplyFields, now: float) -> None:
        if self._resolver.is_locked_out(session):
            self._handler.record_refusal(request, session, now, "not logged in")
            self._effects.append(_with_fields(access_denied(request), fields))
        else:
            self._effects += self._application.receive(request, session, self._time, fields)

    # ------------------------------------------------------------------ time
    def _catch_up(self, now: float) -> None:
        """Process everything that is due by now in the order of time; actions before the server's own timers.

        Called several times for each request. Usually nothing is due, so that is checked first.
        """
        first = self._deadlines.first
        if (first is None or first > now) and self._schedule.is_idle(now):
            self._time = max(self._time, now)
            return
        while True:
            until = self._next_timer(now)
            if not self._schedule.is_idle(until):
                self._perform_due(_limit(until), now)
                if self._next_timer(now) != until:
                    continue  # an action has moved the server's next timer
            self._time = max(self._time, until)
            timer = self._deadlines.first
            if timer is None or timer > now:
                return
            self._effects += self.server.advance(self._time)

    def _next_timer(self, now: float) -> float:
        """Return the time of the server's next timer that is due by now; now if there is none."""
        timer = self._deadlines.first
        return now if timer is None or timer > now else timer

    def _perform_due(self, limit: Ticks, now: float) -> None:
        """Perform the actions that are due by the limit, except those after a timer that one of them has set."""

        def is_due(at: Ticks, action: Action) -> bool:
            return at <= action.session.ticks(now) and at <= _limit(self._next_timer(now))

        for at, action in self._schedule.due(limit, is_due):
            due = action.session.time(at)
            if isinstance(action, Notify):
                self.counters.lateness.observe(now - due)
            self._time = max(self._time, min(due, now))
            self._perform(action, self._time)

    def _take_effects(self) -> list[Effect]:
        if not self._effects:
            return []
        effects = self._effects[:]
        self._effects.clear()
        return effects

    # ------------------------------------------------------------------ actions
    def _perform(self, action: Action, now: float) -> None:
        """Perform an action at once."""
        if isinstance(action, AnswerRequest):
            self._pending.pop(action.answer.request_id, None)
            self._effects.append(action.answer)
            return
        if isinstance(action, Notify):
            self._router.notify(action, now)
        else:
            self._router.end_clients(action, now)

    def _give_up(self, origin: Origin, channel: str, reason: GiveUpReason, now: float, was_queued: bool) -> None:
        """Report a notification that no client gets."""
        log = self.journal.given_up.add(origin, channel, reason, now, self.scenario, was_queued=was_queued)
        if log is not None:
            self._effects.append(log)

    def _give_up_entries(self, session: Session, entries: Iterable[TimelineEntry]) -> None:
        """Report timeline entries that wait for a role."""
        for entry in entries:
            channel = entry.event.channel
            name = str(channel.value) if isinstance(channel, Fixed) else "a channel"
            self._give_up(Origin(session.number, entry=entry.index), name, "role never assigned", self._time, False)

    def _schedule_action(self, scheduled: ScheduledAction, now: float) -> None:
        """Schedule an action of the Bayeux side, after those of exchanges due at the same time."""
        action, session = scheduled.action, scheduled.action.session
        (timer,) = self._player.schedule([scheduled], session, session.ticks(now), len(self.scenario.exchanges))
        if isinstance(action, AnswerRequest):
            self._pending[action.answer.request_id] = timer


def _limit(until: float) -> Ticks:
    """Return the latest ticks that count as this time; those of a session are rounded relative to its start."""
    return Ticks(to_ticks(until) + 1)


def _with_fields(reply: Reply, fields: ReplyFields) -> Reply:
    if not fields:
        return reply
    return Reply(reply.request_id, reply.status, Headers((*reply.headers.fields, *fields)), reply.body)


def _add_fields(timer: TimerHandle[Action], fields: ReplyFields) -> None:
    """Add header fields to a reply that is scheduled."""
    action = timer.item
    if fields and isinstance(action, AnswerRequest) and isinstance(action.answer, Reply):
        timer.item = AnswerRequest(action.session, _with_fields(action.answer, fields))
