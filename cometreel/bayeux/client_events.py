"""What a Bayeux client orders and what it reports: everything that its user sees.

Orders are in the imperative (`Send`), things that happened in the past tense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from cometreel.bayeux.messages import Message

__all__ = [
    "Broken",
    "ClientEvent",
    "Closed",
    "Connected",
    "Established",
    "Failed",
    "Lost",
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


@dataclass(frozen=True, slots=True)
class Established:
    """A handshake succeeded: the session has this id."""

    client_id: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A `/meta/connect` succeeded for the first time, or for the first time after the connection was broken."""


class Received(NamedTuple):
    """A message was delivered."""

    message: Message


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription was confirmed."""

    channel: str


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The end of a subscription was confirmed."""

    channel: str


@dataclass(frozen=True, slots=True)
class Published:
    """A publish was acknowledged; `reply` is the acknowledgement."""

    message: Message
    reply: Message


@dataclass(frozen=True, slots=True)
class Failed:
    """A message was refused with this error, or not answered, where the error is empty."""

    message: Message
    error: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection broke; the client tries again after this many seconds."""

    retry_in: float


@dataclass(frozen=True, slots=True)
class Lost:
    """The server doesn't know the session any more; the client shakes hands again after this many seconds."""

    error: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over for good. The error is empty where the client asked for it."""

    error: str = ""


ClientEvent: TypeAlias = (
    Send | Established | Connected | Received | Subscribed | Unsubscribed | Published | Failed | Broken | Lost | Closed
)
