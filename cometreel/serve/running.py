"""Serving in the foreground: until the user or the system asks for the end. What is served may not enter."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from typing import TypeVar

import uvloop
from starlette.types import ASGIApp

from cometreel.serve.listening import Listening, Opening, listening_to

__all__ = ["STOPS", "serve"]

A = TypeVar("A", bound=ASGIApp)

COLLECT_AFTER = (20_000, 50, 100)  # new objects, and rounds of the younger generations (gc.set_threshold)
STOPS = (signal.SIGINT, signal.SIGTERM)


def serve(opening: Opening[A], listening: Listening, announce: Callable[[str], None]) -> None:
    """Serve on the main thread until SIGINT or SIGTERM, then stop gracefully. `announce` is given the URL.

    :raises OptionInvalid: if the address or the certificate can't be used.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(opening, listening, announce))


async def _serve(opening: Opening[A], listening: Listening, announce: Callable[[str], None]) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in STOPS:
        loop.add_signal_handler(number, stopping.set)
    async with listening_to(opening, listening) as (_, listener):
        _spare_the_collector()
        announce(listener.url)
        await stopping.wait()


def _spare_the_collector() -> None:
    """Let garbage be looked for less often: the scenario and the sessions stay, and to look at them costs requests."""
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
