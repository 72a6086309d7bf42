"""HTTP on one line: requests one after the other, each told its reply or why there is none. No Bayeux may enter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from cometreel.locust_agents.connection import Connection, ConnectionLoss
from cometreel.locust_agents.event_loop import EventLoop, Timer, clock
from cometreel.locust_agents.http_client import BrokenReply, HttpReply, ReplyParser
from cometreel.locust_agents.load_target import LoadTarget

__all__ = ["QueuedRequest", "RequestQueue", "ReplyOrLoss", "RequestSender"]

ReplyOrLoss: TypeAlias = HttpReply | ConnectionLoss
"""What became of a request."""


@dataclass(slots=True)
class QueuedRequest:
    """One request: its bytes, the seconds it waits for a reply once sent, who is told when it is sent and answered."""

    request: bytes
    patience: float
    on_done: Callable[[ReplyOrLoss, float], None]
    on_sent: Callable[[float], None] | None = None


class RequestSender(Protocol):
    """What takes requests one after the other: an `RequestQueue`, or in a test one that is answered by hand."""

    @property
    def busy(self) -> bool:
        """Whether a request is waiting for its reply."""

    def send(self, queued: QueuedRequest) -> None:
        """Send a request when its turn comes."""

    def close(self) -> None:
        """End the connection; nobody is told anything any more."""


_IDLE_PARSERS: Final[list[ReplyParser]] = []
"""Readers that are within no reply: an idle connection has none, of thousands few are read at once."""


class RequestQueue:
    """A queue of requests on one connection; the next is sent when the one before has its reply."""

    def __init__(self, event_loop: EventLoop, target: LoadTarget) -> None:
        self._event_loop = event_loop
        self._connection = Connection(event_loop, target, self)
        self._parser: ReplyParser | None = None  # while it is within a reply
        self._waiting: list[QueuedRequest] = []  # nearly always empty, and an empty deque is ten times as large
        self._current: QueuedRequest | None = None
        self._due = 0.0
        self._timer: Timer | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a request is waiting for its reply."""
        return self._current is not None

    def send(self, queued: QueuedRequest) -> None:
        """Send a request when its turn comes; after `close` it is told at once that it won't be."""
        if self._closed:
            queued.on_done(ConnectionLoss.STOPPED, clock())
            return
        if self._current is None and not self._waiting:
            self._start(queued)
        else:
            self._waiting.append(queued)
            self._next()

    def close(self) -> None:
        """End the connection; nobody is told anything any more."""
        self._closed, self._current = True, None
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()

    def _next(self) -> None:
        if self._waiting and self._current is None:
            self._start(self._waiting.pop(0))

    def _start(self, queued: QueuedRequest) -> None:
        self._current = queued
        if not self._connection.is_open:
            self._parser = None
        now = clock()
        self._due = now + queued.patience
        if queued.on_sent is not None:
            queued.on_sent(now)
        self._connection.send(queued.request)
        queued.request = b""  # it may wait for long, and the line has it
        if self._timer is None or self._timer.due > self._due:
            self._set_timer()

    # ------------------------------------------------------------------ what the line brings
    def data_received(self, data: bytes, now: float) -> None:
        """Take bytes."""
        parser = self._parser or (_IDLE_PARSERS.pop() if _IDLE_PARSERS else ReplyParser())
        try:
            replies = parser.feed(data)
        except BrokenReply:
            self._connection.close()
            self._complete(ConnectionLoss.NOT_HTTP, now)
            return
        if parser.idle:
            self._parser = None
            _IDLE_PARSERS.append(parser)
        else:
            self._parser = parser
        for reply in replies:
            if reply.last or self._current is None:  # a reply to nothing: what follows on this connection means nothing
                self._connection.close()
            self._complete(reply, now)

    def connection_lost(self, loss: ConnectionLoss) -> None:
        """Take the end of the connection; a reply may have needed just that."""
        now = clock()
        try:
            replies = self._parser.end() if self._parser is not None else []
        except BrokenReply:
            replies = []
        if replies and self._current is not None:
            self._complete(replies[0], now)
        else:
            self._complete(loss, now)

    def _complete(self, outcome: ReplyOrLoss, now: float) -> None:
        """Tell who asked, then go on: what it asks for in turn comes behind what waits already."""
        queued, self._current = self._current, None
        if queued is not None:
            try:
                queued.on_done(outcome, now)
            finally:
                if self._waiting:
                    self._next()

    # ------------------------------------------------------------------ patience
    def _set_timer(self) -> None:
        """One timer serves all requests: it is set anew when it finds that it rang too early."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._event_loop.call_at(self._due, self._time_out)

    def _time_out(self, now: float) -> None:
        self._timer = None
        if self._current is None:
            return
        if self._due > now:
            self._set_timer()
            return
        self._connection.close()  # the reply may still come, and would be taken for the next one's
        self._complete(ConnectionLoss.NO_REPLY, now)
