"""The actions that can be scheduled: answer a request, notify a session, end its CometD clients.

The backend performs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cometreel.bayeux import EncodedMessage
from cometreel.engine.sessions import Session
from cometreel.jsonvalue import JSONObject
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Drop, Reply

__all__ = ["Action", "AnswerRequest", "Cause", "EndClients", "Notify", "Origin", "ScheduledAction"]


@dataclass(init=False, slots=True, unsafe_hash=True)
class Cause:
    """The cause of events: a call that an exchange answered, or a timeline entry; a responder or a push has neither.

    A publish has the `client_id` of its sender.
    """

    exchange: str | None = None
    entry: int | None = None
    """The index of the timeline entry."""
    call: int | None = None
    """The number of the call in the request journal."""
    client_id: str | None = None

    def __init__(
        self,
        exchange: str | None = None,
        entry: int | None = None,
        call: int | None = None,
        client_id: str | None = None,
    ) -> None:
        self.exchange, self.entry, self.call, self.client_id = exchange, entry, call, client_id


@dataclass(init=False, slots=True, unsafe_hash=True)
class Origin:
    """The origin of one message to a client: the session and the event that caused it."""

    session: int
    """The arrival number of the session."""
    exchange: str | None = None
    entry: int | None = None
    call: int | None = None
    event: int = 1
    """The place of the event in its exchange, from 1."""

    def __init__(
        self,
        session: int,
        exchange: str | None = None,
        entry: int | None = None,
        call: int | None = None,
        event: int = 1,
    ) -> None:
        self.session, self.exchange, self.entry, self.call = session, exchange, entry, call
        self.event = event


@dataclass(init=False, slots=True, unsafe_hash=True)
class AnswerRequest:
    """Send this reply, or close the connection instead."""

    session: Session
    answer: Reply | Drop

    def __init__(
        self,
        session: Session,
        answer: Reply | Drop,
    ) -> None:
        self.session, self.answer = session, answer


@dataclass(init=False, slots=True, unsafe_hash=True)
class Notify:
    """Deliver these messages: to one CometD client, or to all clients of the session if `client_id` is None.

    `deliver` names other receivers: `subscribers`, `all` or a role. With `batch` all messages are delivered together;
    without it a held poll is answered with the first one.
    """

    session: Session
    messages: tuple[JSONObject | EncodedMessage, ...]
    batch: bool = False
    client_id: str | None = None
    deliver: str = "asker"
    origins: tuple[Origin, ...] = ()
    """The origin of each message."""

    def __init__(
        self,
        session: Session,
        messages: tuple[JSONObject | EncodedMessage, ...],
        batch: bool = False,
        client_id: str | None = None,
        deliver: str = "asker",
        origins: tuple[Origin, ...] = (),
    ) -> None:
        self.session, self.messages, self.batch, self.client_id = session, messages, batch, client_id
        self.deliver, self.origins = deliver, origins


@dataclass(slots=True, unsafe_hash=True)
class EndClients:
    """End CometD clients from the server's side; `client_id` and `deliver` select them as in `Notify`."""

    session: Session
    client_id: str | None = None
    deliver: str = "asker"


Action: TypeAlias = AnswerRequest | Notify | EndClients


@dataclass(init=False, slots=True, unsafe_hash=True)
class ScheduledAction:
    """An action and its delay after its cause, in seconds at speed 1."""

    after_seconds: float
    action: Action

    def __init__(
        self,
        after_seconds: float,
        action: Action,
    ) -> None:
        self.after_seconds, self.action = after_seconds, action


copy_by_constructor(__name__)
