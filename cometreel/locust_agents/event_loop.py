"""The event_loop: one greenlet that serves every ready connection and every due timer of this process.

gevent's loop tells which sockets are readable or writable; nothing but their callbacks runs in between. It is made
when first used, never at import: Locust forks its workers after it has read the locustfile. Nothing of HTTP, Bayeux
or Locust may enter.
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

__all__ = ["EventLoop", "Timer", "Clock", "SocketWatcher", "clock"]

logger = logging.getLogger(__name__)

clock: Final = time.perf_counter
"""The one clock of the load room: seconds, monotonic, of this machine alone."""

_TICK: Final = 0.01  # seconds between two looks at the timers: what they guard takes seconds
_FAILED: Final = "a callback of the event_loop failed"
_READ, _WRITE = 1, 2  # of libev


class Timer:
    """A call that is due at some time, unless it is cancelled."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callable[[float], None]) -> None:
        self.due = due
        self.call: Callable[[float], None] | None = call

    def cancel(self) -> None:
        """Let it never be called."""
        self.call = None

    def run(self) -> None:
        """Call what is due."""
        if self.call is not None:
            self.call(clock())

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due


class SocketWatcher:
    """What the loop watches of one socket. `stop` it before the socket is closed."""

    __slots__ = ("_call", "_event_loop", "_stopped", "_watcher", "queued")

    def __init__(self, event_loop: EventLoop, descriptor: int, events: int, call: Callable[[], None]) -> None:
        self._event_loop, self._call = event_loop, call
        self._stopped = self.queued = False
        self._watcher = event_loop.hub.loop.io(descriptor, events)
        self._watcher.start(self._enqueue)

    def _enqueue(self) -> None:
        """Queue the callback: the loop's own callbacks may not block, and must be short."""
        if not self.queued:
            self.queued = True
            self._event_loop.enqueue(self)

    def run(self) -> None:
        """Call what was registered, unless the watch was stopped since it was queued."""
        self.queued = False
        if not self._stopped:
            self._call()

    def stop(self) -> None:
        """Watch no longer; what is queued isn't called."""
        if not self._stopped:
            self._stopped = True
            self._watcher.stop()
            self._watcher.close()


class Clock(Protocol):
    """What tells the time and wakes: a `EventLoop`, or in a test one whose time is moved by hand."""

    def now(self) -> float:
        """The time, in seconds on a monotonic clock."""

    def call_at(self, due: float, call: Callable[[float], None]) -> Timer:
        """Call this with the time when it is due."""


class EventLoop:
    """Serves connections and timers until it is stopped. A callback that fails is logged and hurts nobody else."""

    def __init__(self) -> None:
        self.hub = gevent.get_hub()
        self._ready: deque[SocketWatcher] = deque()
        self._timers: list[Timer] = []
        self._wake = Event()
        self._ticker = self.hub.loop.timer(_TICK, _TICK)
        self._ticker.start(self._tick)
        self._greenlet = gevent.spawn(self._run)
        self.failures = 0
        """How many callbacks have failed: each is a defect of this program."""

    def readable(self, descriptor: int, call: Callable[[], None]) -> SocketWatcher:
        """Call this whenever the socket can be read, or has ended."""
        return SocketWatcher(self, descriptor, _READ, call)

    def writable(self, descriptor: int, call: Callable[[], None]) -> SocketWatcher:
        """Call this whenever the socket can be written to."""
        return SocketWatcher(self, descriptor, _WRITE, call)

    def now(self) -> float:
        """The time on the clock of the load room."""
        return clock()

    def call_at(self, due: float, call: Callable[[float], None]) -> Timer:
        """Call this with the time when it is due, at most a hundredth of a second late."""
        timer = Timer(due, call)
        heapq.heappush(self._timers, timer)
        return timer

    def enqueue(self, watch: SocketWatcher) -> None:
        """Serve a socket that is ready."""
        self._ready.append(watch)
        if len(self._ready) == 1:
            self._wake.set()

    def stop(self) -> None:
        """Serve nobody any more."""
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
                except Exception:  # one broken agent must not stop the others
                    logger.exception(_FAILED)
                    self.failures += 1
            now = clock()
            while self._timers and self._timers[0].due <= now:
                timer = heapq.heappop(self._timers)
                try:
                    timer.run()
                except Exception:
                    logger.exception(_FAILED)
                    self.failures += 1
