"""Bayeux channels: their kinds, their validity, and which patterns match which (Bayeux 1.0 §2.2).

Names only; nothing here knows who subscribes.
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
    """Tell whether a channel belongs to the protocol itself."""
    return channel.startswith("/meta/")


def is_service(channel: str) -> bool:
    """Tell whether a channel is for one client and the server, never broadcast."""
    return channel.startswith("/service/")


def is_broadcast(channel: str) -> bool:
    """Tell whether messages on a channel go to every subscriber."""
    return not is_meta(channel) and not is_service(channel)


def is_wild(channel: str) -> bool:
    """Tell whether a name is a pattern: its last segment is `*` or `**`."""
    return channel.endswith(("/*", "/**"))


def canonical(channel: str) -> str | None:
    """Give the one spelling of a name: without spaces around it and without a slash at its end; None if invalid.

    Valid is what the CometD 3.1 server takes, which is more than Bayeux 1.0 §2.2: an absolute name, no segment of it
    empty, `*` and `**` only as the last one.
    """
    name = channel.strip().removesuffix("/")
    if not name.startswith("/"):
        return None
    segments = name[1:].split("/")
    if "" in segments or not {"*", "**"}.isdisjoint(segments[:-1]):
        return None
    return name


def is_valid(channel: str) -> bool:
    """Tell whether a name can be a channel or a pattern."""
    return canonical(channel) is not None


def matches(pattern: str, channel: str) -> bool:
    """Tell whether a subscription to `pattern` receives what is published on `channel`."""
    return pattern == channel or pattern in patterns_of(channel)


def patterns_of(channel: str) -> tuple[str, ...]:
    """Give the patterns that match a channel, the nearest first: `/a/b` gives `/a/*`, `/a/**`, `/**`."""
    parents: list[str] = []
    parent = channel.rstrip("/")
    while parent:
        parent = parent.rpartition("/")[0]
        parents.append(parent)
    if not parents:
        return ()
    return (f"{parents[0]}/*", *(f"{parent}/**" for parent in parents))
