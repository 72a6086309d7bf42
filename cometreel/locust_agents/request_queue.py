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
    done: Callable[[ReplyOrLoss, float], None]
    began: Callable[[float], None] | None = None


class RequestSender(Protocol):
    """What takes requests one after the other: an `RequestQueue`, or in a test one that is answered by hand."""

    @property
    def busy(self) -> bool:
        """Whether a request is waiting for its reply."""

    def ask(self, asking: QueuedRequest) -> None:
        """Send a request when its turn comes."""

    def close(self) -> None:
        """End the connection; nobody is told anything any more."""


_RESTING: Final[list[ReplyParser]] = []
"""Readers that are within no reply: an idle connection has none, of thousands few are read at once."""


class RequestQueue:
    """A queue of requests on one connection; the next is sent when the one before has its reply."""

    def __init__(self, pump: EventLoop, target: LoadTarget) -> None:
        self._pump = pump
        self._line = Connection(pump, target, self)
        self._reader: ReplyParser | None = None  # while it is within a reply
        self._waiting: list[QueuedRequest] = []  # nearly always empty, and an empty deque is ten times as large
        self._asked: QueuedRequest | None = None
        self._due = 0.0
        self._timer: Timer | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a request is waiting for its reply."""
        return self._asked is not None

    def ask(self, asking: QueuedRequest) -> None:
        """Send a request when its turn comes; after `close` it is told at once that it won't be."""
        if self._closed:
            asking.done(ConnectionLoss.STOPPED, clock())
            return
        if self._asked is None and not self._waiting:
            self._begin(asking)
        else:
            self._waiting.append(asking)
            self._next()

    def close(self) -> None:
        """End the connection; nobody is told anything any more."""
        self._closed, self._asked = True, None
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._line.close()

    def _next(self) -> None:
        if self._waiting and self._asked is None:
            self._begin(self._waiting.pop(0))

    def _begin(self, asking: QueuedRequest) -> None:
        self._asked = asking
        if not self._line.is_open:
            self._reader = None
        now = clock()
        self._due = now + asking.patience
        if asking.began is not None:
            asking.began(now)
        self._line.send(asking.request)
        asking.request = b""  # it may wait for long, and the line has it
        if self._timer is None or self._timer.due > self._due:
            self._set_timer()

    # ------------------------------------------------------------------ what the line brings
    def heard(self, data: bytes, now: float) -> None:
        """Take bytes."""
        reader = self._reader or (_RESTING.pop() if _RESTING else ReplyParser())
        try:
            replies = reader.feed(data)
        except BrokenReply:
            self._line.close()
            self._settle(ConnectionLoss.NOT_HTTP, now)
            return
        if reader.rests:
            self._reader = None
            _RESTING.append(reader)
        else:
            self._reader = reader
        for reply in replies:
            if reply.last or self._asked is None:  # a reply to nothing: what follows on this connection means nothing
                self._line.close()
            self._settle(reply, now)

    def ended(self, loss: ConnectionLoss) -> None:
        """Take the end of the connection; a reply may have needed just that."""
        now = clock()
        try:
            replies = self._reader.end() if self._reader is not None else []
        except BrokenReply:
            replies = []
        if replies and self._asked is not None:
            self._settle(replies[0], now)
        else:
            self._settle(loss, now)

    def _settle(self, outcome: ReplyOrLoss, now: float) -> None:
        """Tell who asked, then go on: what it asks for in turn comes behind what waits already."""
        asking, self._asked = self._asked, None
        if asking is not None:
            try:
                asking.done(outcome, now)
            finally:
                if self._waiting:
                    self._next()

    # ------------------------------------------------------------------ patience
    def _set_timer(self) -> None:
        """One timer serves all requests: it is set anew when it finds that it rang too early."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._pump.at(self._due, self._ring)

    def _ring(self, now: float) -> None:
        self._timer = None
        if self._asked is None:
            return
        if self._due > now:
            self._set_timer()
            return
        self._line.close()  # the reply may still come, and would be taken for the next one's
        self._settle(ConnectionLoss.NO_REPLY, now)
