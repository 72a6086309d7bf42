"""The event loop: one greenlet that runs the callbacks of all ready sockets and due timers of this process.

gevent's hub watches the sockets; no other greenlet is switched to between callbacks. The loop is created on first use,
not at import, because Locust forks its workers after importing the locustfile. No HTTP, Bayeux or Locust here.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import gevent
from gevent.event import Event

__all__ = ["Clock", "EventLoop", "SocketWatcher", "Timer", "clock"]

logger = logging.getLogger(__name__)

clock: Final = time.perf_counter
"""The clock of all load tests: seconds, monotonic, comparable on one machine only."""

_TICK: Final = 0.01  # seconds between two checks of the timers; their timeouts are seconds
_FAILED: Final = "a callback of the event loop raised an exception"
_READ, _WRITE = 1, 2  # constants of libev


class Timer:
    """A callback that is due at a time, unless it is cancelled."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callable[[float], None]) -> None:
        self.due = due
        self.call: Callable[[float], None] | None = call

    def cancel(self) -> None:
        """Cancel the timer."""
        self.call = None

    def run(self) -> None:
        """Call the callback."""
        if self.call is not None:
            self.call(clock())

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due


class SocketWatcher:
    """Watches one socket. Call `stop` before closing the socket."""

    __slots__ = ("_call", "_event_loop", "_stopped", "_watcher", "queued")

    def __init__(self, event_loop: EventLoop, descriptor: int, events: int, call: Callable[[], None]) -> None:
        self._event_loop, self._call = event_loop, call
        self._stopped = self.queued = False
        self._watcher = event_loop.hub.loop.io(descriptor, events)
        self._watcher.start(self._enqueue)

    def _enqueue(self) -> None:
        """Queue the callback. Callbacks of gevent's hub may not block and must be short."""
        if not self.queued:
            self.queued = True
            self._event_loop.enqueue(self)

    def run(self) -> None:
        """Call the callback, unless the watcher was stopped after it was queued."""
        self.queued = False
        if not self._stopped:
            self._call()

    def stop(self) -> None:
        """Stop watching. A queued callback isn't called."""
        if not self._stopped:
            self._stopped = True
            self._watcher.stop()
            self._watcher.close()


class Clock(Protocol):
    """A clock with timers: an `EventLoop`, or virtual time in tests."""

    def now(self) -> float:
        """Return the time in seconds on a monotonic clock."""

    def call_at(self, due: float, call: Callable[[float], None]) -> Timer:
        """Call `call` with the current time when it is due."""


class EventLoop:
    """Runs the callbacks of sockets and timers until it is stopped. An exception in a callback is logged."""

    def __init__(self) -> None:
        self.hub = gevent.get_hub()
        self._ready: deque[SocketWatcher] = deque()
        self._timers: list[Timer] = []
        self._wake = Event()
        self._ticker = self.hub.loop.timer(_TICK, _TICK)
        self._ticker.start(self._tick)
        self._greenlet = gevent.spawn(self._run)

    def readable(self, descriptor: int, call: Callable[[], None]) -> SocketWatcher:
        """Call `call` whenever the socket can be read, or was closed by the peer."""
        return SocketWatcher(self, descriptor, _READ, call)

    def writable(self, descriptor: int, call: Callable[[], None]) -> SocketWatcher:
        """Call `call` whenever the socket can be written to."""
        return SocketWatcher(self, descriptor, _WRITE, call)

    def now(self) -> float:
        """Return the current time."""
        return clock()

    def call_at(self, due: float, call: Callable[[float], None]) -> Timer:
        """Call `call` with the current time when it is due, at most 0.01 s late."""
        timer = Timer(due, call)
        heapq.heappush(self._timers, timer)
        return timer

    def enqueue(self, watch: SocketWatcher) -> None:
        """Queue the callback of a ready socket."""
        self._ready.append(watch)
        if len(self._ready) == 1:
            self._wake.set()

    def stop(self) -> None:
        """Stop the loop."""
        self._ticker.stop()
        self._ticker.close()
        self._greenlet.kill(block=False)

    def _tick(self) -> None:
        if self._timers and self._timers[0].due <= clock():
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._ready:
                watch = self._ready.popleft()
                try:
                    watch.run()
                except Exception:  # an error of one agent must not stop the others
                    logger.exception(_FAILED)
            now = clock()
            while self._timers and self._timers[0].due <= now:
                timer = heapq.heappop(self._timers)
                try:
                    timer.run()
                except Exception:
                    logger.exception(_FAILED)
