"""The sections of a scenario that describe the server, as dictionaries with typed keys, in the names of the format.

`Scenario(bayeux={"endpoint": "/cometd"}, settings={"seed": 7})`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, TypedDict

from .model import BindBlock
from .python_values import Duration, JSONInput

__all__ = [
    "AdviceOptions",
    "BayeuxOptions",
    "CorrelationOptions",
    "FallbackOptions",
    "HandshakeOptions",
    "SessionOptions",
    "SettingsOptions",
    "SourceOptions",
]


class SourceOptions(TypedDict, total=False):
    """The origin of a scenario."""

    recorded: str | datetime
    upstream: str


class AdviceOptions(TypedDict, total=False):
    """Bayeux advice, in milliseconds as on the wire."""

    timeout: int
    interval: int


class HandshakeOptions(TypedDict, total=False):
    """The members of the reply to a successful handshake."""

    ext: Mapping[str, JSONInput]
    advice: Mapping[str, JSONInput]


class BayeuxOptions(TypedDict, total=False):
    """The behaviour of the CometD server."""

    endpoint: str
    advice: AdviceOptions
    max_interval: Duration
    max_sessions_per_browser: int
    multi_session_interval: Duration
    meta_connect_deliver_only: bool
    ack: bool
    require_cookie: bool
    on_hangup: Literal["keep", "lose"]
    deliver: Literal["all", "subscribed"]
    dialect: Literal["3.x", "4+"]
    transports: Sequence[Literal["long-polling", "callback-polling", "websocket"]]
    max_queue: int
    max_message_bytes: int
    form: bool
    handshake: HandshakeOptions


class SessionOptions(TypedDict, total=False):
    """The HTTP session of a client."""

    cookie: str
    credentials: Literal["use", "ignore"]
    anonymous: Literal["one", "address", "each"]
    max_provisional: int
    max_idle: Duration
    when_gone: Literal["drop", "keep"]
    bind: Sequence[BindBlock]


class SettingsOptions(TypedDict, total=False):
    """Defaults for the options of the replay."""

    seed: str | int
    speed: float
    repeat: Literal["last", "cycle", "fail"]
    unmatched: Literal["fail", "forward"]
    auth: Literal["open", "session", "csrf"]
    cors: str | Sequence[str]


class _RequiredOfFallback(TypedDict):
    message: Mapping[str, JSONInput]
    event: str
    request: str | Sequence[str]


class FallbackOptions(_RequiredOfFallback, total=False):
    """How to find the request of a notification without a reference number."""

    operations: Sequence[str]


class CorrelationOptions(TypedDict, total=False):
    """An inline correlation profile, which may extend an included one."""

    extends: str
    name: str
    reply: Sequence[str]
    map: Sequence[str]
    event: Sequence[str]
    request: Sequence[str]
    fallback: Sequence[FallbackOptions]
    volatile: Sequence[str]
    window: Duration
    operation: str
    owner: Sequence[str]
    owner_type: Sequence[str]
