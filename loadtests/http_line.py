"""HTTP on one line: requests one after the other, each told its reply or why there is none. No Bayeux may enter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .http_bytes import BrokenReply, HttpReader, HttpReply
from .line import Line, Loss
from .pump import Pump, Timer, clock
from .target import Target

__all__ = ["Asking", "HttpLine", "Outcome", "Requests"]

Outcome: TypeAlias = HttpReply | Loss
"""What became of a request."""


@dataclass(slots=True)
class Asking:
    """One request: its bytes, the seconds it waits for a reply once sent, who is told when it is sent and answered."""

    request: bytes
    patience: float
    done: Callable[[Outcome, float], None]
    began: Callable[[float], None] | None = None


class Requests(Protocol):
    """What takes requests one after the other: an `HttpLine`, or in a test one that is answered by hand."""

    @property
    def busy(self) -> bool:
        """Whether a request is waiting for its reply."""

    def ask(self, asking: Asking) -> None:
        """Send a request when its turn comes."""

    def close(self) -> None:
        """End the connection; nobody is told anything any more."""


class HttpLine:
    """A queue of requests on one connection; the next is sent when the one before has its reply."""

    def __init__(self, pump: Pump, target: Target) -> None:
        self._pump = pump
        self._line = Line(pump, target, self)
        self._reader = HttpReader()
        self._waiting: list[Asking] = []  # nearly always empty, and an empty deque is ten times as large
        self._asked: Asking | None = None
        self._due = 0.0
        self._timer: Timer | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a request is waiting for its reply."""
        return self._asked is not None

    def ask(self, asking: Asking) -> None:
        """Send a request when its turn comes; after `close` it is told at once that it won't be."""
        if self._closed:
            asking.done(Loss.STOPPED, clock())
            return
        self._waiting.append(asking)
        if self._asked is None:
            self._next()

    def close(self) -> None:
        """End the connection; nobody is told anything any more."""
        self._closed, self._asked = True, None
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._line.close()

    def _next(self) -> None:
        if self._asked is not None or not self._waiting:
            return
        asking = self._asked = self._waiting.pop(0)
        if not self._line.is_open:
            self._reader = HttpReader()
        now = clock()
        self._due = now + asking.patience
        if asking.began is not None:
            asking.began(now)
        self._line.send(asking.request)
        if self._timer is None or self._timer.due > self._due:
            self._set_timer()

    # ------------------------------------------------------------------ what the line brings
    def heard(self, data: bytes, now: float) -> None:
        """Take bytes."""
        try:
            replies = self._reader.feed(data)
        except BrokenReply:
            self._line.close()
            self._settle(Loss.NOT_HTTP, now)
            return
        for reply in replies:
            self._answer(reply, now)

    def ended(self, loss: Loss) -> None:
        """Take the end of the connection; a reply may have needed just that."""
        now = clock()
        try:
            replies = self._reader.end()
        except BrokenReply:
            replies = []
        if replies and self._asked is not None:
            self._settle(replies[0], now)
        else:
            self._settle(loss, now)

    def _answer(self, reply: HttpReply, now: float) -> None:
        if reply.last or self._asked is None:  # a reply to nothing: what follows on this connection means nothing
            self._line.close()
        self._settle(reply, now)

    def _settle(self, outcome: Outcome, now: float) -> None:
        """Tell who asked, then go on: what it asks for in turn comes behind what waits already."""
        asking, self._asked = self._asked, None
        if asking is not None:
            try:
                asking.done(outcome, now)
            finally:
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
        self._settle(Loss.NO_REPLY, now)
