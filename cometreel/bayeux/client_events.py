"""The events of a Bayeux client, and the `Send` command.

`Send` is a command; all other events are named in the past tense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from cometreel.bayeux.messages import Message
from cometreel.value_copies import copy_by_constructor

__all__ = [
    "ClientEvent",
    "Closed",
    "Connected",
    "ConnectionBroken",
    "Established",
    "Failed",
    "Published",
    "Received",
    "Send",
    "SessionUnknown",
    "Subscribed",
    "Unsubscribed",
]


class Send(NamedTuple):  # a named tuple, as `Received`: created per message, and three times as fast
    """Send these messages: one HTTP request, or one WebSocket frame.

    Then call `receive` with the reply, or `failed` with the number if there is no reply within `patience` seconds.
    """

    number: int
    messages: tuple[Message, ...]
    patience: float


@dataclass(slots=True, unsafe_hash=True)
class Established:
    """A handshake succeeded; the session has this id."""

    client_id: str


@dataclass(slots=True, unsafe_hash=True)
class Connected:
    """A `/meta/connect` succeeded, for the first time or for the first time after a broken connection."""


class Received(NamedTuple):
    """A message was delivered."""

    message: Message


@dataclass(slots=True, unsafe_hash=True)
class Subscribed:
    """A subscription was confirmed."""

    channel: str


@dataclass(slots=True, unsafe_hash=True)
class Unsubscribed:
    """The end of a subscription was confirmed."""

    channel: str


@dataclass(slots=True, unsafe_hash=True)
class Published:
    """A publish was acknowledged; `reply` is the acknowledgement."""

    message: Message
    reply: Message


@dataclass(slots=True, unsafe_hash=True)
class Failed:
    """A message was refused with this error; the error is empty if there was no reply."""

    message: Message
    error: str


@dataclass(slots=True, unsafe_hash=True)
class ConnectionBroken:
    """The connection broke; the client tries again after this many seconds."""

    retry_in: float


@dataclass(slots=True, unsafe_hash=True)
class SessionUnknown:
    """The server no longer knows the session; the client sends a handshake after this many seconds."""

    error: str
    retry_in: float


@dataclass(slots=True, unsafe_hash=True)
class Closed:
    """The session ended and is not renewed. The error is empty if the client ended it."""

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

copy_by_constructor(__name__)
