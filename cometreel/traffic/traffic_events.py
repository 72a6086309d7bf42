"""What a file of traffic tells, step by step: the calls that a recorder is given, as values with their times.

Knows neither HAR nor mitmproxy, reads nothing and records nothing.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cometreel.wire import Headers

__all__ = [
    "ReplyReceived",
    "RequestSent",
    "WebSocketClosed",
    "RequestFailed",
    "WebSocketOpened",
    "WebSocketMessage",
    "TrafficEvent",
    "TrafficEvents",
    "headers_of",
    "in_order",
    "is_asset",
]

_ASSET = re.compile(r"\s*((text|application)/(x-)?javascript|text/css|(image|font|audio|video)/|application/(x-)?font)")
_FRAMING = frozenset({"content-encoding", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class RequestSent:
    """A request. `at` is seconds since 1970, in every step; `wanted` says that it is kept although it isn't CometD."""

    at: float
    flow: str
    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes | None = field(repr=False)
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """The reply of a request, when it was complete; a body of None isn't in the file."""

    at: float
    flow: str
    status: int
    headers: Headers = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request that got no reply."""

    at: float
    flow: str
    why: str


@dataclass(frozen=True, slots=True)
class WebSocketOpened:
    """A WebSocket was opened."""

    at: float
    flow: str
    url: str
    headers: Headers = field(repr=False)
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class WebSocketMessage:
    """One message of a WebSocket."""

    at: float
    flow: str
    from_client: bool
    content: str | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebSocketClosed:
    """The end of a WebSocket."""

    at: float
    flow: str
    code: int


TrafficEvent: TypeAlias = (
    RequestSent | ReplyReceived | RequestFailed | WebSocketOpened | WebSocketMessage | WebSocketClosed
)
TrafficEvents: TypeAlias = Sequence[TrafficEvent]
"""Everything that belongs to one request or one WebSocket, in the order of time; at least one step."""


def in_order(stories: Iterable[TrafficEvents]) -> Iterator[TrafficEvent]:
    """Give the steps of all stories in the order of time, if the stories come in the order of their first steps.

    Only what still goes on is held in memory. A story that comes too late is told late, with its own times.
    """
    waiting: list[tuple[float, int, TrafficEvent]] = []
    number = 0
    for story in stories:
        while waiting and waiting[0][0] <= story[0].at:
            yield heapq.heappop(waiting)[2]
        for step in story:
            heapq.heappush(waiting, (step.at, number, step))
            number += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def headers_of(fields: Iterable[tuple[str, str]], *, decoded: bool) -> Headers:
    """Make header fields; those that say how a body was packed go where it was `decoded`.

    The pseudo-fields of HTTP/2 (`:authority`) are none. Chrome writes several Set-Cookie as one, a line for each.
    """
    return Headers(
        (name, line)
        for name, value in fields
        if not name.startswith(":") and not (decoded and name.lower() in _FRAMING)
        for line in value.split("\n")
    )


def is_asset(content_type: str) -> bool:
    """Tell what pages are made of (scripts, styles, pictures, fonts) from what applications say."""
    return _ASSET.match(content_type.lower()) is not None
