"""Handles the requests and publishes of one scenario: responders first, then exchanges, then the answer to a miss.

Every request is written to the request journal. The handler decides what is due and when; the backend performs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from cometreel.engine.actions import Action, AnswerRequest, Cause, EndClients, Notify, Origin, ScheduledAction
from cometreel.engine.faults import Faults, triggered
from cometreel.engine.matching import Chooser, ExchangeChoice, RoleAllocator, RoleValues
from cometreel.engine.near_misses import Miss, explain, miss_reply
from cometreel.engine.play_state import References
from cometreel.engine.player import Player, Timeline, actions_of, static_events
from cometreel.engine.prepared_scenario import PreparedScenario
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.engine.request_journal import RequestJournal
from cometreel.engine.responders import Responder, Response, call_responder, responder_request
from cometreel.engine.scheduling import Ticks, TimerHandle
from cometreel.engine.session_roles import SessionRoles
from cometreel.engine.sessions import Session, Sessions
from cometreel.engine.static_responses import ReadyResponse
from cometreel.http_fields import JSON_TYPE, error_reply
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario import (
    Anchor,
    BreakConnection,
    Delay,
    EndSession,
    Exchange,
    FaultAction,
    NormalizedPublish,
    NormalizedRequest,
    PublishReplyOut,
    ReplyOut,
    RequestOrPublish,
    SetStatus,
    SubscriptionAnchor,
    SubscriptionKind,
    TimelineEntry,
    normalize_publish,
    normalize_request,
)
from cometreel.scenario.normalized_request import as_get, without_session
from cometreel.scenario.templates import TemplateFailed
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Drop, Effect, Forward, Headers, Log, Reply, Request

__all__ = ["HandlerResult", "PublishAnswer", "RequestHandler", "access_denied", "http_reply"]

_BY_BROWSERS = re.compile(r"/(favicon\.ico|robots\.txt|apple-touch-icon[^/]*\.png|\.well-known/.*)")
"""The paths that browsers and crawlers request by themselves."""
_BEFORE_ALL = -1  # events of responders come before those of exchanges due at the same time


@dataclass(init=False, slots=True, unsafe_hash=True)
class HandlerResult:
    """The result of an HTTP request: effects to perform now, or the timer of a reply that is scheduled."""

    effects: tuple[Effect, ...] = ()
    timer: TimerHandle[Action] | None = None

    def __init__(
        self,
        effects: tuple[Effect, ...] = (),
        timer: TimerHandle[Action] | None = None,
    ) -> None:
        self.effects, self.timer = effects, timer


@dataclass(slots=True, unsafe_hash=True)
class PublishAnswer:
    """The answer of an exchange or a responder to a publish."""

    reply: PublishReplyOut | None = None
    immediate: Sequence[Action] = ()
    """The actions that are due at once."""
    broken: bool = False
    """True if the connection is closed instead of a reply."""


class RequestHandler:
    """Handles requests for one scenario. `log` receives messages for the user, `journal` each request."""

    def __init__(
        self,
        prepared: PreparedScenario,
        settings: ReplaySettings,
        player: Player,
        sessions: Sessions,
        responders: Sequence[Responder],
        journal: RequestJournal,
        log: Callable[[Log], None],
    ) -> None:
        self.scenario = prepared.scenario
        self._ignored = self.scenario.profile.request
        self.faults = Faults(self.scenario.faults)
        self._prepared, self._settings, self._player, self._sessions = prepared, settings, player, sessions
        self._responders, self._journal, self._log = responders, journal, log
        self._roles = RoleAllocator({name: role.user for name, role in self.scenario.roles.items()})
        self._timeline = Timeline(prepared, self._start_entry)
        self._chooser = Chooser(prepared, self._roles, settings.repeat, self._timeline.on_role_assigned)
        self._role_values = RoleValues(self.scenario)
        self._session_roles = SessionRoles(prepared, self._roles, self._timeline.on_role_assigned)

    # ------------------------------------------------------------------ sessions
    def new_references(self) -> References:
        """Return the reference numbers of a new session."""
        return References(self.scenario.highest_ref)

    def on_login(self, session: Session) -> None:
        """Assign the role of the user that logged in, if there is one."""
        self._session_roles.on_login(session)

    def _own_session(self, exchange: Exchange, anonymous: Session, now: float, had_role: bool) -> Session:
        """Return a session of its own for a client to which an exchange hands out a bound value.

        The anonymous session counts the play too, and keeps a role only if it had one before.
        """
        session = self._sessions.fork(anonymous, now, self.new_references())
        anonymous.plays.count(exchange)
        session.role, session.role_assigned = anonymous.role, anonymous.role_assigned
        if not had_role:
            anonymous.role, anonymous.role_assigned = None, False
        elif session.role is not None:
            self._roles.assign(session.role)
        return session

    def on_end(self, session: Session) -> list[TimelineEntry]:
        """Release the role of a session that ended; return the timeline entries that no session could play."""
        if session.role is not None:
            self._roles.release(session.role)
        return self.never_assigned(session)

    def never_assigned(self, session: Session) -> list[TimelineEntry]:
        """Return the timeline entries that wait in this session for a role that no session ever had."""
        return [*self._session_roles.never_assigned(session)]

    def on_delivery(self, role: str, asker: Session, others: Iterable[Session]) -> Session | None:
        """Return the session that gets a role that no session has because a notification is for it, or None."""
        return self._session_roles.on_delivery(role, asker, others)

    def adopt(self, sessions: Sessions, faults: Faults) -> None:
        """Continue sessions that started under another scenario, with these faults."""
        self.faults = faults
        for session in sessions:
            session.plays.reset_positions()
            session.references.raise_to(self.scenario.highest_ref)
            role = self.scenario.roles.get(session.role) if session.role is not None else None
            if role is None or not (session.role_assigned or role.user == session.user):
                session.role, session.role_assigned = None, False
            if session.role is not None:
                self._roles.assign(session.role)
            self._session_roles.on_login(session)

    def subscription_anchors(self, kind: SubscriptionKind, subscription: str) -> list[SubscriptionAnchor]:
        """Return the anchors of timeline entries that a subscription reaches."""
        return self._prepared.subscription_anchors(kind, subscription)

    def has_anchor(self, anchor: Anchor) -> bool:
        """True if a timeline entry starts or ends with this anchor."""
        return anchor in self._prepared.anchors

    def on_anchor(self, session: Session, anchor: Anchor, at: Ticks) -> None:
        """Start and end the timeline entries with this anchor: an exchange, or an event of a CometD client."""
        if self.has_anchor(anchor):
            self._session_roles.on_anchor(session, anchor)
            self._timeline.on_anchor(session, anchor, at)

    def _start_entry(self, session: Session, entry: TimelineEntry, at: Ticks) -> None:
        try:
            self._player.start_entry(session, entry, at)
        except TemplateFailed as error:
            self._log(Log("error", f"a timeline entry is left out: {error}"))

    def meta_faults(self, session: Session, channel: str, subscription: JSON) -> list[FaultAction]:
        """Count a meta message and return the faults that it triggers."""
        faults = self.faults.on_meta(channel)
        return triggered(faults, session, self._player.seed, subscription) if faults else []

    # ------------------------------------------------------------------ HTTP
    def unasked(self, request: Request) -> Reply | None:
        """Return the 404 to a request that a browser sends by itself, if no exchange has its path; otherwise None.

        It needs no session and is no miss.
        """
        if request.method not in ("GET", "HEAD") or not _BY_BROWSERS.fullmatch(request.path):
            return None
        path = normalize_request(request, self.scenario.profile.request).path
        if self._settings.unmatched == "forward" or self._prepared.has_path(path):
            return None
        return error_reply(request.id, 404, 6, "no exchange has this path")

    def handle(self, request: Request, session: Session, now: float, *, locked_out: bool) -> Reply | HandlerResult:
        """Handle an HTTP request; return its reply alone if nothing else is to be performed now."""
        normalized = normalize_request(request, self._ignored)
        if self._responders and not locked_out:
            result = self._ask_responders(normalized, request, session, now)
            if result is not None:
                return result
        had_role = session.role is not None
        if not had_role and (role := self._role_values.role_in(normalized)) is not None:
            self._session_roles.assign(session, role)
        choice = self._chooser.choose(normalized, session, locked_out=locked_out)
        if choice is not None and not (self.faults.by_exchange or normalized.method == "HEAD"):
            ready = self._player.ready_response(choice.exchange)
            if ready is not None:
                return self._play_ready(choice, ready, request, session, now)
        source = _source_of(request, session, now)
        if choice is None:
            get = self._choose_get(normalized, session, locked_out=locked_out)
            if get is not None:
                return self._answer_head(get, as_get(normalized), request, source)
            return self._unmatched(request, normalized, source, locked_out=locked_out)
        if session.kind == "anonymous" and self._player.hands_out(choice.exchange):
            source = _source_of(request, self._own_session(choice.exchange, session, now, had_role), now)
        try:
            return self._play(choice, normalized, request, source)
        except TemplateFailed as error:
            return self._failed(request, source, f"{choice.exchange.name!r} can't be played: {error}")

    def _play_ready(
        self, choice: ExchangeChoice, ready: ReadyResponse, request: Request, session: Session, now: float
    ) -> Reply | HandlerResult:
        """Play an exchange whose reply and notifications are ready: only their reference numbers are new.

        It has the same result as `_play`, which also renders templates and applies faults. Most requests come here, so
        there are no steps in between: the play is counted, the call recorded, the bytes are joined, and the
        notifications go to the schedule.
        """
        exchange, player, reply = choice.exchange, self._player, ready.reply
        live = player.count_ready(choice, ready, session)
        self._record(_source_of(request, session, now), exchange.name, "played", reply.status)
        answer = Reply(request.id, reply.status, reply.headers, reply.body.joined(live))
        at = session.ticks(now)
        if exchange.name in self._prepared.anchors:
            self.on_anchor(session, exchange.name, at)
        session.clock += reply.after_seconds
        if player.is_next(reply.after_seconds, ready.first_after, at):
            player.schedule_ready(exchange, ready, live, session, at, self._journal.last)
            return answer
        events = actions_of(static_events(ready.events, live), session, Cause(exchange.name, call=self._journal.last))
        scheduled = [ScheduledAction(reply.after_seconds, AnswerRequest(session, answer)), *events]
        return HandlerResult(timer=_reply_timer(player.schedule(scheduled, session, at, exchange.index)))

    def _play(
        self, choice: ExchangeChoice, normalized: NormalizedRequest, request: Request, source: _CallSource
    ) -> HandlerResult:
        exchange, session = choice.exchange, source.session
        actions = self._triggered_faults(exchange.name, session)
        for action in actions:
            if isinstance(action, SetStatus):
                self._record(source, exchange.name, f"fault: status {action.status}", action.status)
                reply = ReplyOut(0.0, action.status, action.headers, action.body, action.content)
                return HandlerResult((http_reply(request.id, reply),))
        rendered = self._player.play(choice, normalized, session, actions)
        reply = rendered.reply if isinstance(rendered.reply, ReplyOut) else ReplyOut(0.0, 200, (), content=b"")
        if normalized.method == "HEAD":
            reply = self._with_length(reply, normalized, source)
        breaks, after = _breaks(actions), reply.after_seconds + _delay(actions)
        self._record(source, exchange.name, "played", None if breaks else reply.status)
        answer = Drop(request.id) if breaks else http_reply(request.id, reply)
        scheduled = actions_of(rendered.events, session, Cause(exchange.name, call=self._journal.last))
        if actions:
            ends = [ScheduledAction(after, EndClients(session)) for each in actions if isinstance(each, EndSession)]
            scheduled = [*ends, *scheduled]
        at = session.ticks(source.at)
        self.on_anchor(session, exchange.name, at)
        session.clock += reply.after_seconds
        if self._player.is_next(after, min([each.after_seconds for each in scheduled], default=after), at):
            self._player.schedule(scheduled, session, at, exchange.index)
            return HandlerResult((answer,))
        scheduled.insert(0, ScheduledAction(after, AnswerRequest(session, answer)))
        return HandlerResult(timer=_reply_timer(self._player.schedule(scheduled, session, at, exchange.index)))

    def _choose_get(
        self, normalized: NormalizedRequest, session: Session, *, locked_out: bool = False
    ) -> ExchangeChoice | None:
        """Return the exchange that answers a GET of the resource of a HEAD, or None."""
        if normalized.method != "HEAD":
            return None
        return self._chooser.choose(as_get(normalized), session, locked_out=locked_out)

    def _answer_head(
        self, choice: ExchangeChoice, get: NormalizedRequest, request: Request, source: _CallSource
    ) -> HandlerResult:
        """Answer a HEAD from the exchange of its GET.

        It isn't played: HEAD changes nothing, so the next GET gets the same answer.
        """
        name = choice.exchange.name
        try:
            reply = self._player.preview(choice, get, source.session)
        except TemplateFailed as error:
            return self._failed(request, source, f"{name!r} can't be played: {error}")
        self._record(source, name, "played", reply.status)
        answer = http_reply(request.id, reply)
        if self._player.hands_out(choice.exchange):  # the length of a value that doesn't exist is unknown
            answer = Reply(request.id, answer.status, answer.headers)
        scheduled = [ScheduledAction(reply.after_seconds, AnswerRequest(source.session, answer))]
        at = source.session.ticks(source.at)
        return HandlerResult(timer=_reply_timer(self._player.schedule(scheduled, source.session, at, _BEFORE_ALL)))

    def _with_length(self, reply: ReplyOut, normalized: NormalizedRequest, source: _CallSource) -> ReplyOut:
        """Add the length of the body that a GET gets to an empty reply to HEAD, unless it has a length."""
        if reply.content != b"" or any(name.lower() == "content-length" for name, _ in reply.headers):
            return reply
        choice = self._choose_get(normalized, source.session)
        if choice is None or self._player.hands_out(choice.exchange):
            return reply
        try:
            from_get = self._player.preview(choice, as_get(normalized), source.session)
        except TemplateFailed:
            return reply
        if from_get.status != reply.status:
            return reply
        length = len(http_reply(0, from_get).body)
        return replace(reply, headers=(*reply.headers, ("Content-Length", str(length))))

    def _ask_responders(
        self, normalized: NormalizedRequest, request: Request, session: Session, now: float
    ) -> HandlerResult | None:
        """Return the answer of the first responder that gives one, or None."""
        response = self._call_responders(normalized, session)
        if response is None:
            return None
        source = _source_of(request, session, now)
        if isinstance(response, ResponderFailed):
            return self._failed(request, source, response.text)
        self._record(source, None, "responder", response.status)
        return self._schedule_response(response, request, session, now)

    def _schedule_response(self, response: Response, request: Request, session: Session, now: float) -> HandlerResult:
        headers = tuple(response.headers.items())
        reply = ReplyOut(response.after_seconds, response.status, headers, response.body, response.content)
        answer = AnswerRequest(session, http_reply(request.id, reply))
        notifications = _notifications(response, session, Cause(call=self._journal.last))
        scheduled = [ScheduledAction(response.after_seconds, answer), *notifications]
        return HandlerResult(
            timer=_reply_timer(self._player.schedule(scheduled, session, session.ticks(now), _BEFORE_ALL))
        )

    def _unmatched(
        self, request: Request, normalized: NormalizedRequest, source: _CallSource, *, locked_out: bool
    ) -> HandlerResult:
        if locked_out:
            self._record(source, None, "refused: not logged in", 403)
            return HandlerResult((access_denied(request),))
        if self._settings.unmatched == "forward" and request.method.upper() == "GET":
            self._record(source, None, "forwarded")
            return HandlerResult((Forward(request.id),))
        if (not_found := self.unasked(request)) is not None:
            return HandlerResult((not_found,))
        miss = explain(normalized, source.session, self._prepared)
        reply = miss_reply(request.id, miss)
        self._record(source, None, "missed", reply.status, miss)
        return HandlerResult((Log("warning", str(miss)), reply))

    def _failed(self, request: Request, source: _CallSource, text: str) -> HandlerResult:
        reply = error_reply(request.id, 500, 4, text)  # status and code as in GWS's own errors
        self._record(source, None, "failed", reply.status, failure=text)
        return HandlerResult((Log("error", text), reply))

    def record_refusal(self, request: Request, session: Session, now: float, reason: str) -> None:
        """Record a request that was refused before it was handled."""
        self._record(_source_of(request, session, now), None, f"refused: {reason}", 403)

    # ------------------------------------------------------------------ publish
    def handle_publish(self, message: JSONObject, session: Session, client_id: str, now: float) -> PublishAnswer | None:
        """Handle a publish; return None if nothing answers it, so that it is broadcast as usual."""
        normalized = normalize_publish(message, self.scenario.profile.request)
        source = _CallSource(session, "PUBLISH", normalized.channel, encode(normalized.data), now)
        if self._responders:
            response = self._call_responders(normalized, session)
            if isinstance(response, ResponderFailed):
                return self._publish_failed(source, response.text)
            if response is not None:
                self._record(source, None, "responder")
                reply = PublishReplyOut(response.after_seconds, response.status < 400, members={"data": response.body})
                cause = Cause(call=self._journal.last, client_id=client_id)
                scheduled = _notifications(response, session, cause)
                return PublishAnswer(reply, self._schedule_later(scheduled, session, now, _BEFORE_ALL))
        if session.role is None and (role := self._role_values.role_in(normalized)) is not None:
            self._session_roles.assign(session, role)
        choice = self._chooser.choose(normalized, session)
        if choice is None:
            self._publish_unmatched(normalized, source)
            return None
        try:
            return self._play_publish(choice, normalized, client_id, source)
        except TemplateFailed as error:
            return self._publish_failed(source, f"{choice.exchange.name!r} can't be played: {error}")

    def _play_publish(
        self, choice: ExchangeChoice, normalized: NormalizedPublish, client_id: str, source: _CallSource
    ) -> PublishAnswer:
        exchange, session = choice.exchange, source.session
        actions = self._triggered_faults(exchange.name, session)
        for action in actions:
            if isinstance(action, SetStatus):
                self._record(source, exchange.name, f"fault: status {action.status}")
                return PublishAnswer(PublishReplyOut(0.0, successful=False, error=f"{action.status}::fault"))
        rendered = self._player.play(choice, normalized, session, actions)
        self._record(source, exchange.name, "played")
        reply = rendered.reply if isinstance(rendered.reply, PublishReplyOut) else PublishReplyOut(0.0, True)
        cause = Cause(exchange.name, call=self._journal.last, client_id=client_id)
        scheduled = actions_of(rendered.events, session, cause)
        scheduled += [
            ScheduledAction(0.0, EndClients(session, client_id)) for each in actions if isinstance(each, EndSession)
        ]
        immediate = self._schedule_later(scheduled, session, source.at, exchange.index)
        self.on_anchor(session, exchange.name, session.ticks(source.at))
        session.clock += reply.after_seconds
        after = reply.after_seconds + _delay(actions)
        return PublishAnswer(replace(reply, after_seconds=after), immediate, _breaks(actions))

    def _schedule_later(
        self, actions: Sequence[ScheduledAction], session: Session, now: float, place: int
    ) -> tuple[Action, ...]:
        """Schedule the actions that are not due at once; return those that are, in the order of their delays."""
        later = [each for each in actions if not self._player.is_immediate(each.after_seconds)]
        self._player.schedule(later, session, session.ticks(now), place)
        ordered = sorted(actions, key=lambda each: each.after_seconds)  # at speed 0 all are due at once
        return tuple(each.action for each in ordered if self._player.is_immediate(each.after_seconds))

    def _publish_unmatched(self, normalized: NormalizedPublish, source: _CallSource) -> None:
        if not source.target.startswith("/service/"):
            self._record(source, None, "broadcast")
            return
        miss = explain(normalized, source.session, self._prepared)
        self._record(source, None, "missed", miss=miss)
        self._log(Log("warning", str(miss)))

    def _publish_failed(self, source: _CallSource, text: str) -> PublishAnswer:
        self._record(source, None, "failed", failure=text)
        self._log(Log("error", text))
        return PublishAnswer(PublishReplyOut(0.0, successful=False, error=f"500::{text}"))

    # ------------------------------------------------------------------ inside
    def _triggered_faults(self, exchange: str, session: Session) -> list[FaultAction]:
        faults = self.faults.by_exchange.get(exchange)
        return triggered(faults, session, self._player.seed) if faults else []

    def _call_responders(self, normalized: RequestOrPublish, session: Session) -> Response | ResponderFailed | None:
        request = responder_request(normalized, session.user, session.role, session.values)
        for responder in self._responders:
            try:
                response = call_responder(responder, request)
            except Exception as error:  # noqa: BLE001  # a responder is the user's code: its error is reported
                name = getattr(responder, "__name__", repr(responder))
                return ResponderFailed(f"the responder {name} failed: {type(error).__name__}: {error}")
            if response is not None:
                return response
        return None

    def _record(
        self,
        source: _CallSource,
        exchange: str | None,
        outcome: str,
        status: int | None = None,
        miss: Miss | None = None,
        failure: str = "",
    ) -> None:
        """Write a request to the journal."""
        session, journal = source.session, self._journal
        journal.write(
            (
                source.at,
                session.number,
                session.role,
                session.user,
                source.method,
                source.target,
                source.body,
                exchange,
                outcome,
                journal.last + 1,
                status,
                miss,
                failure,
                self.scenario.profile,
            )
        )


@dataclass(frozen=True, slots=True)
class ResponderFailed:
    """The failure of a responder."""

    text: str


@dataclass(init=False, slots=True, unsafe_hash=True)
class _CallSource:
    """The session, the request and the time of a call, as the request journal records them."""

    session: Session
    method: str
    target: str
    body: bytes
    at: float

    def __init__(
        self,
        session: Session,
        method: str,
        target: str,
        body: bytes,
        at: float,
    ) -> None:
        self.session, self.method, self.target, self.body = session, method, target, body
        self.at = at


def _source_of(request: Request, session: Session, now: float) -> _CallSource:
    path = without_session(request.path)
    target = f"{path}?{request.query}" if request.query else path
    return _CallSource(session, request.method, target, request.body, now)


def _breaks(actions: Sequence[FaultAction]) -> bool:
    return bool(actions) and any(isinstance(action, BreakConnection) for action in actions)


def _delay(actions: Sequence[FaultAction]) -> float:
    return sum(action.seconds for action in actions if isinstance(action, Delay)) if actions else 0.0


def _notifications(response: Response, session: Session, cause: Cause) -> list[ScheduledAction]:
    """Return the actions that deliver the notifications of a responder."""
    scheduled = []
    for place, each in enumerate(response.events, start=1):
        message: JSONObject = {"channel": each.channel, "data": each.data}
        if each.ext is not None:
            message["ext"] = each.ext
        origins = (Origin(session.number, call=cause.call, event=place),)
        notify = Notify(session, (message,), each.batch is not None, cause.client_id, each.deliver, origins)
        scheduled.append(ScheduledAction(each.after_seconds, notify))
    return scheduled


def _reply_timer(timers: Iterable[TimerHandle[Action]]) -> TimerHandle[Action]:
    """Return the timer of the reply among those that were scheduled for a request."""
    return next(timer for timer in timers if isinstance(timer.item, AnswerRequest))


def http_reply(request_id: int, reply: ReplyOut) -> Reply:
    """Return a rendered reply as bytes; a JSON body gets GWS's content type unless the scenario sets another."""
    headers = reply.headers if isinstance(reply.headers, Headers) else Headers(reply.headers)
    if reply.content is not None:
        return Reply(request_id, reply.status, headers, reply.content)
    if not any(name.lower() == "content-type" for name, _ in reply.headers):
        headers = Headers((*reply.headers, JSON_TYPE))
    return Reply(request_id, reply.status, headers, encode(reply.body))


def access_denied(request: Request) -> Reply:
    """Return the reply to a request that requires a login."""
    return error_reply(request.id, 403, 20, "Access denied")


copy_by_constructor(__name__)
