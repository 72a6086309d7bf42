"""The state and the limits that all connections of a server share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol

from starlette.types import ASGIApp

from cometreel.serve.app import ReplayApp
from cometreel.serve.request_parser import KnownHeads, ParsedHead, RequestParser
from cometreel.serve.response_writer import ReplyBatch

__all__ = ["Limits", "OpenConnection", "PausableConnection", "ServerContext"]

KNOWN_HEADS: Final = 16_000_000  # bytes
MAX_IDLE_PARSERS: Final = 100


class OpenConnection(Protocol):
    """An open connection, as the server uses it."""

    read_deadline: float
    """The time of the event loop until which the client must send something, or `inf`; after it, call `expire`."""
    write_deadline: float
    """The time until which the client must read something, or `inf`; after it, call `expire`."""

    def expire(self, now: float) -> None:
        """Close the connection, because a deadline has passed."""

    def stop(self) -> None:
        """Close the connection when its current request is answered."""

    def abort(self) -> None:
        """Close immediately; unwritten bytes are discarded."""


class PausableConnection(asyncio.Protocol):
    """A connection that can stop reading from its client, for example while an ASGI application doesn't take more."""

    __slots__ = ("_is_reading_paused", "_transport")
    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._is_reading_paused = False

    def pause_reading(self) -> None:
        """Read nothing from the client for now."""
        if not self._is_reading_paused:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._is_reading_paused:
            self._is_reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server for its clients."""

    connections: int
    """The maximum number of open connections; another one gets 503."""
    request_seconds: float = 60.0
    """The maximum time for receiving a request, head and body; then it gets 408."""
    write_seconds: float = 60.0
    """The maximum time that a client may not read its response; then its connection is closed."""
    frame_bytes: int = 16 * 1024 * 1024
    """The maximum size of a WebSocket message; a larger one closes its connection."""


@dataclass(slots=True, eq=False)
class ServerContext:
    """The state that the connections of one server share.

    `app` serves every request, except that the connections answer those of a `ReplayApp` themselves: `replay` is this
    application, or None.
    """

    app: ASGIApp
    limits: Limits
    loop: asyncio.AbstractEventLoop
    secure: bool = False
    is_stopping: bool = False
    """True if connections close after their next answer."""
    connections: set[OpenConnection] = field(default_factory=set)
    tasks: set[asyncio.Future[None]] = field(default_factory=set)
    known_heads: KnownHeads = field(default_factory=lambda: KnownHeads(KNOWN_HEADS))
    replay: ReplayApp | None = field(init=False)
    replies: ReplyBatch = field(init=False)
    _idle_parsers: list[RequestParser] = field(default_factory=list)

    def __post_init__(self) -> None:
        # a subclass may override `__call__`, so it is called like any other application
        self.replay = self.app if type(self.app) is ReplayApp else None
        self.replies = ReplyBatch(self.loop)

    def take_parser(self) -> RequestParser:
        """Return a parser that no connection uses."""
        return self._idle_parsers.pop() if self._idle_parsers else RequestParser()

    def release_parser(self, parser: RequestParser) -> None:
        """Take back a parser that is between two requests."""
        if len(self._idle_parsers) < MAX_IDLE_PARSERS:
            self._idle_parsers.append(parser)

    def start(self, task: asyncio.Future[None]) -> None:
        """Keep a task until it ends."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def is_direct(self, head: ParsedHead) -> bool:
        """True if the driver answers this request, as soon as its body is complete and without a look at its fields."""
        replay = self.replay
        return (
            replay is not None
            and not replay.is_admin(head.decoded_path)
            and not (replay.cors is not None and head.method == "OPTIONS")
            and head.headers.get("content-encoding") is None
            and head.length <= replay.max_body
        )
