"""What can be due: answer a request, notify a session, end its CometD clients.

Plain orders, each with the session whose time it counts in. Carrying them out is the backend's work.
"""

from __future__ import annotations

from typing import TypeAlias

from cometreel.engine.sessions import Session
from cometreel.immutable import immutable
from cometreel.jsonvalue import JSONObject
from cometreel.wire import Drop, Reply

__all__ = ["AnswerRequest", "EndClients", "Notify", "Action"]


@immutable
class AnswerRequest:
    """Send this reply, or close the connection in its place."""

    session: Session
    answer: Reply | Drop


@immutable
class Notify:
    """Deliver these messages; `batch` hands over all at once, else a held poll takes the first one only.

    They go to the CometD client named, or to every client of the session where none is.
    """

    session: Session
    messages: tuple[JSONObject, ...]
    batch: bool = False
    client_id: str | None = None


@immutable
class EndClients:
    """End the CometD client named, or every client of the session, from the server's side."""

    session: Session
    client_id: str | None = None


Action: TypeAlias = AnswerRequest | Notify | EndClients
