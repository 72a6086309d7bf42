"""A mitmproxy addon that answers every request with the same reply, to measure the cost of mitmproxy alone."""

from __future__ import annotations

from mitmproxy import ctx, http


def running() -> None:
    """Answer without an upstream."""
    ctx.options.connection_strategy = "lazy"


async def request(flow: http.HTTPFlow) -> None:
    """Answer with the acknowledgement of a workbin operation."""
    flow.response = http.Response.make(200, b'{"statusCode":0,"referenceId":67}', {"content-type": "application/json"})
