"""The whole fake backend, without I/O: requests in, effects out, time passed in as `now`.

It joins the rooms (Bayeux server, desk, sessions, schedule), keeps them in the order of time, and holds no rule of
its own that one of them could hold. No socket, clock or randomness may enter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cometreel.bayeux import BayeuxServer
from cometreel.engine.actions import Action, AnswerRequest, Notify
from cometreel.engine.bayeux_application import (
    PublishAnswer,
    ReplayApplication,
    bayeux_settings,
    why_closed,
    why_refused,
)
from cometreel.engine.counters import Counters
from cometreel.engine.faults import Faults
from cometreel.engine.handler import RequestHandler
from cometreel.engine.id_generator import IdGenerator
from cometreel.engine.player import Player, ScheduledAction
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.replies import with_fields
from cometreel.engine.request_journal import Calls, RequestJournal
from cometreel.engine.responders import Responder
from cometreel.engine.scheduling import Schedule, TimerHandle, microseconds
from cometreel.engine.session_resolver import SessionResolver, csrf_refusal, error_reply, refusal
from cometreel.engine.sessions import Session, Sessions
from cometreel.jsonvalue import JSONObject
from cometreel.scenario import FaultAction, Scenario
from cometreel.wire import Accept, Drop, Effect, Log, Reply, Request

__all__ = ["Backend"]

_IDLE = 1800.0  # seconds until a session that asks nothing ends: Jetty's sessionMaxInactiveInterval in GWS


def _epoch() -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC)


class Backend:
    """Play one scenario to any number of live sessions.

    `nonce` makes opaque ids differ from run to run; it is used only when the settings name no seed. `wallclock` is
    the real time for templates that ask for it. `now` is in seconds on any clock that never goes back.
    """

    def __init__(
        self,
        scenario: Scenario,
        settings: ReplaySettings | None = None,
        *,
        nonce: str = "",
        responders: Iterable[Responder] = (),
        wallclock: Callable[[], datetime] = _epoch,
    ) -> None:
        self.settings = settings = settings or ReplaySettings()
        self._responders, self._wallclock = list(responders), wallclock
        self.journal = RequestJournal(settings.max_calls)
        self.counters = Counters()
        self._mint = IdGenerator(settings.seed, settings.node, nonce)
        self._effects: list[Effect] = []
        self._time = float("-inf")
        self._begin(scenario)

    def _begin(self, scenario: Scenario) -> None:
        """Begin with no session."""
        self._schedule: Schedule[Action] = Schedule()
        self.sessions = Sessions(self._mint, self.settings.node, scenario.session.max_idle_seconds or _IDLE)
        self.server = BayeuxServer(bayeux_settings(scenario.bayeux), ReplayApplication(self), self._mint.new)
        self._asking: dict[int, Session] = {}
        self._pending: dict[int, TimerHandle[Action]] = {}
        self._late: dict[int, float] = {}
        self._broken: set[int] = set()
        self._take_up(scenario)

    def _take_up(self, scenario: Scenario) -> None:
        """Arrange everything that depends on the scenario."""
        self.scenario = scenario
        repertoire = PreparedScenario(scenario)
        self._player = Player(repertoire, self.settings, self._schedule, self._wallclock)
        self._desk = RequestHandler(
            repertoire, self.settings, self._player, self._responders, self.journal, self._effects.append
        )
        browser_cookie = self.server.settings.cookie_name
        self._entrance = SessionResolver(self.sessions, scenario.session.cookie, browser_cookie, self.settings.auth)

    @property
    def calls(self) -> Calls:
        """The latest calls, oldest first."""
        return self.journal.calls

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        return self._desk.faults

    def register(self, responder: Responder) -> None:
        """Ask this responder before the exchanges, after those registered earlier."""
        self._responders.append(responder)

    # ------------------------------------------------------------------ what the door calls
    def receive(self, request: Request, now: float) -> list[Effect]:
        """Take one HTTP request, or the upgrade that opens a WebSocket; no `Reply` yet means that it is held."""
        self._catch_up(now)
        if len(request.body) > self.settings.max_body:
            text = f"the body has {len(request.body)} bytes; expected at most {self.settings.max_body}"
            return [error_reply(request.id, 413, 10, text), *self._done()]
        is_bayeux = self.server.handles(request.path)
        self.counters.requests["websocket" if request.websocket else "bayeux" if is_bayeux else "http"] += 1
        for ended in self.sessions.expired(now):
            self._desk.ended(ended)
        known = self._entrance.known(request, is_bayeux=is_bayeux)
        session, fields = self._entrance.admit(request, known, now, self._desk.references, self._desk.logged_in)
        if is_bayeux:
            self._receive_bayeux(request, session, fields, now)
        else:
            self._receive_http(request, session, fields, now)
        self._catch_up(now)
        if self.scenario.session.cookie is None and known is None:
            self.sessions.forget(session)
        return self._done()

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Take one text frame of an accepted WebSocket."""
        self._catch_up(now)
        if request_id in self._asking:
            self.sessions.touch(self._asking[request_id], now)
            effects = self.server.frame(request_id, text, self._time)
            if any(isinstance(effect, Drop) and effect.request_id == request_id for effect in effects):
                self._tell(why_closed(text, self.server.settings), "a WebSocket is closed")
            self._take(effects, request_id)
            self._catch_up(now)
        return self._done()

    def deadline(self) -> float | None:
        """When `advance` wants to be called next; None if nothing is due ever."""
        first, timer = self._schedule.first(), self.server.deadline()
        if first is None:
            return timer
        at = first[1].session.time(first[0])
        return at if timer is None else min(at, timer)

    def advance(self, now: float) -> list[Effect]:
        """Do everything that is due by now: replies, notifications, poll timeouts, expiries."""
        self._catch_up(now)
        return self._done()

    def awaits(self, request_id: int) -> bool:
        """Tell whether anything depends on a reply, or on a frame, being written."""
        return self.server.awaits(request_id)

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Take note that the reply, or the oldest unconfirmed frame, was written to the client."""
        self._catch_up(now)
        self._take(self.server.delivered(request_id, self._time))
        return self._done()

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Take note that the client hung up while held, or that the write failed."""
        self._catch_up(now)
        self._asking.pop(request_id, None)
        if (ticket := self._pending.pop(request_id, None)) is not None:
            ticket.cancel()
        self._take(self.server.gone(request_id, self._time))
        return self._done()

    def release_all(self, now: float) -> list[Effect]:
        """Answer every held request, for a graceful stop."""
        self._catch_up(now)
        self._release()
        return self._done()

    def _release(self) -> None:
        for ticket in list(self._pending.values()):
            if ticket.thing is not None:
                self.do(ticket.thing, self._time)
                ticket.cancel()
        self._take(self.server.release_all(self._time))

    # ------------------------------------------------------------------ what `control` asks for
    def reset(self, now: float) -> list[Effect]:
        """Begin anew with the scenario and speed in force: no session, no call, nothing played, no fault but its own.

        Held requests are answered and WebSockets closed, as by a server that restarts; CometD clients are told to
        shake hands again when they ask next.
        """
        self._catch_up(now)
        self._release()
        self.journal.clear()
        self._begin(self.scenario)
        return self._done()

    def set_speed(self, speed: float, now: float) -> list[Effect]:
        """Play at another speed from now on; what is on the schedule already keeps its time."""
        self._catch_up(now)
        self.settings = replace(self.settings, speed=speed)
        self._player.scale = self.settings.scale
        return self._done()

    def notify(self, sessions: Iterable[Session], message: JSONObject, now: float) -> list[Effect]:
        """Deliver a message to every CometD client of these sessions at once; where there is none, it waits for one."""
        self._catch_up(now)
        for session in sessions:
            self.do(Notify(session, (message,)), self._time)
        return self._done()

    def replace(self, scenario: Scenario, now: float) -> list[Effect]:
        """Play another scenario from now on; the live sessions stay, and what is due already comes."""
        self._catch_up(now)
        self.server.reconfigure(bayeux_settings(scenario.bayeux))
        self.sessions.idle_seconds = scenario.session.max_idle_seconds or _IDLE
        faults = self._desk.faults
        self._take_up(scenario)
        self._desk.take_over(self.sessions, faults)
        return self._done()

    # ------------------------------------------------------------------ requests
    def _receive_http(self, request: Request, session: Session, fields: list[tuple[str, str]], now: float) -> None:
        if request.websocket:
            text = "there is no WebSocket here"
            self._effects.append(with_fields(error_reply(request.id, 404, 6, text), fields))
        elif self._entrance.lacks_token(request, session):
            self._desk.refused(request, session, now, "no CSRF token")
            self._effects.append(with_fields(csrf_refusal(request), fields))
        else:
            locked_out = self._entrance.is_locked_out(session)
            heard = self._desk.handle(request, session, now, locked_out=locked_out)
            for effect in heard.effects:
                self._effects.append(with_fields(effect, fields) if isinstance(effect, Reply) else effect)
            if heard.ticket is not None:
                _add_fields(heard.ticket, fields)
                self._pending[request.id] = heard.ticket

    def _receive_bayeux(self, request: Request, session: Session, fields: list[tuple[str, str]], now: float) -> None:
        if self._entrance.is_locked_out(session):
            self._desk.refused(request, session, now, "not logged in")
            self._effects.append(with_fields(refusal(request), fields))
            return
        self._asking[request.id] = session
        effects = self.server.receive(request, self._time, headers=fields)
        if any(
            isinstance(effect, Reply) and effect.request_id == request.id and effect.status >= 400 for effect in effects
        ):
            self._tell(why_refused(request, self.server.settings), f"{request.method} {request.path} is refused")
        if not any(isinstance(effect, Accept) for effect in effects):
            del self._asking[request.id]
        self._take(effects, request.id, session)

    def _take(self, effects: Iterable[Effect], asking: int = 0, session: Session | None = None) -> None:
        """Take over the server's effects; a fault may hold the reply of who asks back, or break it."""
        for effect in effects:
            if isinstance(effect, Log) or effect.request_id != asking:
                self._effects.append(effect)
            elif asking in self._broken:
                self._effects.append(Drop(asking))
                self._effects.extend(self.server.gone(asking, self._time))
            elif isinstance(effect, Reply) and session is not None and asking in self._late:
                cue = ScheduledAction(self._late[asking], AnswerRequest(session, effect))
                self._pending[asking] = self.put(session, cue, self._time)
            else:
                self._effects.append(effect)
        self._late.pop(asking, None)
        self._broken.discard(asking)

    def _tell(self, why: str | None, what: str) -> None:
        """Tell the user what the client did wrong, if it did."""
        if why is not None:
            self._effects.append(Log("warning", f"{what}: {why}"))

    # ------------------------------------------------------------------ time
    def _catch_up(self, now: float) -> None:
        """Do all that is due by now, in the order of time: orders first, then the server's own timers."""
        if self._is_idle(now):
            self._time = max(self._time, now)
            return
        while True:
            timer = self.server.deadline()
            until = now if timer is None or timer > now else timer
            for at, order in self._schedule.due(microseconds(until) + 1, lambda at, order: _is_due(at, order, now)):
                due = order.session.time(at)
                if isinstance(order, Notify):
                    self.counters.lateness.observe(now - due)
                self._time = max(self._time, min(due, now))
                self.do(order, self._time)
            self._time = max(self._time, until)
            if timer is None or timer > now:
                return
            self._take(self.server.advance(self._time))

    def _is_idle(self, now: float) -> bool:
        """Tell whether nothing is due by now, which is so most of the time, at the least cost."""
        timer, first = self.server.deadline(), self._schedule.first()
        return (timer is None or timer > now) and (first is None or first[0] > microseconds(now) + 1)

    def _done(self) -> list[Effect]:
        effects = self._effects[:]
        self._effects.clear()
        return effects

    # ------------------------------------------------------------------ what the stage calls
    def do(self, order: Action, now: float) -> None:
        """Carry out an order."""
        session = order.session
        if isinstance(order, AnswerRequest):
            self._pending.pop(order.answer.request_id, None)
            self._effects.append(order.answer)
            return
        clients = [order.client_id] if order.client_id in session.clients else list(session.clients)
        if isinstance(order, Notify) and not clients:
            self._wait(session, order)
        for client_id in clients:
            if isinstance(order, Notify):
                self.counters.events += len(order.messages)
                self._effects += self.server.deliver(client_id, order.messages, now, batch=order.batch)
            else:
                self._effects += self.server.disconnect(client_id, now)

    def _wait(self, session: Session, order: Notify) -> None:
        """Keep notifications for the session's next client."""
        session.waiting.append(order)
        if len(session.waiting) > self.settings.max_waiting:
            session.waiting.popleft()

    def put(self, session: Session, cue: ScheduledAction, now: float) -> TimerHandle[Action]:
        """Schedule an order."""
        return self._player.put([cue], session, session.tick(now), len(self.scenario.exchanges))[0]

    def session_of(self, request: Request) -> Session:
        """Return the HTTP session of the request that is being processed."""
        return self._asking[request.id]

    def meta_faults(self, session: Session, message: JSONObject) -> Sequence[FaultAction]:
        """Count a meta message and return the faults that strike it."""
        return self._desk.meta_faults(session, message)

    def answer_publish(self, message: JSONObject, session: Session, client_id: str, now: float) -> PublishAnswer | None:
        """Answer a publish, or return None if nothing does."""
        return self._desk.handle_publish(message, session, client_id, now)

    def delay_reply(self, request: Request, seconds: float) -> None:
        """Hold back the reply to the request that is being processed; frames of a WebSocket go at once."""
        if seconds > 0 and not request.websocket:
            self._late[request.id] = max(seconds, self._late.get(request.id, 0.0))

    def break_reply(self, request: Request) -> None:
        """Close the connection in place of the reply to the request that is being processed."""
        self._broken.add(request.id)

    def client_happened(self, client_id: str, what: str, now: float) -> None:
        """Take note of what a timeline may start or end with."""
        session = self.sessions.by_client(client_id)
        if session is not None:
            self._desk.happened(session, what, session.tick(now))

    def client_started(self, session: Session, client_id: str, now: float) -> None:
        """Take note that a CometD client began in a session; what waited for one is its own."""
        view = self.server.session(client_id)
        self.sessions.add_client(session, client_id, view.browser if view is not None else None)
        while session.waiting:
            self.do(session.waiting.popleft(), now)

    def client_ended(self, client_id: str) -> None:
        """Take note that a CometD client is over."""
        self.sessions.remove_client(client_id)


def _is_due(at: int, order: Action, now: float) -> bool:
    """Tell whether an order is due in its own session's time, which no other session may shift."""
    return at <= order.session.tick(now)


def _add_fields(ticket: TimerHandle[Action], fields: list[tuple[str, str]]) -> None:
    """Add header fields to a reply that is on the schedule."""
    order = ticket.thing
    if fields and isinstance(order, AnswerRequest) and isinstance(order.answer, Reply):
        ticket.thing = AnswerRequest(order.session, with_fields(order.answer, fields))
