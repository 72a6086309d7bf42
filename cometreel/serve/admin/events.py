"""The event stream of the admin API (server-sent events): calls, and the state that the console shows when it changes.

Reading the state delays the replay, so the time until the next read is at least twenty times the duration of a read.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator

from cometreel.engine import Call, Control
from cometreel.engine.clock_control import ClockControl
from cometreel.jsonvalue import JSON, encode
from cometreel.serve.admin import serializers
from cometreel.serve.admin.serializers import ToDatetime, call_json

__all__ = ["KEEP_ALIVE", "MAX_ITEMS", "ChangeFeed", "stream"]

MAX_ITEMS = 500
"""The maximum number of sessions, exchanges, unplayed exchanges and given-up notifications in an event."""

MIN_INTERVAL = 0.5  # the minimum seconds between two reads
_SHARE = 20


class ChangeFeed:
    """Events for changes of the replay's state. `began` identifies the run, so that the console notices a restart."""

    def __init__(
        self,
        control: Control,
        to_datetime: ToDatetime,
        began: str,
        clock: Callable[[], float] = time.monotonic,
        manual_clock: ClockControl | None = None,
    ) -> None:
        self._control, self._to_datetime, self._clock = control, to_datetime, clock
        self._manual_clock = manual_clock
        self._sent: dict[str, bytes] = {}
        self._due = clock()
        self._began = began

    def seconds(self) -> float:
        """Return the seconds until the next read."""
        return max(0.0, self._due - self._clock())

    def changes(self) -> Iterator[bytes]:
        """Yield an event for each part that has changed since the last read, if a read is due."""
        started = self._clock()
        if started < self._due:
            return
        for name, value in self._parts():
            data = encode(value)
            if self._sent.get(name) != data:
                self._sent[name] = data
                yield b"event: %s\ndata: %s\n\n" % (name.encode(), data)
        now = self._clock()
        self._due = now + max(MIN_INTERVAL, _SHARE * (now - started))

    def _parts(self) -> Iterator[tuple[str, JSON]]:
        control = self._control
        yield "run", {"began": self._began}
        yield "settings", serializers.settings_json(control)
        if self._manual_clock is not None:  # the real one changes all the time
            yield "clock", serializers.clock_json(self._manual_clock, self._to_datetime)
        yield "exchanges", [exchange.name for exchange in control.scenario.exchanges[:MAX_ITEMS]]
        yield "overview", serializers.overview(control)
        yield (
            "sessions",
            [serializers.session_json(one, self._to_datetime) for one in control.latest_sessions(MAX_ITEMS)],
        )
        yield "unplayed", [*control.unplayed[:MAX_ITEMS]]
        yield "given_up", [serializers.given_up_json(one, self._to_datetime) for one in control.given_up[-MAX_ITEMS:]]
        yield "faults", [serializers.fault_json(fault) for fault in control.faults]


KEEP_ALIVE = 15.0  # seconds without an event until a comment is sent, so that proxies keep the connection open
_MAX_WAITING = 1000  # calls per client


async def stream(
    control: Control, to_datetime: ToDatetime, closing: asyncio.Event, since: int | None, feed: ChangeFeed | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield the calls with a number above `since`, then each new call, until `closing` is set.

    With a `feed`, its changes are yielded between them.
    """
    waiting: deque[Call] = deque(() if since is None else control.calls.since(since), maxlen=_MAX_WAITING)
    changed = asyncio.Event()

    def add(call: Call) -> None:
        waiting.append(call)
        changed.set()

    stop, ending = control.listen(add), asyncio.ensure_future(closing.wait())
    ending.add_done_callback(lambda _: changed.set())
    try:
        yield b": the calls of this replay, as they come\n\n"
        while True:
            for change in feed.changes() if feed else ():
                yield change
            for _ in range(len(waiting)):
                yield _event(waiting.popleft(), to_datetime)
            if waiting:
                continue
            if closing.is_set():
                return
            changed.clear()
            try:
                async with asyncio.timeout(feed.seconds() if feed else KEEP_ALIVE):
                    await changed.wait()
            except TimeoutError:
                yield b": still here\n\n"
    finally:
        stop()
        ending.cancel()


def _event(call: Call, to_datetime: ToDatetime) -> bytes:
    return b"id: %d\nevent: call\ndata: %s\n\n" % (call.number, encode(call_json(call, to_datetime)))
