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

__all__ = ["AFTER", "ClientSettings", "ClientState", "NextStep"]


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


class NextStep(Enum):
    """What follows an answer to a handshake or a connect."""

    CONNECT = auto()
    HANDSHAKE = auto()
    CLOSE = auto()


AFTER: Final = MappingProxyType(
    {
        (HANDSHAKE, True, "retry"): NextStep.CONNECT,
        (HANDSHAKE, True, "handshake"): NextStep.CONNECT,
        (HANDSHAKE, True, "none"): NextStep.CLOSE,
        (HANDSHAKE, False, "retry"): NextStep.HANDSHAKE,
        (HANDSHAKE, False, "handshake"): NextStep.HANDSHAKE,
        (HANDSHAKE, False, "none"): NextStep.CLOSE,
        (CONNECT, True, "retry"): NextStep.CONNECT,
        (CONNECT, True, "handshake"): NextStep.HANDSHAKE,
        (CONNECT, True, "none"): NextStep.CLOSE,
        (CONNECT, False, "retry"): NextStep.CONNECT,
        (CONNECT, False, "handshake"): NextStep.HANDSHAKE,
        (CONNECT, False, "none"): NextStep.CLOSE,
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
