"""Forwarding what no exchange answers: one GET, to the real server, with the client's own credentials.

Nothing is kept from one request to the next: no cookies, no redirects, no proxies of the environment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from cometreel.errors import OptionInvalid
from cometreel.http_fields import end_to_end, error_reply, headers_from_raw, raw_from_headers
from cometreel.serve.app import ForwardRequest
from cometreel.wire import Reply, Request

__all__ = ["checked_upstream", "forwarding_to"]

TIMEOUTS = {"connect": 10.0, "read": 60.0, "write": 10.0, "pool": 10.0}  # seconds
MAX_REPLY = 64 * 1024 * 1024


@asynccontextmanager
async def forwarding_to(base: str) -> AsyncIterator[ForwardRequest]:
    """Forward to the server at this URL, until the block ends."""
    async with httpx.AsyncHTTPTransport(trust_env=False) as transport:

        async def forward(request: Request) -> Reply:
            try:
                return await _asked(transport, base, request)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                text = f"{base} could not be asked: {type(error).__name__} {error}".rstrip()
                return error_reply(request.id, 502, 4, text)

        yield forward


async def _asked(transport: httpx.AsyncHTTPTransport, base: str, request: Request) -> Reply:
    target = request.path + (f"?{request.query}" if request.query else "")
    fields = end_to_end(raw_from_headers(request.headers), b"host", b"content-length")
    asked = httpx.Request(request.method, base + target, headers=fields, extensions={"timeout": TIMEOUTS})
    response = await transport.handle_async_request(asked)
    try:
        body = bytearray()
        async for piece in response.aiter_raw():  # still encoded, as its header says
            body += piece
            if len(body) > MAX_REPLY:
                return error_reply(request.id, 502, 4, f"{base} answered more than {MAX_REPLY} bytes")
    finally:
        await response.aclose()
    headers = headers_from_raw(end_to_end(response.headers.raw))
    return Reply(request.id, response.status_code, headers, bytes(body))


def checked_upstream(url: str) -> str:
    """Return a base URL that can be forwarded to, without a slash at its end.

    :raises OptionInvalid: if it isn't one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise OptionInvalid("upstream", f"{url!r} can't be forwarded to", "a URL like http://gws.example:8080")
    return url.rstrip("/")
