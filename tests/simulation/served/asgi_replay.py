"""The replay as an ASGI application with a manual clock and the admin API, for any ASGI server.

The scenario, the settings and the token are in the environment.
"""

from __future__ import annotations

import json
import os
from contextlib import AsyncExitStack

from starlette.types import Message, Receive, Scope, Send

from cometreel.scenario import load
from cometreel.serve import ReplayApp, replay_app, settings_for
from cometreel.serve.admin.auth import AdminAuth, token_from
from cometreel.serve.admin.on_demand import admin_factory
from tests.simulation.served.driver_reports import report_to_environment

_running: list[ReplayApp] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one scope; `lifespan` starts and ends the replay."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await _running[0](scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    scenario = load([os.environ["REEL_SCENARIO"]])
    settings = settings_for(scenario, json.loads(os.environ["REEL_SETTINGS"]))
    admin = admin_factory(AdminAuth(token_from(os.environ)))
    await receive()
    async with AsyncExitStack() as stack:
        replay = replay_app(scenario, settings, admin=admin, clock="manual")
        _running.append(await stack.enter_async_context(replay()))
        await send(_completed("startup"))
        await receive()
    await send(_completed("shutdown"))


def _completed(what: str) -> Message:
    return {"type": f"lifespan.{what}.complete"}


report_to_environment()
