"""What a Bayeux client can be set to, the states it goes through, and what it does after each answer.

Values and tables only; the client that lives by them is in `client`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from cometreel.bayeux.rules import CONNECT, HANDSHAKE

__all__ = ["AFTER", "ClientSettings", "ClientState", "Next"]


class ClientState(Enum):
    """Where a client stands."""

    CLOSED = auto()
    """There is no session and none is wanted."""
    HANDSHAKING = auto()
    """A handshake is under way, or will be when the backoff is over."""
    CONNECTING = auto()
    """There is a session, and no `/meta/connect` of it has succeeded since it began or since it broke."""
    CONNECTED = auto()
    """The last `/meta/connect` succeeded."""
    CLOSING = auto()
    """The client said goodbye and waits for the answer."""


class Next(Enum):
    """What follows an answer to a handshake or a connect."""

    CONNECT = auto()
    HANDSHAKE = auto()
    CLOSE = auto()


AFTER: Final = MappingProxyType(
    {
        (HANDSHAKE, True, "retry"): Next.CONNECT,
        (HANDSHAKE, True, "handshake"): Next.CONNECT,
        (HANDSHAKE, True, "none"): Next.CLOSE,
        (HANDSHAKE, False, "retry"): Next.HANDSHAKE,
        (HANDSHAKE, False, "handshake"): Next.HANDSHAKE,
        (HANDSHAKE, False, "none"): Next.CLOSE,
        (CONNECT, True, "retry"): Next.CONNECT,
        (CONNECT, True, "handshake"): Next.HANDSHAKE,
        (CONNECT, True, "none"): Next.CLOSE,
        (CONNECT, False, "retry"): Next.CONNECT,
        (CONNECT, False, "handshake"): Next.HANDSHAKE,
        (CONNECT, False, "none"): Next.CLOSE,
    }
)
"""What to do after an answer: (channel, successful, the `reconnect` advice in force) (Bayeux 1.0 §3.4)."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How a client behaves, with the defaults of CometD's JavaScript client 3.1. Times are seconds."""

    connection_type: str = "long-polling"
    """The transport that is told to the server."""
    ack: bool = False
    """Ask for the acknowledgement extension."""
    backoff_increment: float = 1.0
    """By how much the wait grows with each failure in a row."""
    max_backoff: float = 60.0
    """Where it stops growing."""
    max_network_delay: float = 10.0
    """How long an answer may take beyond the time that the server holds it."""
    timeout: float = 60.0
    """How long the server is thought to hold a `/meta/connect` until it says."""
    jitter: Callable[[float], float] = field(default=lambda seconds: seconds)
    """Turns a wait after a failure into the one that is kept, to spread many clients."""
