"""Runs the calls of a recorder in the order of the traffic; large bodies are redacted on a thread, to delay nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from cometreel.os_threads import SimpleQueue, start_thread

__all__ = ["WriteQueue"]

_LARGE = 64 * 1024  # bytes
_MANY_VALUES = 200  # redacted in about 5 ms
_MOST_WAITING = 64 * 1024 * 1024  # bytes

_QueuedCall: TypeAlias = tuple[Callable[[], None], int]
"""A call and the size of its body."""


class WriteQueue:
    """Runs calls one after the other: at once if a call is quick and none is waiting, else on its thread.

    All methods must be called on one thread, except `wait`. `report` is called with one line if a call fails, which is
    a bug of the recorder; the traffic continues.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._calls: SimpleQueue[_QueuedCall | SimpleQueue[None] | None] | None = None
        self._queued_calls = self._queued_bytes = 0
        self._done_calls = self._done_bytes = 0  # changed by the thread only

    def run(self, call: Callable[[], None], body: bytes | str | None = None) -> None:
        """Run a call, which redacts `body`."""
        if self.is_idle and not _is_slow(body):
            self._run(call)
            return
        if self._calls is None:
            self._calls = SimpleQueue()
            start_thread(self._run_queued)
        size = len(body or b"")
        self._queued_calls += 1
        self._queued_bytes += size
        self._calls.put((call, size))

    @property
    def is_idle(self) -> bool:
        """True if all calls so far are done."""
        return self._done_calls == self._queued_calls

    def has_space(self, body: bytes | str) -> bool:
        """Return False if too many bytes are waiting."""
        return self._queued_bytes - self._done_bytes + len(body) <= _MOST_WAITING

    def wait(self) -> None:
        """Wait until all calls so far are done."""
        if self._calls is not None:
            done: SimpleQueue[None] = SimpleQueue()
            self._calls.put(done)
            done.get()

    def close(self) -> None:
        """Wait until all calls are done, and end the thread."""
        self.wait()
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.put(None)

    def _run_queued(self) -> None:
        calls = self._calls
        while calls is not None and (queued := calls.get()) is not None:
            if isinstance(queued, SimpleQueue):  # of a caller of `wait`
                queued.put(None)
                continue
            call, size = queued
            self._run(call)
            self._done_bytes += size
            self._done_calls += 1

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  # the application must not notice a bug of the recorder
            self._report(f"an event was not recorded: {type(error).__name__}; please report this bug")


def _is_slow(body: bytes | str | None) -> bool:
    """Estimate whether redacting a body takes more than a few milliseconds."""
    if not body:
        return False
    return len(body) > _LARGE or (body.count(":") if isinstance(body, str) else body.count(b":")) > _MANY_VALUES
