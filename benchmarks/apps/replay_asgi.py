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
def replay_app() -> ReplayApp:
    """Return the application, created on the event loop of the first request."""
    return ReplayApp(Driver(Backend(load([os.environ["REEL_SCENARIO"]]))))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request."""
    await replay_app()(scope, receive, send)
