"""The replay as an ASGI application, for a server with its own event loop. REEL_SCENARIO names the scenario."""

from __future__ import annotations

import os
from functools import cache

from starlette.types import Receive, Scope, Send

from cometreel.engine import Backend
from cometreel.engine.driver import Driver
from cometreel.scenario import load
from cometreel.serve import ReplayApp


@cache
def door() -> ReplayApp:
    """Make the door on the loop that asks first."""
    return ReplayApp(Driver(Backend(load([os.environ["REEL_SCENARIO"]]))))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request."""
    await door()(scope, receive, send)
