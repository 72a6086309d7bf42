"""The Bayeux side of the replay: the server, and the application that answers its publishes from exchanges.

Notifications that are due at once are delivered while the server works, so that they are part of the same reply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import cast

from cometreel.bayeux import (
    NO_DATA,
    BayeuxServer,
    BayeuxSettings,
    DropReason,
    EncodedMessage,
    EndReason,
    MalformedMessages,
    PolicyResult,
    PublishResult,
    parse_messages,
)
from cometreel.bayeux.settings import HandshakeMembers, TransportName
from cometreel.engine.actions import Action, AnswerRequest, EndClients, ScheduledAction
from cometreel.engine.handler import RequestHandler, http_reply
from cometreel.engine.notification_router import NotificationRouter
from cometreel.engine.session_finder import SessionFinder
from cometreel.engine.sessions import Session, Sessions
from cometreel.jsonvalue import JSONObject
from cometreel.scenario import (
    Anchor,
    BayeuxSection,
    BreakConnection,
    Delay,
    EndSession,
    FaultAction,
    PublishReplyOut,
    RefuseMessage,
    ReplyOut,
    SetStatus,
    SubscriptionKind,
)
from cometreel.scenario.matchers import shortened
from cometreel.wire import Accept, Drop, Effect, Headers, Log, Reply, Request

__all__ = ["BayeuxReplayApplication", "bayeux_settings", "policy_result_of", "why_closed", "why_refused"]

_CONNECT = "/meta/connect"


class BayeuxReplayApplication:
    """The application behind the Bayeux server.

    `perform` performs an action at once, `schedule` schedules one. `handler` and `finder` are those of the current
    scenario; `router` delivers notifications.
    """

    handler: RequestHandler
    router: NotificationRouter
    finder: SessionFinder

    def __init__(
        self,
        settings: BayeuxSettings,
        new_id: Callable[[str], str],
        sessions: Sessions,
        perform: Callable[[Action, float], None],
        schedule: Callable[[ScheduledAction, float], None],
    ) -> None:
        self.server = BayeuxServer(settings, self, new_id)
        self._sessions, self._perform, self._schedule = sessions, perform, schedule
        self._sessions_of: dict[int, Session] = {}  # by the id of a request in progress, or of an open WebSocket
        self._delays: dict[int, float] = {}
        self._broken: set[int] = set()
        self._statuses: dict[int, SetStatus] = {}

    # ------------------------------------------------------------------ requests
    def receive(
        self, request: Request, session: Session, now: float, headers: Iterable[tuple[str, str]]
    ) -> list[Effect]:
        """Process a Bayeux request or the upgrade that opens a WebSocket; `headers` are added to the reply."""
        self._sessions_of[request.id] = session
        effects = self.server.receive(request, now, headers=headers)
        accepted = refused = False
        for each in effects:
            if isinstance(each, Reply):
                refused = refused or (each.request_id == request.id and each.status >= 400)
            elif isinstance(each, Accept):
                accepted = True
        if accepted:
            session.sockets += 1
        else:
            del self._sessions_of[request.id]
        if self._delays or self._broken or self._statuses:
            effects = self._with_faults(effects, request.id, session, now)
        if refused:
            warning = f"{request.method} {shortened(request.path)} is refused"
            effects = [*_warnings(warning, why_refused(request, self.server.settings)), *effects]
        return effects

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Process a text frame of an open WebSocket."""
        connection = self._sessions_of.get(request_id)
        if connection is None:
            return []
        self._sessions.touch(connection, now)
        effects = self.server.frame(request_id, text, now)
        closed = any(isinstance(effect, Drop) and effect.request_id == request_id for effect in effects)
        logged = _warnings("a WebSocket is closed", why_closed(text, self.server.settings)) if closed else []
        return [*logged, *self._with_faults(effects, request_id, None, now)]

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Process the end of a request or a WebSocket whose client is gone."""
        session = self._sessions_of.pop(request_id, None)
        if session is not None:
            session.sockets -= 1
        return self.server.gone(request_id, now)

    def _session_of(self, request: Request, client_id: str, now: float) -> Session:
        """Return the session of a message of a live client.

        Over a WebSocket, or without `require_cookie`, it is the session of its clientId, else that of the request.
        """
        session, own = self._sessions_of[request.id], self._sessions.by_client(client_id)
        if own is None or own is session:
            return session
        if session.kind == "full" and own.kind == "provisional":
            self._sessions.move_clients(own, session)
            self.router.on_client(session, now)
            return session
        if not request.websocket and self.server.settings.require_cookie:
            return session
        self._sessions.touch(own, now)
        return own

    def _join(self, message: JSONObject, request: Request) -> Session:
        """Return the session of a message without a client; its WebSocket joins that session."""
        connection = self._sessions_of[request.id]
        if not request.websocket:
            return connection
        session = self.finder.session_of_message(message, connection)
        if session is not connection:
            connection.sockets -= 1
            session.sockets += 1
            self._sessions_of[request.id] = session
        return session

    def _with_faults(
        self, effects: Iterable[Effect], request_id: int, session: Session | None, now: float
    ) -> list[Effect]:
        """Return the server's effects; a fault may delay the reply to the request in progress, or break it."""
        result: list[Effect] = []
        status = self._statuses.pop(request_id, None)
        for effect in effects:
            if status is not None and isinstance(effect, Reply) and effect.request_id == request_id:
                effect = _reply_of(status, effect)  # noqa: PLW2901  # the server's own reply has neither fields nor body
            if isinstance(effect, Log) or effect.request_id != request_id:
                result.append(effect)
            elif request_id in self._broken:
                result += [Drop(request_id), *self.server.gone(request_id, now)]
            elif isinstance(effect, Reply) and session is not None and request_id in self._delays:
                self._schedule(ScheduledAction(self._delays[request_id], AnswerRequest(session, effect)), now)
            else:
                result.append(effect)
        self._delays.pop(request_id, None)
        self._broken.discard(request_id)
        return result

    def _delay_reply(self, request: Request, seconds: float) -> None:
        """Delay the reply to the request in progress, which `_with_faults` does; it delays no frame of a WebSocket."""
        if seconds > 0:
            self._delays[request.id] = max(seconds, self._delays.get(request.id, 0.0))

    # ------------------------------------------------------------------ called by the server
    def allow(self, message: JSONObject, client_id: str | None, request: Request, now: float) -> PolicyResult | None:
        """Apply the faults that a meta message triggers."""
        channel = str(message.get("channel", ""))
        if not channel.startswith("/meta/"):
            return None
        session = self._join(message, request) if client_id is None else self._session_of(request, client_id, now)
        result = None
        for action in self.handler.meta_faults(session, channel, message.get("subscription")):
            if isinstance(action, EndSession):
                self._schedule(ScheduledAction(0.0, EndClients(session, client_id)), now)
            elif isinstance(action, Delay) and channel != _CONNECT:
                self._delay_reply(request, action.seconds)
            else:
                result = policy_result_of(action)
                if isinstance(action, SetStatus):
                    self._statuses[request.id] = action
        return result

    def published(self, client_id: str, message: JSONObject, request: Request, now: float) -> PublishResult | None:
        """Answer a publish; events that are due at once are delivered before its acknowledgement is written."""
        session = self._session_of(request, client_id, now)
        answer = self.handler.handle_publish(message, session, client_id, now)
        if answer is None:
            return None
        for action in answer.immediate:
            self._perform(action, now)
        if answer.broken:
            self._broken.add(request.id)
        elif answer.reply is not None:
            self._delay_reply(request, answer.reply.after_seconds)
        return publish_result_of(answer.reply)

    def started(self, client_id: str, request: Request, now: float) -> None:
        """Add a new client to its HTTP session, and deliver the notifications that wait for one."""
        session, client = self._sessions_of[request.id], self.server.session(client_id)
        self._sessions.add_client(session, client_id, client.browser if client is not None else None)
        self.router.on_client(session, now)
        self._on_anchor(client_id, "handshake", now)

    def connected(self, client_id: str, now: float) -> None:
        """Start and end the timeline entries with the anchor `connect`."""
        self._on_anchor(client_id, "connect", now)

    def subscribed(self, client_id: str, channel: str, now: float) -> None:
        """Start and end the timeline entries with the anchor `subscribe`, of any channel or of this one."""
        self._on_subscription(client_id, "subscribe", channel, now)

    def unsubscribed(self, client_id: str, channel: str, now: float) -> None:
        """Start and end the timeline entries with the anchor `unsubscribe`, of any channel or of this one."""
        self._on_subscription(client_id, "unsubscribe", channel, now)

    def ended(self, client_id: str, reason: EndReason, now: float) -> None:
        """Remove a client from its HTTP session."""
        if reason == "disconnect":
            self._on_anchor(client_id, "disconnect", now)
        self._sessions.remove_client(client_id)

    def dropped(self, client_id: str, message: EncodedMessage, reason: DropReason, now: float) -> None:
        """Report a notification that a client doesn't get."""
        self.router.dropped(message, reason, now)

    def _on_subscription(self, client_id: str, kind: SubscriptionKind, channel: str, now: float) -> None:
        self._on_anchor(client_id, kind, now)
        for anchor in self.handler.subscription_anchors(kind, channel):
            self._on_anchor(client_id, anchor, now)

    def _on_anchor(self, client_id: str, anchor: Anchor, now: float) -> None:
        if not self.handler.has_anchor(anchor):
            return
        session = self._sessions.by_client(client_id)
        if session is not None:
            self.handler.on_anchor(session, anchor, session.ticks(now))


