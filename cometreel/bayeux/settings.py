"""Settings of a Bayeux server, with the defaults of the Java CometD 3.1 server.

Times are in seconds and sizes in bytes; the milliseconds of scenario files are converted before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cometreel.jsonvalue import JSONObject
from cometreel.value_copies import copy_by_constructor

__all__ = ["BayeuxSettings", "DialectName", "HandshakeMembers", "TransportName"]

TransportName: TypeAlias = Literal["websocket", "long-polling", "callback-polling"]
DialectName: TypeAlias = Literal["3.x", "4+"]


@dataclass(frozen=True, slots=True)
class HandshakeMembers:
    """The `ext` and `advice` of the reply to a successful handshake; None is absent."""

    ext: JSONObject | None = None
    advice: JSONObject | None = None


@dataclass(frozen=True, slots=True)
class BayeuxSettings:
    """The settings of one Bayeux endpoint. Times are in seconds, sizes in bytes."""

    endpoint: str = "/cometd"
    """The path of the endpoint. It serves this path, the path with a slash, and everything below it."""
    timeout: float = 30.0
    """The maximum time that a `/meta/connect` is held (CometD `timeout`)."""
    interval: float = 0.0
    """The time that a client waits before the next `/meta/connect` (CometD `interval`)."""
    max_interval: float = 10.0
    """The lifetime of a session, beyond `interval`, without a held poll or a message (CometD `maxInterval`)."""
    max_sessions_per_browser: int = 1
    """The maximum number of sessions with one browser cookie that hold a poll; negative means any number."""
    multi_session_interval: float = 2.0
    """The interval advised to the sessions above this number; 0 or less ends them instead."""
    meta_connect_deliver_only: bool = False
    """Deliver messages on `/meta/connect` replies only, as with the ack extension."""
    ack: bool = True
    """Offer the acknowledgement extension."""
    require_cookie: bool = True
    """Answer 402 to a message without the browser cookie of its session."""
    on_hangup: Literal["keep", "lose"] = "keep"
    """Keep or lose messages that were written to a disconnected client without ack; real servers lose them."""
    deliver: Literal["all", "subscribed"] = "all"
    """Check subscriptions in `deliver` or not; real servers don't."""
    dialect: DialectName = "3.x"
    """The spelling of the error strings."""
    transports: tuple[TransportName, ...] = ("long-polling", "callback-polling", "websocket")
    """The supported transports, in the order in which a handshake reply lists them."""
    max_queue: int = 10_000
    """The maximum number of queued messages of a session; the oldest are dropped, with a warning."""
    max_message_bytes: int = 8 * 1024 * 1024
    """The maximum size of a request body or WebSocket frame."""
    form: bool = False
    """Accept messages in a URL-encoded form; otherwise such a request gets 400."""
    handshake: HandshakeMembers | None = None
    """The members of the reply to a handshake, sent as they are; None sends the advice and negotiates ack."""
    cookie_name: str = "BAYEUX_BROWSER"
    """The name of the browser cookie."""
    cookie_attributes: str = "Path=/; HttpOnly"
    """The attributes of the browser cookie, as written after its value."""


copy_by_constructor(__name__)
