"""The interface between a Bayeux server and its application, and an application that allows everything.

A server asks its application before it processes a message, and informs it about sessions and subscriptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal, Protocol, TypeAlias

from cometreel.bayeux.outbox import EncodedMessage
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.wire import Request

__all__ = ["NO_DATA", "AllowAll", "Application", "DropReason", "EndReason", "PolicyResult", "PublishResult"]

EndReason: TypeAlias = Literal["disconnect", "expired", "server-disconnect"]
DropReason: TypeAlias = Literal["queue full", "client gone", "no subscriber"]
"""Why a message was dropped: too many were queued, the session has ended, or it has no subscription to the channel."""


class _NoData(Enum):
    TOKEN = auto()


NO_DATA: Final = _NoData.TOKEN
"""No data, which differs from `null`."""


@dataclass(slots=True, unsafe_hash=True)
class PolicyResult:
    """The application's decision about one message, before the server processes it.

    `error` refuses the message with this text; `unknown` refuses it as if its session did not exist; `drop` closes the
    connection without a reply; `status` answers the whole request with this HTTP status and no body. `advice` and
    `ext` are added to the reply, successful or not. `hold` is the time in seconds that a `/meta/connect` without
    queued messages is held, 0 for not at all.
    """

    error: str | None = None
    advice: JSONObject | None = None
    ext: JSONObject | None = None
    hold: float | None = None
    drop: bool = False
    unknown: bool = False
    status: int | None = None


@dataclass(slots=True, unsafe_hash=True)
class PublishResult:
    """The result of a published message: its acknowledgement, and whether the application handled it.

    A message that is `handled` isn't broadcast to subscribers.
    """

    successful: bool = True
    error: str | None = None
    ext: JSONObject | None = None
    data: JSON | _NoData = NO_DATA
    handled: bool = True


class Application(Protocol):
    """The application of a server. Its methods may call the server; the outer call returns those effects too."""

    def allow(self, message: JSONObject, client_id: str | None, request: Request, now: float) -> PolicyResult | None:
        """Decide about a message before it is processed; None allows it."""

    def published(self, client_id: str, message: JSONObject, request: Request, now: float) -> PublishResult | None:
        """Handle a published message; None broadcasts it and acknowledges success."""

    def started(self, client_id: str, request: Request, now: float) -> None:
        """Called after a handshake has started a session."""

    def connected(self, client_id: str, now: float) -> None:
        """Called after a `/meta/connect` was accepted."""

    def subscribed(self, client_id: str, channel: str, now: float) -> None:
        """Called after a session has subscribed to a channel or a pattern."""

    def unsubscribed(self, client_id: str, channel: str, now: float) -> None:
        """Called after a session has ended a subscription."""

    def ended(self, client_id: str, reason: EndReason, now: float) -> None:
        """Called after a session has ended."""

    def dropped(self, client_id: str, message: EncodedMessage, reason: DropReason, now: float) -> None:
        """Called after a message for a session was dropped."""


class AllowAll:
    """An application that allows everything and does nothing."""

    def allow(self, message: JSONObject, client_id: str | None, request: Request, now: float) -> PolicyResult | None:
        """Allow every message."""
        return None

    def published(self, client_id: str, message: JSONObject, request: Request, now: float) -> PublishResult | None:
        """Broadcast every message."""
        return None

    def started(self, client_id: str, request: Request, now: float) -> None:
        """Do nothing."""

    def connected(self, client_id: str, now: float) -> None:
        """Do nothing."""

    def subscribed(self, client_id: str, channel: str, now: float) -> None:
        """Do nothing."""

    def unsubscribed(self, client_id: str, channel: str, now: float) -> None:
        """Do nothing."""

    def ended(self, client_id: str, reason: EndReason, now: float) -> None:
        """Do nothing."""

    def dropped(self, client_id: str, message: EncodedMessage, reason: DropReason, now: float) -> None:
        """Do nothing."""
