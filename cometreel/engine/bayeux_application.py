"""The replay as the Bayeux server's application: publishes that exchanges answer, faults on meta channels, anchors.

Called by the server while it works; what is due at once is delivered then, so that it rides on the same reply. Holds
no session and no schedule of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields, replace
from typing import Protocol, cast

from cometreel.bayeux import (
    NO_DATA,
    BayeuxSettings,
    EndReason,
    MalformedMessages,
    PolicyResult,
    PublishResult,
    parse_messages,
)
from cometreel.bayeux.settings import TransportName
from cometreel.engine.actions import Action, EndClients
from cometreel.engine.player import ScheduledAction
from cometreel.engine.sessions import Session
from cometreel.immutable import immutable
from cometreel.jsonvalue import JSONObject
from cometreel.scenario import (
    BayeuxSection,
    BreakConnection,
    Delay,
    EndSession,
    FaultAction,
    PublishReplyOut,
    RefuseMessage,
    SetStatus,
)
from cometreel.wire import Request

__all__ = [
    "BackendView",
    "PublishAnswer",
    "ReplayApplication",
    "bayeux_settings",
    "policy_result_of",
    "why_closed",
    "why_refused",
]

_CONNECT = "/meta/connect"


@immutable
class PublishAnswer:
    """What an exchange or a responder makes of a publish."""

    reply: PublishReplyOut | None = None
    inline: Sequence[Action] = field(default_factory=tuple)
    """What is due at once."""
    broken: bool = False
    """Whether the connection is closed in place of the reply."""


class BackendView(Protocol):
    """What the stage needs of the backend."""

    def session_of(self, request: Request) -> Session:
        """Return the HTTP session of the request that is being processed."""

    def meta_faults(self, session: Session, message: JSONObject) -> Sequence[FaultAction]:
        """Count a meta message and return the faults that strike it."""

    def answer_publish(self, message: JSONObject, session: Session, client_id: str, now: float) -> PublishAnswer | None:
        """Answer a publish, or return None if nothing in the scenario does."""

    def delay_reply(self, request: Request, seconds: float) -> None:
        """Hold back the reply to the request that is being processed."""

    def break_reply(self, request: Request) -> None:
        """Close the connection in place of the reply to the request that is being processed."""

    def client_happened(self, client_id: str, what: str, now: float) -> None:
        """Take note of what a timeline may start or end with."""

    def client_started(self, session: Session, client_id: str, now: float) -> None:
        """Take note that a CometD client began in a session."""

    def client_ended(self, client_id: str) -> None:
        """Take note that a CometD client is over."""

    def do(self, order: Action, now: float) -> None:
        """Carry out an order at once."""

    def put(self, session: Session, cue: ScheduledAction, now: float) -> object:
        """Schedule an order."""


class ReplayApplication:
    """The application behind the Bayeux server."""

    def __init__(self, house: BackendView) -> None:
        self._house = house

    def allow(self, message: JSONObject, client_id: str | None, request: Request, now: float) -> PolicyResult | None:
        """Let a message go on, unless a fault strikes it."""
        channel = str(message.get("channel", ""))
        if not channel.startswith("/meta/"):
            return None
        session = self._house.session_of(request)
        verdict = None
        for action in self._house.meta_faults(session, message):
            if isinstance(action, EndSession):
                self._house.put(session, ScheduledAction(0.0, EndClients(session, client_id)), now)
            elif isinstance(action, Delay) and channel != _CONNECT:
                self._house.delay_reply(request, action.seconds)
            else:
                verdict = policy_result_of(action)
        return verdict

    def published(self, client_id: str, message: JSONObject, request: Request, now: float) -> PublishResult | None:
        """Answer a publish; what is due at once is delivered before its acknowledgement is written."""
        session = self._house.session_of(request)
        answered = self._house.answer_publish(message, session, client_id, now)
        if answered is None:
            return None
        for order in answered.inline:
            self._house.do(order, now)
        if answered.broken:
            self._house.break_reply(request)
        elif answered.reply is not None:
            self._house.delay_reply(request, answered.reply.after_seconds)
        return publish_result_of(answered.reply)

    def started(self, client_id: str, request: Request, now: float) -> None:
        """Give a new client to its HTTP session."""
        session = self._house.session_of(request)
        self._house.client_started(session, client_id, now)
        self._house.client_happened(client_id, "handshake", now)

    def connected(self, client_id: str, now: float) -> None:
        """Start what starts with a `/meta/connect`."""
        self._house.client_happened(client_id, "connect", now)

    def subscribed(self, client_id: str, channel: str, now: float) -> None:
        """Start what starts with a subscription."""
        self._house.client_happened(client_id, "subscribe", now)

    def unsubscribed(self, client_id: str, channel: str, now: float) -> None:
        """End what ends with the loss of a subscription."""
        self._house.client_happened(client_id, "unsubscribe", now)

    def ended(self, client_id: str, reason: EndReason, now: float) -> None:
        """Take a client from its HTTP session."""
        if reason == "disconnect":
            self._house.client_happened(client_id, "disconnect", now)
        self._house.client_ended(client_id)


def policy_result_of(action: FaultAction) -> PolicyResult | None:
    """Turn a fault on a meta channel into the server's own terms."""
    if isinstance(action, RefuseMessage):
        if action.error.startswith("402") and action.advice is None:
            return PolicyResult(unknown=True, ext=action.ext)
        return PolicyResult(error=action.error, advice=action.advice, ext=action.ext)
    if isinstance(action, SetStatus):
        return PolicyResult(status=action.status)
    if isinstance(action, BreakConnection):
        return PolicyResult(drop=True)
    return PolicyResult(hold=action.seconds) if isinstance(action, Delay) else None