def _warnings(what: str, reason: str | None) -> list[Effect]:
    return [] if reason is None else [Log("warning", f"{what}: {reason}")]


def policy_result_of(action: FaultAction) -> PolicyResult | None:
    """Convert a fault on a meta channel."""
    if isinstance(action, RefuseMessage):
        if action.error.startswith("402") and action.advice is None:
            return PolicyResult(unknown=True, ext=action.ext)
        return PolicyResult(error=action.error, advice=action.advice, ext=action.ext)
    if isinstance(action, SetStatus):
        return PolicyResult(status=action.status)
    if isinstance(action, BreakConnection):
        return PolicyResult(drop=True)
    return PolicyResult(hold=action.seconds) if isinstance(action, Delay) else None


def _reply_of(fault: SetStatus, refusal: Reply) -> Reply:
    """Return the server's refusal with the header fields and the body of a fault."""
    reply = http_reply(refusal.request_id, ReplyOut(0.0, fault.status, fault.headers, fault.body, fault.content))
    return replace(reply, headers=Headers([*reply.headers, *refusal.headers]))


def publish_result_of(reply: PublishReplyOut | None) -> PublishResult:
    """Convert a rendered reply to a publish."""
    if reply is None:
        return PublishResult()
    ext = reply.members.get("ext")
    data = reply.members.get("data", NO_DATA)
    return PublishResult(reply.successful, reply.error, ext if isinstance(ext, dict) else None, data)


