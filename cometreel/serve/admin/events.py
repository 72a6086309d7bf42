"""What a console shows beside the calls, as server-sent events: each part again when it has changed.

The replay comes first: after a look it rests for at least twenty times as long as the look took.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator

from cometreel.engine import Call, Control
from cometreel.jsonvalue import JSON, encode
from cometreel.serve.admin import serializers as facts
from cometreel.serve.admin.serializers import ToDatetime, call_json

__all__ = ["ChangeFeed", "KEEP_ALIVE", "MAX_ITEMS", "stream"]

MAX_ITEMS = 500
"""How many sessions, exchanges and unplayed ones are told at most: a page for people shows no more."""

MIN_INTERVAL = 0.5  # seconds between two looks at least
_SHARE = 20


class ChangeFeed:
    """Looks at a replay now and then. `began` names the run, so that a page notices that another one answers."""

    def __init__(self, control: Control, moment: ToDatetime, began: str, clock: Callable[[], float] = time.monotonic):
        self._control, self._moment, self._clock = control, moment, clock
        self._told: dict[str, bytes] = {}
        self._due = clock()
        self._began = began

    def seconds(self) -> float:
        """How long it rests until its next look."""
        return max(0.0, self._due - self._clock())

    def changes(self) -> Iterator[bytes]:
        """Yield an event for each part that has changed since it was told, if it is time to look."""
        looked = self._clock()
        if looked < self._due:
            return
        for name, value in self._parts():
            data = encode(value)
            if self._told.get(name) != data:
                self._told[name] = data
                yield b"event: %s\ndata: %s\n\n" % (name.encode(), data)
        now = self._clock()
        self._due = now + max(MIN_INTERVAL, _SHARE * (now - looked))

    def _parts(self) -> Iterator[tuple[str, JSON]]:
        control = self._control
        yield "run", {"began": self._began}
        yield "settings", facts.settings_json(control)
        yield "exchanges", [exchange.name for exchange in control.scenario.exchanges[:MAX_ITEMS]]
        yield "overview", facts.overview(control)
        yield "sessions", [facts.session_json(one, self._moment) for one in control.latest_sessions(MAX_ITEMS)]
        yield "unplayed", [*control.unplayed[:MAX_ITEMS]]
        yield "faults", [facts.fault_json(fault) for fault in control.faults]


KEEP_ALIVE = 15.0  # seconds of silence, after which a comment tells proxies and us that the reader is still there
_BEHIND = 1000  # calls that wait for one reader at most


async def stream(
    control: Control, moment: ToDatetime, closing: asyncio.Event, since: int | None, glance: ChangeFeed | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield each call from now on, after those with a number above `since`, until `closing` is set.

    With a `glance`, what it sees stands between them.
    """
    waiting: deque[Call] = deque(() if since is None else control.calls.since(since), maxlen=_BEHIND)
    news = asyncio.Event()

    def note(call: Call) -> None:
        waiting.append(call)
        news.set()

    stop, ending = control.listen(note), asyncio.ensure_future(closing.wait())
    ending.add_done_callback(lambda _: news.set())
    try:
        yield b": the calls of this replay, as they come\n\n"
        while True:
            for change in glance.changes() if glance else ():
                yield change
            for _ in range(len(waiting)):
                yield _event(waiting.popleft(), moment)
            if waiting:
                continue
            if closing.is_set():
                return
            news.clear()
            try:
                async with asyncio.timeout(glance.seconds() if glance else KEEP_ALIVE):
                    await news.wait()
            except TimeoutError:
                yield b": still here\n\n"
    finally:
        stop()
        ending.cancel()


def _event(call: Call, moment: ToDatetime) -> bytes:
    return b"id: %d\nevent: call\ndata: %s\n\n" % (call.number, encode(call_json(call, moment)))
