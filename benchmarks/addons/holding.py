"""A mitmproxy addon that holds every request for a minute, to measure its cost in mitmproxy alone."""

from __future__ import annotations

import asyncio

from mitmproxy import ctx, http


def running() -> None:
    """Answer without an upstream."""
    ctx.options.connection_strategy = "lazy"


async def request(flow: http.HTTPFlow) -> None:
    """Hold the request, then answer."""
    await asyncio.sleep(60)
    flow.response = http.Response.make(200, b"[]")
