"""HTTP requests on one connection, one after the other. Each gets a reply or the reason why there is none."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from cometreel.locust_agents.connection import Connection, ConnectionLoss
from cometreel.locust_agents.event_loop import EventLoop, Timer, clock
from cometreel.locust_agents.http_client import BrokenReply, HttpReply, ReplyParser, known_reply
from cometreel.locust_agents.load_target import LoadTarget

__all__ = ["CallbackRequest", "QueuedRequest", "ReplyOrLoss", "RequestQueue", "RequestSender"]

ReplyOrLoss: TypeAlias = HttpReply | ConnectionLoss
"""The outcome of a request."""


class QueuedRequest:
    """A request with its timeout in seconds after it was sent. `on_sent` and `on_done` are called with its outcome."""

    __slots__ = ("patience", "request")

    def __init__(self, request: bytes, patience: float) -> None:
        self.request = request
        self.patience = patience

    def on_sent(self, now: float) -> None:  # most requests have nothing to do
        """Handle the sending of the request."""

    @abstractmethod
    def on_done(self, outcome: ReplyOrLoss, now: float) -> None:
        """Handle the outcome of the request."""


class CallbackRequest(QueuedRequest):
    """A request that calls a function with its outcome."""

    __slots__ = ("_call",)

    def __init__(self, request: bytes, patience: float, call: Callable[[ReplyOrLoss, float], None]) -> None:
        super().__init__(request, patience)
        self._call = call

    def on_done(self, outcome: ReplyOrLoss, now: float) -> None:
        """Call the function."""
        self._call(outcome, now)


class RequestSender(Protocol):
    """Sends requests one after the other: a `RequestQueue`, or a fake in tests."""

    @property
    def busy(self) -> bool:
        """True if a request waits for its reply."""

    def send(self, queued: QueuedRequest) -> None:
        """Send a request after those in the queue."""

    def close(self) -> None:
        """Close the connection; no more callbacks are called."""


_IDLE_PARSERS: Final[list[ReplyParser]] = []
"""Unused parsers. Idle connections have none, since few of thousands are read at the same time."""


class RequestQueue:
    """A queue of requests on one connection. A request is sent when the one before it has its reply."""

    def __init__(self, event_loop: EventLoop, target: LoadTarget) -> None:
        self._event_loop = event_loop
        self._connection = Connection(event_loop, target, self)
        self._parser: ReplyParser | None = None  # set while a reply is incomplete
        self._waiting: list[
            QueuedRequest
        ] = []  # nearly always empty, and an empty deque takes ten times as much memory
        self._current: QueuedRequest | None = None
        self._due = 0.0
        self._timer: Timer | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """True if a request waits for its reply."""
        return self._current is not None

    def send(self, queued: QueuedRequest) -> None:
        """Send a request after those in the queue. After `close`, it fails at once."""
        if self._closed:
            queued.on_done(ConnectionLoss.STOPPED, clock())
            return
        if self._current is None and not self._waiting:
            self._start(queued)
        else:
            self._waiting.append(queued)
            self._next()

    def close(self) -> None:
        """Close the connection; no more callbacks are called."""
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
        queued.on_sent(now)
        self._connection.send(queued.request)
        queued.request = b""  # frees memory: the request may wait for a long time
        if self._timer is None or self._timer.due > self._due:
            self._set_timer()

    # ------------------------------------------------------------------ events of the connection
    def data_received(self, data: bytes, now: float) -> None:
        """Handle data."""
        if self._parser is None and self._current is not None:
            known = known_reply(data)
            if known is not None:
                self._complete(known, now)
                return
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
            if (
                reply.last or self._current is None
            ):  # a reply without a request: later data on this connection has no meaning
                self._connection.close()
            self._complete(reply, now)

    def connection_lost(self, loss: ConnectionLoss) -> None:
        """Handle the end of the connection, which may complete a reply."""
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
        """Call the callback, then send the next request. Requests from the callback go to the end of the queue."""
        queued, self._current = self._current, None
        if queued is not None:
            try:
                queued.on_done(outcome, now)
            finally:
                if self._waiting:
                    self._next()

    # ------------------------------------------------------------------ timeout
    def _set_timer(self) -> None:
        """Set the timer of this connection. If it fires too early, it is set again."""
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
        self._connection.close()  # a late reply would be taken for the reply to the next request
        self._complete(ConnectionLoss.NO_REPLY, now)
