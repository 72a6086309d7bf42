"""Serving in the foreground: until the user or the system asks for the end. What is served may not enter."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TypeVar

import uvloop
from starlette.types import ASGIApp

from cometreel.serve.listening import Listening, Opening, listening_to

__all__ = ["STOPS", "serve"]

A = TypeVar("A", bound=ASGIApp)

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
        announce(listener.url)
        await stopping.wait()
