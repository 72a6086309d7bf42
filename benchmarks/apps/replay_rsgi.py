"""The replay as an RSGI application, granian's own interface: as thin as the ASGI one, so that only servers differ."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from typing import Any

from cometreel.engine import Backend
from cometreel.engine.driver import Driver, DriverReply
from cometreel.scenario import load
from cometreel.wire import Headers, Reply, Request


@cache
def driver() -> Driver:
    """Create the driver on the event loop of the first request."""
    return Driver(Backend(load([os.environ["REEL_SCENARIO"]])))


async def app(scope: Any, protocol: Any) -> None:  # granian has no types for these two
    """Answer one HTTP request."""
    drives = driver()
    headers = Headers(scope.headers.items())
    base = f"{scope.scheme}://{headers.get('host')}"
    body = await protocol()
    request = Request(drives.new_request_id(), scope.method, scope.path, scope.query_string, headers, body, base)
    answer = drives.begin(request) or await _held(drives, request.id, protocol)
    if isinstance(answer, Reply):
        fields = [(name.lower(), value) for name, value in answer.headers]
        protocol.response_bytes(answer.status, fields, answer.body)
        drives.written(answer.request_id)


async def _held(drives: Driver, request_id: int, protocol: Any) -> DriverReply:
    async def until_gone() -> None:
        await protocol.client_disconnect()
        drives.hung_up(request_id)

    gone = asyncio.ensure_future(until_gone())
    try:
        return await drives.wait(request_id)
    finally:
        gone.cancel()
