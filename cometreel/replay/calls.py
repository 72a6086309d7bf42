"""The journal of what was asked of a replay: one entry per call, the latest ones kept."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Call"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request or publish that a replay was asked to answer. Holds no cookie and no credential."""

    at: float
    """Seconds, on the clock of the door."""
    session: int
    """The arrival number of the HTTP session, from 1."""
    role: str | None
    """The recorded session that this one plays."""
    user: str | None
    """Who is logged in."""
    method: str
    """The HTTP method, or `PUBLISH`."""
    target: str
    """The path and query as sent, or the channel."""
    body: bytes
    """What was sent, decoded; for a publish its data as JSON."""
    exchange: str | None
    """The exchange that answered; None for a miss, a refusal or a responder."""
    outcome: str
    """What became of it: `played`, `responder`, `missed`, `forwarded` or `refused: …`."""
