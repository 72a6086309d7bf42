"""The Bayeux protocol (CometD), sans-IO: messages, channels, a server and a client.

Methods take the time as `now` (seconds, monotonic) and return effects or events. The package opens no socket, never
sleeps, reads no clock and draws no random number. It is independent of scenarios and recordings.

The client is imported when it is first used, so that a server starts sooner.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from cometreel.bayeux.application import (
    NO_DATA,
    AllowAll,
    Application,
    DropReason,
    EndReason,
    PolicyResult,
    PublishResult,
)
from cometreel.bayeux.channels import (
    canonical,
    is_broadcast,
    is_meta,
    is_service,
    is_valid,
    is_wild,
    matches,
    patterns_of,
)
from cometreel.bayeux.dialects import Dialect, dialect
from cometreel.bayeux.messages import (
    MalformedMessages,
    Message,
    NoMessages,
    NullMessage,
    looks_like_bayeux,
    parse_messages,
)
from cometreel.bayeux.outbox import EncodedMessage
from cometreel.bayeux.server import BayeuxServer, BayeuxSessionInfo
from cometreel.bayeux.settings import BayeuxSettings, DialectName, HandshakeMembers, TransportName

if TYPE_CHECKING:
    from cometreel.bayeux.client import BayeuxClient
    from cometreel.bayeux.client_events import (
        ClientEvent,
        Closed,
        Connected,
        ConnectionBroken,
        Established,
        Failed,
        Published,
        Received,
        Send,
        SessionUnknown,
        Subscribed,
        Unsubscribed,
    )
    from cometreel.bayeux.client_states import ClientSettings, ClientState

__all__ = [
    "NO_DATA",
    "AllowAll",
    "Application",
    "BayeuxClient",
    "BayeuxServer",
    "BayeuxSessionInfo",
    "BayeuxSettings",
    "ClientEvent",
    "ClientSettings",
    "ClientState",
    "Closed",
    "Connected",
    "ConnectionBroken",
    "Dialect",
    "DialectName",
    "DropReason",
    "EncodedMessage",
    "EndReason",
    "Established",
    "Failed",
    "HandshakeMembers",
    "MalformedMessages",
    "Message",
    "NoMessages",
    "NullMessage",
    "PolicyResult",
    "PublishResult",
    "Published",
    "Received",
    "Send",
    "SessionUnknown",
    "Subscribed",
    "TransportName",
    "Unsubscribed",
    "canonical",
    "dialect",
    "is_broadcast",
    "is_meta",
    "is_service",
    "is_valid",
    "is_wild",
    "looks_like_bayeux",
    "matches",
    "parse_messages",
    "patterns_of",
]

_CLIENT_MODULES = ("client", "client_events", "client_states")


def __getattr__(name: str) -> object:
    """Import the name from the client's modules.

    :raises AttributeError: for every other name.
    """
    if name in __all__:
        for module in _CLIENT_MODULES:
            imported = importlib.import_module(f"{__name__}.{module}")
            if name in imported.__all__:
                found: object = getattr(imported, name)
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
