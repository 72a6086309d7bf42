"""Settings and states of a Bayeux client, and its next step after each reply.

The client in `client` follows the table of next steps, which depends on the server's advice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from cometreel.bayeux.message_handlers import CONNECT, HANDSHAKE
from cometreel.value_copies import copy_by_constructor

__all__ = ["NEXT_STEPS", "ClientSettings", "ClientState", "NextStep"]


class ClientState(Enum):
    """The state of a client."""

    CLOSED = auto()
    """There is no session, and none is wanted."""
    HANDSHAKING = auto()
    """A handshake is pending, or is sent after the backoff."""
    CONNECTING = auto()
    """There is a session, but no `/meta/connect` has succeeded since it started or since its connection broke."""
    CONNECTED = auto()
    """The last `/meta/connect` succeeded."""
    CLOSING = auto()
    """The client has sent a disconnect and waits for the reply."""


class NextStep(Enum):
    """The next step after the reply to a handshake or a connect."""

    CONNECT = auto()
    HANDSHAKE = auto()
    CLOSE = auto()


NEXT_STEPS: Final = MappingProxyType(
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
"""The next step by (channel, successful, current `reconnect` advice) (Bayeux 1.0 §3.4)."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Settings of a client, with the defaults of CometD's JavaScript client 3.1. Times are in seconds."""

    connection_type: str = "long-polling"
    """The transport that is sent to the server."""
    ack: bool = False
    """Request the acknowledgement extension."""
    backoff_increment: float = 1.0
    """The increase of the wait with each consecutive failure."""
    max_backoff: float = 60.0
    """The maximum of this increase."""
    max_network_delay: float = 10.0
    """The time for a reply beyond the time that the server holds it."""
    timeout: float = 60.0
    """The time that the server is expected to hold a `/meta/connect`, until it sends advice."""
    jitter: Callable[[float], float] = field(default=lambda seconds: seconds)
    """Changes the wait after a failure, to spread many clients."""


copy_by_constructor(__name__)
