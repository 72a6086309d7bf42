"""The differences of CometD 3.x and CometD 4+: the error strings, and the status of a reply to a blank body.

The settings of a server select the dialect.
"""

from __future__ import annotations

from dataclasses import dataclass

from cometreel.value_copies import copy_by_constructor

__all__ = ["Dialect", "dialect"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The error strings (`code:arguments:text`, Bayeux 1.0 §6.4) and other answers of one version of CometD."""

    session_unknown: str
    handshake_denied: str
    create_denied: str
    publish_create_denied: str
    subscribe_denied: str
    blank_body_status: int
    """The HTTP status of the reply to a POST with an empty or blank body."""
    channel_missing: str = "400::channel_missing"
    subscription_missing: str = "403::subscription_missing"
    subscription_invalid: str = "403::subscription_invalid"


_REASON = "403:denied_by_security_policy"
_DIALECTS = {
    "3.x": Dialect(
        session_unknown="402::Unknown client",
        handshake_denied="403::Handshake denied",
        create_denied=f"{_REASON}:create_denied",
        publish_create_denied=f"{_REASON}:create denied",
        subscribe_denied=f"{_REASON}:subscribe_denied",
        blank_body_status=200,
    ),
    "4+": Dialect(
        session_unknown="402::session_unknown",
        handshake_denied="403::handshake_denied",
        create_denied=f"{_REASON}:create_denied",
        publish_create_denied=f"{_REASON}:create_denied",
        subscribe_denied=f"{_REASON}:subscribe_denied",
        blank_body_status=500,  # since 5.0.3, which parses a body while it arrives
    ),
}


def dialect(name: str) -> Dialect:
    """Return a dialect by its name in the settings, `3.x` or `4+`."""
    return _DIALECTS[name]


copy_by_constructor(__name__)
