"""Forwarding of unmatched GET requests to the real server, with the credentials of the client.

Requests are independent: no cookies are kept, no redirects followed, no proxies of the environment used.
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
    """Yield a function that forwards requests to the server at this URL."""
    async with httpx.AsyncHTTPTransport(trust_env=False) as transport:

        async def forward(request: Request) -> Reply:
            try:
                return await _forward(transport, base, request)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                text = f"{base} could not be reached: {type(error).__name__} {error}".rstrip()
                return error_reply(request.id, 502, 4, text)

        yield forward


async def _forward(transport: httpx.AsyncHTTPTransport, base: str, request: Request) -> Reply:
    target = request.path + (f"?{request.query}" if request.query else "")
    fields = end_to_end(raw_from_headers(request.headers), b"host", b"content-length")
    outgoing = httpx.Request(request.method, base + target, headers=fields, extensions={"timeout": TIMEOUTS})
    response = await transport.handle_async_request(outgoing)
    try:
        body = bytearray()
        async for piece in response.aiter_raw():  # not decoded: Content-Encoding is forwarded too
            body += piece
            if len(body) > MAX_REPLY:
                return error_reply(request.id, 502, 4, f"the response of {base} is longer than {MAX_REPLY} bytes")
    finally:
        await response.aclose()
    headers = headers_from_raw(end_to_end(response.headers.raw))
    return Reply(request.id, response.status_code, headers, bytes(body))


def checked_upstream(url: str) -> str:
    """Return the base URL of a server without a trailing slash.

    :raises OptionInvalid: if it is not an HTTP URL with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise OptionInvalid(
            "upstream", f"{url!r} is not the base URL of a server", "a URL like http://gws.example:8080"
        )
    return url.rstrip("/")