def bayeux_settings(section: BayeuxSection) -> BayeuxSettings:
    """Convert the `bayeux:` block of a scenario into settings, with milliseconds as seconds."""
    written = section.handshake
    values = {
        "endpoint": section.endpoint,
        "timeout": _seconds(section.timeout_ms),
        "interval": _seconds(section.interval_ms),
        "max_interval": section.max_interval_seconds,
        "multi_session_interval": section.multi_session_interval_seconds,
        "transports": cast("tuple[TransportName, ...] | None", section.transports),
        "handshake": None if written is None else HandshakeMembers(written.ext, written.advice),
    }
    same_name = {field.name for field in fields(section)} & {field.name for field in fields(BayeuxSettings)}
    values |= {name: getattr(section, name) for name in sorted(same_name - values.keys())}
    return replace(BayeuxSettings(), **{name: value for name, value in values.items() if value is not None})  # type: ignore[arg-type]  # each field has the type of its namesake


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def why_refused(request: Request, settings: BayeuxSettings) -> str | None:
    """Return the error in a request that was refused; None if its messages are valid."""
    if request.method != "POST":
        return None if "jsonp=" in request.query else "no Bayeux transport sends such a request"
    if "long-polling" not in settings.transports:
        return "long-polling is not among the transports"
    return _error_in(request.body, len(request.body), settings)


def why_closed(text: str, settings: BayeuxSettings) -> str | None:
    """Return the error in a frame for which a WebSocket was closed; None if its messages are valid."""
    return _error_in(text, len(text), settings)


def _error_in(body: bytes | str, size: int, settings: BayeuxSettings) -> str | None:
    if size > settings.max_message_bytes:
        return f"found {size} bytes; expected at most {settings.max_message_bytes}"
    try:
        messages = parse_messages(body, form=settings.form)
    except MalformedMessages as error:
        is_form = body[:8] in (b"message=", "message=") and not settings.form
        return "found a form; expected JSON, or form: true under bayeux:" if is_form else str(error)
    if not messages:
        return "found an empty array; expected a Bayeux message"
    if not all(isinstance(message.get("channel"), str) for message in messages):
        return "found a message without a channel; expected one, as /meta/connect"
    return None
