"""Bayeux channels: kinds, validity, and matching of patterns (Bayeux 1.0 §2.2).

All functions take names and are independent of sessions and subscriptions.
"""

from __future__ import annotations

__all__ = [
    "canonical",
    "is_broadcast",
    "is_meta",
    "is_service",
    "is_valid",
    "is_wild",
    "matches",
    "patterns_of",
]


def is_meta(channel: str) -> bool:
    """True if a channel belongs to the protocol itself."""
    return channel.startswith("/meta/")


def is_service(channel: str) -> bool:
    """True if a channel is for one client and the server, and is never broadcast."""
    return channel.startswith("/service/")


def is_broadcast(channel: str) -> bool:
    """True if messages on a channel go to every subscriber."""
    return not is_meta(channel) and not is_service(channel)


def is_wild(channel: str) -> bool:
    """True if a name is a pattern: its last segment is `*` or `**`."""
    return channel.endswith(("/*", "/**"))


def canonical(channel: str) -> str | None:
    """Return a name without surrounding spaces and without a slash at its end; None if it is invalid.

    The CometD 3.1 server accepts more names than Bayeux 1.0 §2.2: any absolute name without an empty segment, with `*`
    and `**` only as the last segment.
    """
    name = channel.strip().removesuffix("/")
    if not name.startswith("/"):
        return None
    segments = name[1:].split("/")
    if "" in segments or not {"*", "**"}.isdisjoint(segments[:-1]):
        return None
    return name


def is_valid(channel: str) -> bool:
    """True if a name can be a channel or a pattern."""
    return canonical(channel) is not None


def matches(pattern: str, channel: str) -> bool:
    """True if a subscription to `pattern` receives messages on `channel`."""
    return pattern == channel or pattern in patterns_of(channel)


def patterns_of(channel: str) -> tuple[str, ...]:
    """Return the patterns that match a channel, the most specific first: `/a/b` gives `/a/*`, `/a/**`, `/**`."""
    parents: list[str] = []
    parent = channel.rstrip("/")
    while parent:
        parent = parent.rpartition("/")[0]
        parents.append(parent)
    if not parents:
        return ()
    return (f"{parents[0]}/*", *(f"{parent}/**" for parent in parents))
