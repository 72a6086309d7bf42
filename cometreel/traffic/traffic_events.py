"""The values that traffic files are converted to and from: events of a file that is read, transactions to write.

All times are seconds since 1970. No dependency on a file format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cometreel.wire import Headers, Reply, Request

__all__ = [
    "ReplyReceived",
    "RequestFailed",
    "RequestSent",
    "SimulatedTraffic",
    "SkipReporter",
    "TrafficEvent",
    "TrafficEvents",
    "Transaction",
    "WebSocketClosed",
    "WebSocketMessage",
    "WebSocketOpened",
    "headers_of",
    "is_asset",
    "is_far",
]

SkipReporter: TypeAlias = Callable[[str], None]
"""Called with the reason, without values, for each part of a file that is skipped."""

_LONGEST_SECONDS = 30 * 86400

_ASSET = re.compile(r"\s*((text|application)/(x-)?javascript|text/css|(image|font|audio|video)/|application/(x-)?font)")
_FRAMING = frozenset({"content-encoding", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class RequestSent:
    """A request. If `wanted` is true it is recorded even if it isn't CometD.

    The body is None for the reason `missing`, or if the file doesn't contain it.
    """

    at: float
    flow: str
    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes | None = field(repr=False)
    wanted: bool = True
    missing: str = ""


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """A complete reply. The body is None for the reason `missing`, or if the file doesn't contain it."""

    at: float
    flow: str
    status: int
    headers: Headers = field(repr=False)
    body: bytes | None = field(repr=False)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request without a reply."""

    at: float
    flow: str
    reason: str


@dataclass(frozen=True, slots=True)
class WebSocketOpened:
    """An upgrade to a WebSocket, with the header fields of the request and of its reply."""

    at: float
    flow: str
    url: str
    headers: Headers = field(repr=False)
    reply_headers: Headers = field(default=Headers(), repr=False)
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class WebSocketMessage:
    """A WebSocket message in either direction."""

    at: float
    flow: str
    from_client: bool
    content: str | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebSocketClosed:
    """The end of a WebSocket, with its close code."""

    at: float
    flow: str
    code: int


TrafficEvent: TypeAlias = (
    RequestSent | ReplyReceived | RequestFailed | WebSocketOpened | WebSocketMessage | WebSocketClosed
)
TrafficEvents: TypeAlias = Sequence[TrafficEvent]
"""All events of one request or one WebSocket, ordered by time; at least one."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A request and its reply, or None if the client closed the connection first."""

    at: float
    request: Request
    ended: float
    reply: Reply | None


@dataclass(frozen=True, slots=True)
class SimulatedTraffic:
    """The transactions of a scenario, ordered by the time of the request, and notes about what they don't show."""

    title: str
    transactions: tuple[Transaction, ...]
    notes: tuple[str, ...]


def headers_of(fields: Iterable[tuple[str, str]], *, decoded: bool) -> Headers:
    """Return header fields without HTTP/2 pseudo-fields; with `decoded`, also without those that describe the framing.

    Chrome joins several Set-Cookie fields with line feeds; they are separated.
    """
    return Headers(
        (name, line)
        for name, value in fields
        if not name.startswith(":") and not (decoded and name.lower() in _FRAMING)
        for line in value.split("\n")
    )


def is_far(time: float, other: float) -> bool:
    """Return True if two times can't be from one recording: they are more than 30 days apart."""
    return not abs(time - other) <= _LONGEST_SECONDS  # also for NaN


def is_asset(content_type: str) -> bool:
    """Return True for scripts, styles, images, fonts, audio and video."""
    return _ASSET.match(content_type.lower()) is not None
