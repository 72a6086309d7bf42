"""One request and its reply, with their times: what formats of traffic are made of."""

from __future__ import annotations

from dataclasses import dataclass

from cometreel.wire import Reply, Request

__all__ = ["Spoken"]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A request and its reply, None where none came. Times are seconds since 1970."""

    at: float
    request: Request
    ended: float
    reply: Reply | None
