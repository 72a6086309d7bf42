"""What a Bayeux server asks of the application behind it, and what the application may answer.

No protocol and no state live here: only the questions, the answers, and an application that agrees to everything.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, Protocol, TypeAlias

from cometreel.immutable import immutable
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.wire import Request

__all__ = ["NO_DATA", "AllowAll", "Application", "EndReason", "PublishResult", "PolicyResult"]

EndReason: TypeAlias = Literal["disconnect", "expired", "kicked"]


class _NoData(Enum):
    TOKEN = auto()


NO_DATA: Final = _NoData.TOKEN
"""The absence of data, which isn't the same as `null`."""


@immutable
class PolicyResult:
    """An application's own decision about one message before the server processes it.

    `error` refuses the message with this text; `unknown` refuses it as if its session did not exist; `drop` ends the
    request without any reply; `status` answers the whole request with this HTTP status and nothing else. `advice`
    and `ext` are put into the reply whether it succeeds or not. `hold` sets how many seconds a `/meta/connect` is
    held when nothing waits for it, 0 for not at all.
    """

    error: str | None = None
    advice: JSONObject | None = None
    ext: JSONObject | None = None
    hold: float | None = None
    drop: bool = False
    unknown: bool = False
    status: int | None = None


@immutable
class PublishResult:
    """What came of a published message: its acknowledgement, and whether the application took it over.

    A message that is `handled` isn't broadcast to subscribers.
    """

    successful: bool = True
    error: str | None = None
    ext: JSONObject | None = None
    data: JSON | _NoData = NO_DATA
    handled: bool = True


class Application(Protocol):
    """The user of a server. Its methods may call the server back; the effects then join those of the outer call."""

    def allow(self, message: JSONObject, client_id: str | None, request: Request, now: float) -> PolicyResult | None:
        """Judge a message before it is processed; None lets it go on."""

    def published(self, client_id: str, message: JSONObject, request: Request, now: float) -> PublishResult | None:
        """Take a message that was published and accepted; None broadcasts it and acknowledges success."""

    def started(self, client_id: str, request: Request, now: float) -> None:
        """Learn that a session began with a handshake."""

    def connected(self, client_id: str, now: float) -> None:
        """Learn that a session sent a `/meta/connect` that was accepted."""

    def subscribed(self, client_id: str, channel: str, now: float) -> None:
        """Learn that a session subscribed to a channel or a pattern."""

    def unsubscribed(self, client_id: str, channel: str, now: float) -> None:
        """Learn that a session gave up a subscription."""

    def ended(self, client_id: str, reason: EndReason, now: float) -> None:
        """Learn that a session is over."""


class AllowAll:
    """An application that lets everything happen and does nothing."""

    def allow(self, message: JSONObject, client_id: str | None, request: Request, now: float) -> PolicyResult | None:
        """Let every message go on."""
        return None

    def published(self, client_id: str, message: JSONObject, request: Request, now: float) -> PublishResult | None:
        """Broadcast every message."""
        return None

    def started(self, client_id: str, request: Request, now: float) -> None:
        """Take no notice."""

    def connected(self, client_id: str, now: float) -> None:
        """Take no notice."""

    def subscribed(self, client_id: str, channel: str, now: float) -> None:
        """Take no notice."""

    def unsubscribed(self, client_id: str, channel: str, now: float) -> None:
        """Take no notice."""

    def ended(self, client_id: str, reason: EndReason, now: float) -> None:
        """Take no notice."""