def publish_result_of(reply: PublishReplyOut | None) -> PublishResult:
    """Turn the reply of a scenario into the server's own terms."""
    if reply is None:
        return PublishResult()
    ext = reply.members.get("ext")
    data = reply.members.get("data", NO_DATA)
    return PublishResult(reply.successful, reply.error, ext if isinstance(ext, dict) else None, data)


def bayeux_settings(section: BayeuxSection) -> BayeuxSettings:
    """Turn the block into settings; the wire's milliseconds become seconds."""
    said = {
        "endpoint": section.endpoint,
        "timeout": _seconds(section.timeout_ms),
        "interval": _seconds(section.interval_ms),
        "max_interval": section.max_interval_seconds,
        "multi_session_interval": section.multi_session_interval_seconds,
        "transports": cast("tuple[TransportName, ...] | None", section.transports),
    }
    same_name = {field.name for field in fields(section)} & {field.name for field in fields(BayeuxSettings)}
    said |= {name: getattr(section, name) for name in sorted(same_name - said.keys())}
    return replace(BayeuxSettings(), **{name: value for name, value in said.items() if value is not None})  # type: ignore[arg-type]  # each field has the type of its namesake


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def why_refused(request: Request, settings: BayeuxSettings) -> str | None:
    """Say what is wrong with a request that was refused; None if its messages are sound."""
    if request.method != "POST":
        return None if "jsonp=" in request.query else "no transport of Bayeux asks like this"
    if "long-polling" not in settings.transports:
        return "long-polling is not among the transports"
    return _wrong(request.body, len(request.body), settings)


def why_closed(text: str, settings: BayeuxSettings) -> str | None:
    """Say what is wrong with a frame for which a WebSocket was closed; None if its messages are sound."""
    return _wrong(text, len(text), settings)


def _wrong(body: bytes | str, size: int, settings: BayeuxSettings) -> str | None:
    if size > settings.max_message_bytes:
        return f"found {size} bytes; expected at most {settings.max_message_bytes}"
    try:
        messages = parse_messages(body)
    except MalformedMessages as error:
        return str(error)
    if not messages:
        return "found an empty array; expected a Bayeux message"
    if not all(isinstance(message.get("channel"), str) for message in messages):
        return "found a message without a channel; expected one, as /meta/connect"
    return None
