"""What a Bayeux server can be set to, with the defaults of the Java CometD 3.1 server.

This room holds plain values in seconds and bytes; the YAML's milliseconds are converted before they come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["BayeuxSettings", "DialectName", "TransportName"]

TransportName: TypeAlias = Literal["websocket", "long-polling", "callback-polling"]
DialectName: TypeAlias = Literal["3.x", "4+"]


@dataclass(frozen=True, slots=True)
class BayeuxSettings:
    """How one Bayeux endpoint behaves. Times are seconds, sizes are bytes."""

    endpoint: str = "/cometd"
    """Path of the endpoint: it serves the path itself, the path with a slash, and everything below it."""
    timeout: float = 30.0
    """How long a `/meta/connect` is held when nothing happens (CometD `timeout`)."""
    interval: float = 0.0
    """How long a client is told to wait before the next `/meta/connect` (CometD `interval`)."""
    max_interval: float = 10.0
    """How long a session lives, beyond `interval`, without a held poll or a message (CometD `maxInterval`)."""
    max_sessions_per_browser: int = 1
    """How many sessions of one browser cookie may hold a poll at once; negative means any number."""
    multi_session_interval: float = 2.0
    """The interval advised to the sessions above that number; 0 or less ends them instead."""
    meta_connect_deliver_only: bool = False
    """Deliver messages on `/meta/connect` replies only, as with the ack extension."""
    ack: bool = True
    """Whether the acknowledgement extension is there for clients that ask for it."""
    require_cookie: bool = True
    """Answer 402 to a message that comes without the browser cookie of its session."""
    on_hangup: Literal["keep", "lose"] = "keep"
    """What becomes of messages written to a client that has hung up, without ack: kept, or lost as on real servers."""
    deliver: Literal["all", "subscribed"] = "all"
    """Whether `deliver` checks subscriptions; real servers don't."""
    dialect: DialectName = "3.x"
    """Spelling of the error strings."""
    transports: tuple[TransportName, ...] = ("long-polling", "callback-polling", "websocket")
    """The transports that are served, in the order in which a handshake announces them."""
    max_queue: int = 10_000
    """How many messages wait for a session at most; the oldest go first, with a warning."""
    max_message_bytes: int = 8 * 1024 * 1024
    """The largest request body or WebSocket frame that is read."""
    cookie_name: str = "BAYEUX_BROWSER"
    """Name of the browser cookie."""
    cookie_attributes: str = "Path=/; HttpOnly"
    """Attributes of the browser cookie as written after its value."""
