"""The actions that can be scheduled: answer a request, notify a session, end its CometD clients.

The backend performs them.
"""

from __future__ import annotations

from typing import TypeAlias

from cometreel.engine.sessions import Session
from cometreel.immutable import immutable
from cometreel.jsonvalue import JSONObject
from cometreel.wire import Drop, Reply

__all__ = ["Action", "AnswerRequest", "EndClients", "Notify", "ScheduledAction"]


@immutable
class AnswerRequest:
    """Send this reply, or close the connection instead."""

    session: Session
    answer: Reply | Drop


@immutable
class Notify:
    """Deliver these messages to one CometD client, or to all clients of the session if `client_id` is None.

    With `batch` all messages are delivered together; without it a held poll is answered with the first one.
    """

    session: Session
    messages: tuple[JSONObject, ...]
    batch: bool = False
    client_id: str | None = None


@immutable
class EndClients:
    """End one CometD client from the server's side, or all clients of the session if `client_id` is None."""

    session: Session
    client_id: str | None = None


Action: TypeAlias = AnswerRequest | Notify | EndClients


@immutable
class ScheduledAction:
    """An action and its delay after its cause, in seconds at speed 1."""

    after_seconds: float
    action: Action
