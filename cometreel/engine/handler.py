"""The desk: answers one request or publish of a session from responders and exchanges, and notes what was asked.

One desk serves one scenario. It decides what is due and when; carrying it out is the backend's work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from cometreel.engine.actions import Action, AnswerRequest, EndClients, Notify
from cometreel.engine.bayeux_application import PublishAnswer
from cometreel.engine.faults import Faults, triggered
from cometreel.engine.matching import Chooser, ExchangeChoice, RoleAllocator
from cometreel.engine.near_misses import Miss, explain, miss_reply
from cometreel.engine.play_state import References
from cometreel.engine.player import Player, ScheduledAction, Timeline
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.replies import failure, http_reply, message_of, status_reply
from cometreel.engine.request_journal import Call, RequestJournal
from cometreel.engine.responders import Responder, Response, responder_request
from cometreel.engine.scheduling import TimerHandle
from cometreel.engine.session_resolver import refusal
from cometreel.engine.sessions import Session
from cometreel.immutable import immutable
from cometreel.jsonvalue import JSONObject, encode
from cometreel.scenario import (
    BreakConnection,
    Delay,
    EndSession,
    FaultAction,
    PublishReplyOut,
    Question,
    ReplyOut,
    SetStatus,
    TimelineEntry,
)
from cometreel.scenario.normalized_request import without_session
from cometreel.scenario.templates import TemplateFailed
from cometreel.wire import Drop, Effect, Forward, Log, Request

__all__ = ["RequestHandler", "HandlerResult"]

_BEFORE_ALL = -1  # what a responder causes comes before what exchanges cause at the same time


@immutable
class HandlerResult:
    """What comes of an HTTP request: effects now, or a reply that is on the schedule."""

    effects: tuple[Effect, ...] = ()
    ticket: TimerHandle[Action] | None = None


class RequestHandler:
    """Answers for one scenario. `say` takes what the user should be told, `journal` what was asked."""

    def __init__(
        self,
        repertoire: PreparedScenario,
        settings: ReplaySettings,
        player: Player,
        responders: Sequence[Responder],
        journal: RequestJournal,
        say: Callable[[Log], None],
    ) -> None:
        self.scenario = repertoire.scenario
        self.faults = Faults(self.scenario.faults)
        self._repertoire, self._settings, self._player = repertoire, settings, player
        self._responders, self._journal, self._say = responders, journal, say
        self._casting = RoleAllocator({name: role.user for name, role in self.scenario.roles.items()})
        self._timeline = Timeline(repertoire, self._start)
        self._chooser = Chooser(repertoire, self._casting, settings.repeat, self._timeline.cast)

    # ------------------------------------------------------------------ sessions
    def references(self) -> References:
        """Begin the reference numbers of a session."""
        return References(self.scenario.highest_ref)

    def logged_in(self, session: Session) -> None:
        """Cast a session as the role that names its user, if one does."""
        role = self._casting.named(session.user)
        if role is None or (session.role is not None and not session.leased):
            return
        if session.role is not None:
            self._casting.release(session.role)
        self._casting.take(role)
        session.role, session.leased = role, False
        self._timeline.cast(session)

    def ended(self, session: Session) -> None:
        """Give the role of a session back."""
        if session.role is not None:
            self._casting.release(session.role)

    def take_over(self, sessions: Iterable[Session], faults: Faults) -> None:
        """Go on with sessions that began under another scenario, whose faults end."""
        self.faults = Faults(self.scenario.faults, faults.last)
        for session in sessions:
            session.plays.regroup()
            session.running.clear()
            session.references.raise_to(self.scenario.highest_ref)
            if session.role is not None and session.role not in self.scenario.roles:
                session.role, session.leased = None, False
            if session.role is not None:
                self._casting.take(session.role)

    def happened(self, session: Session, what: str, tick: int) -> None:
        """Start and end timeline entries."""
        self._timeline.happened(session, what, tick)

    def _start(self, session: Session, entry: TimelineEntry, tick: int) -> None:
        try:
            self._player.start(session, entry, tick)
        except TemplateFailed as error:
            self._say(Log("error", f"a timeline entry is left out: {error}"))

    def meta_faults(self, session: Session, message: JSONObject) -> list[FaultAction]:
        """Count a meta message and return the faults that strike it."""
        aimed = self.faults.on_meta(str(message["channel"]))
        return triggered(aimed, session, self._player.seed, message.get("subscription"))

    # ------------------------------------------------------------------ HTTP
    def handle(self, request: Request, session: Session, now: float, *, locked_out: bool) -> HandlerResult:
        """Answer an HTTP request."""
        question = self.scenario.question(request)
        caller = _Caller(session, request.method, _target(request), request.body, now)
        answer = None if locked_out else self._ask_responders(question, session)
        if isinstance(answer, CallFailed):
            return self._failed(request, caller, answer.text)
        if answer is not None:
            self._note(caller, None, "responder", answer.status)
            return self._put_answer(answer, request, session, now)
        choice = self._chooser.choose(question, session, locked_out=locked_out)
        if choice is None:
            return self._missed(request, question, caller, locked_out=locked_out)
        try:
            return self._play(choice, question, request, caller)
        except TemplateFailed as error:
            return self._failed(request, caller, f"{choice.exchange.name!r} can't be played: {error}")

    def _play(self, choice: ExchangeChoice, question: Question, request: Request, caller: _Caller) -> HandlerResult:
        exchange, session = choice.exchange, caller.session
        actions = self._strike(exchange.name, session)
        for action in actions:
            if isinstance(action, SetStatus):
                self._note(caller, exchange.name, f"fault: status {action.status}", action.status)
                return HandlerResult((status_reply(request.id, action),))
        performance = self._player.play(choice, question, session, actions)
        reply = performance.reply if isinstance(performance.reply, ReplyOut) else ReplyOut(0.0, 200, (), content=b"")
        breaks = _breaks(actions)
        self._note(caller, exchange.name, "played", None if breaks else reply.status)
        after = max(0.0, reply.after_seconds) + _delay(actions)
        answer = Drop(request.id) if breaks else http_reply(request.id, reply)
        cues = [ScheduledAction(after, EndClients(session)) for action in actions if isinstance(action, EndSession)]
        cues += self._player.cues(performance.events, session)
        tick = session.tick(caller.at)
        self.happened(session, exchange.name, tick)
        if self._player.comes_first(after, cues, tick):
            self._player.put(cues, session, tick, exchange.index)
            return HandlerResult((answer,))
        cues.insert(0, ScheduledAction(after, AnswerRequest(session, answer)))
        return HandlerResult(ticket=_reply_ticket(self._player.put(cues, session, tick, exchange.index)))

    def _put_answer(self, answer: Response, request: Request, session: Session, now: float) -> HandlerResult:
        reply = AnswerRequest(session, http_reply(request.id, _reply_out(answer)))
        cues = [ScheduledAction(answer.after_seconds, reply), *_pushes(answer, session, None)]
        return HandlerResult(ticket=_reply_ticket(self._player.put(cues, session, session.tick(now), _BEFORE_ALL)))

    def _missed(self, request: Request, question: Question, caller: _Caller, *, locked_out: bool) -> HandlerResult:
        if locked_out:
            self._note(caller, None, "refused: not logged in", 403)
            return HandlerResult((refusal(request),))
        if self._settings.unmatched == "forward" and request.method.upper() == "GET":
            self._note(caller, None, "forwarded")
            return HandlerResult((Forward(request.id),))
        miss = explain(question, caller.session, self._repertoire)
        reply = miss_reply(request.id, miss)
        self._note(caller, None, "missed", reply.status, miss)
        return HandlerResult((Log("warning", str(miss)), reply))

    def _failed(self, request: Request, caller: _Caller, text: str) -> HandlerResult:
        reply = failure(request.id, text)
        self._note(caller, None, "failed", reply.status, failure=text)
        return HandlerResult((Log("error", text), reply))

    def refused(self, request: Request, session: Session, now: float, why: str) -> None:
        """Note a request that was refused at the entrance."""
        self._note(_Caller(session, request.method, _target(request), request.body, now), None, f"refused: {why}", 403)

    # ------------------------------------------------------------------ publish
    def handle_publish(self, message: JSONObject, session: Session, client_id: str, now: float) -> PublishAnswer | None:
        """Answer a publish; None if nothing answers, then it is an ordinary one."""
        question = self.scenario.publish_question(message)
        caller = _Caller(session, "PUBLISH", question.channel, encode(question.data), now)
        answer = self._ask_responders(question, session)
        if isinstance(answer, CallFailed):
            return self._publish_failed(caller, answer.text)
        if answer is not None:
            self._note(caller, None, "responder")
            cues = _pushes(answer, session, client_id)
            reply = PublishReplyOut(answer.after_seconds, answer.status < 400, members={"data": answer.body})
            return PublishAnswer(reply, self._put_later(cues, session, now, _BEFORE_ALL))
        choice = self._chooser.choose(question, session)
        if choice is None:
            self._publish_missed(question, caller)
            return None
        try:
            return self._play_publish(choice, question, client_id, caller)
        except TemplateFailed as error:
            return self._publish_failed(caller, f"{choice.exchange.name!r} can't be played: {error}")

    def _play_publish(
        self, choice: ExchangeChoice, question: Question, client_id: str, caller: _Caller
    ) -> PublishAnswer:
        exchange, session = choice.exchange, caller.session
        actions = self._strike(exchange.name, session)
        for action in actions:
            if isinstance(action, SetStatus):
                self._note(caller, exchange.name, f"fault: status {action.status}")
                return PublishAnswer(PublishReplyOut(0.0, successful=False, error=f"{action.status}::fault"))
        performance = self._player.play(choice, question, session, actions)
        self._note(caller, exchange.name, "played")
        reply = performance.reply if isinstance(performance.reply, PublishReplyOut) else PublishReplyOut(0.0, True)
        cues = self._player.cues(performance.events, session, client_id)
        cues += [
            ScheduledAction(0.0, EndClients(session, client_id)) for action in actions if isinstance(action, EndSession)
        ]
        inline = self._put_later(cues, session, caller.at, exchange.index)
        self.happened(session, exchange.name, session.tick(caller.at))
        after = reply.after_seconds + _delay(actions)
        return PublishAnswer(replace(reply, after_seconds=after), inline, _breaks(actions))

    def _put_later(
        self, cues: Sequence[ScheduledAction], session: Session, now: float, place: int
    ) -> tuple[Action, ...]:
        """Schedule what isn't due at once; return what is."""
        later = [cue for cue in cues if not self._player.is_immediate(cue.after_seconds)]
        self._player.put(later, session, session.tick(now), place)
        return tuple(cue.order for cue in cues if self._player.is_immediate(cue.after_seconds))

    def _publish_missed(self, question: Question, caller: _Caller) -> None:
        if not caller.target.startswith("/service/"):
            self._note(caller, None, "broadcast")
            return
        miss = explain(question, caller.session, self._repertoire)
        self._note(caller, None, "missed", miss=miss)
        self._say(Log("warning", str(miss)))

    def _publish_failed(self, caller: _Caller, text: str) -> PublishAnswer:
        self._note(caller, None, "failed", failure=text)
        self._say(Log("error", text))
        return PublishAnswer(PublishReplyOut(0.0, successful=False, error=f"500::{text}"))

    # ------------------------------------------------------------------ inside
    def _strike(self, exchange: str, session: Session) -> list[FaultAction]:
        aimed = self.faults.on_exchange(exchange)
        return triggered(aimed, session, self._player.seed) if aimed else []

    def _ask_responders(self, question: Question, session: Session) -> Response | CallFailed | None:
        if not self._responders:
            return None
        asked = responder_request(question, session.user, session.role, session.values)
        for responder in self._responders:
            try:
                answer = responder(asked)
            except Exception as error:  # noqa: BLE001  # a responder is the user's own code: what it raises is told
                name = getattr(responder, "__name__", repr(responder))
                return CallFailed(f"the responder {name} failed: {type(error).__name__}: {error}")
            if answer is not None:
                return answer
        return None

    def _note(
        self,
        caller: _Caller,
        exchange: str | None,
        outcome: str,
        status: int | None = None,
        miss: Miss | None = None,
        failure: str = "",
    ) -> None:
        session = caller.session
        self._journal.write(
            Call(
                at=caller.at,
                session=session.number,
                role=session.role,
                user=session.user,
                method=caller.method,
                target=caller.target,
                body=caller.body,
                exchange=exchange,
                outcome=outcome,
                number=self._journal.last + 1,
                status=status,
                miss=miss,
                failure=failure,
                profile=self.scenario.profile,
            )
        )


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A responder that failed, and how."""

    text: str


@immutable
class _Caller:
    """Who asks what, as the journal of calls tells it."""

    session: Session
    method: str
    target: str
    body: bytes
    at: float


def _target(request: Request) -> str:
    path = without_session(request.path)
    return f"{path}?{request.query}" if request.query else path


def _breaks(actions: Sequence[FaultAction]) -> bool:
    return bool(actions) and any(isinstance(action, BreakConnection) for action in actions)


def _delay(actions: Iterable[FaultAction]) -> float:
    return sum(action.seconds for action in actions if isinstance(action, Delay))


def _reply_out(answer: Response) -> ReplyOut:
    headers = tuple(answer.headers.items())
    return ReplyOut(answer.after_seconds, answer.status, headers, answer.body, answer.content)


def _pushes(answer: Response, session: Session, client_id: str | None) -> list[ScheduledAction]:
    pushes = sorted(answer.events, key=lambda push: push.after_seconds)
    return [
        ScheduledAction(push.after_seconds, Notify(session, (message_of(push),), push.batch is not None, client_id))
        for push in pushes
    ]


def _reply_ticket(tickets: Iterable[TimerHandle[Action]]) -> TimerHandle[Action]:
    """Find the reply among what was scheduled for a request."""
    return next(ticket for ticket in tickets if isinstance(ticket.thing, AnswerRequest))
