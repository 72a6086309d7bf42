"""The journal as it is written, as server-sent events (WHATWG HTML §9.2): one event for each call.

A reader that is too slow loses the oldest calls, never the replay's time; the numbers tell it which, and
`calls?since=` gives them again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from cometreel.engine import Call, Control
from cometreel.jsonvalue import encode
from cometreel.serve.admin_facts import Moment, call_facts
from cometreel.serve.admin_glance import Glance

__all__ = ["KEEP_ALIVE", "stream"]

KEEP_ALIVE = 15.0  # seconds of silence, after which a comment tells proxies and us that the reader is still there
_BEHIND = 1000  # calls that wait for one reader at most


async def stream(
    control: Control, moment: Moment, closing: asyncio.Event, since: int | None, glance: Glance | None = None
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


def _event(call: Call, moment: Moment) -> bytes:
    return b"id: %d\nevent: call\ndata: %s\n\n" % (call.number, encode(call_facts(call, moment)))
