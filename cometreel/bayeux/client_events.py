"""What a Bayeux client orders and what it reports: everything that its user sees.

Orders are in the imperative (`Send`), things that happened in the past tense.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from cometreel.bayeux.messages import Message
from cometreel.immutable import immutable

__all__ = [
    "ConnectionBroken",
    "ClientEvent",
    "Closed",
    "Connected",
    "Established",
    "Failed",
    "SessionUnknown",
    "Published",
    "Received",
    "Send",
    "Subscribed",
    "Unsubscribed",
]


class Send(NamedTuple):  # it and `Received` are made for each message, and a named tuple is made thrice as fast
    """Send these messages: one HTTP request, or one WebSocket frame.

    Then call `receive` with what is answered, or `failed` with the number if nothing is within `patience` seconds.
    """

    number: int
    messages: tuple[Message, ...]
    patience: float


@immutable
class Established:
    """A handshake succeeded: the session has this id."""

    client_id: str


@immutable
class Connected:
    """A `/meta/connect` succeeded for the first time, or for the first time after the connection was broken."""


class Received(NamedTuple):
    """A message was delivered."""

    message: Message


@immutable
class Subscribed:
    """A subscription was confirmed."""

    channel: str


@immutable
class Unsubscribed:
    """The end of a subscription was confirmed."""

    channel: str


@immutable
class Published:
    """A publish was acknowledged; `reply` is the acknowledgement."""

    message: Message
    reply: Message


@immutable
class Failed:
    """A message was refused with this error, or not answered, where the error is empty."""

    message: Message
    error: str


@immutable
class ConnectionBroken:
    """The connection broke; the client tries again after this many seconds."""

    retry_in: float


@immutable
class SessionUnknown:
    """The server doesn't know the session any more; the client shakes hands again after this many seconds."""

    error: str
    retry_in: float


@immutable
class Closed:
    """The session is over for good. The error is empty where the client asked for it."""

    error: str = ""


ClientEvent: TypeAlias = (
    Send
    | Established
    | Connected
    | Received
    | Subscribed
    | Unsubscribed
    | Published
    | Failed
    | ConnectionBroken
    | SessionUnknown
    | Closed
)
