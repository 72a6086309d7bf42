"""A recording proxy: an ASGI application that forwards requests and WebSockets to one server and records them.

Each event is written to the journal before it is forwarded. Bodies are forwarded as a whole. Held polls are held as
long as the server holds them. Nothing is retried, redirected or stored in a cookie jar.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx
from starlette.types import Receive, Scope, Send

from cometreel.http_fields import BODILESS, RawFields, end_to_end, error_reply, headers_from_raw, raw_from_headers
from cometreel.recording import Recorder
from cometreel.recording.upstream import CONNECT_TIMEOUT, Upstream
from cometreel.recording.websocket_relay import WebSocketRelay
from cometreel.wire import Headers

__all__ = ["CallObserver", "RecordProxy"]

_ASSETS = ("text/css", "text/javascript", "application/javascript", "application/x-javascript", "image/", "font/")


class CallObserver(Protocol):
    """Called for each call with the status of its reply, or None if there is no reply.

    Also called for each WebSocket message of a client, with `WEBSOCKET` as the method.
    """

    def __call__(self, method: str, target: str, body: bytes, status: int | None) -> None:
        """Observe one call; the body is decoded."""


def _no_observer(method: str, target: str, body: bytes, status: int | None) -> None:
    """Ignore the call."""


@dataclass(frozen=True, slots=True)
class _ForwardedCall:
    """A request with its decoded body; `flow` identifies it in the recorder."""

    flow: str
    method: str
    target: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _ForwardedReply:
    """The reply that the client gets."""

    status: int
    fields: RawFields
    body: bytes


class RecordProxy:
    """Forwards HTTP requests and WebSockets to `upstream` and records them. It must be used on one event loop.

    `open` is an application factory for `cometreel.serve`.
    """

    def __init__(self, upstream: Upstream, recorder: Recorder, observer: CallObserver = _no_observer) -> None:
        self.upstream = upstream
        self._recorder, self._observer = recorder, observer
        self._transport = upstream.transport()
        self._websockets = WebSocketRelay(upstream, recorder, self._observe_frame)
        self._flows = itertools.count(1)
        self._pending: set[asyncio.Task[_ForwardedReply]] = set()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, upstream: Upstream, recorder: Recorder, observer: CallObserver = _no_observer
    ) -> AsyncIterator[RecordProxy]:
        """Create a proxy and close it at the end."""
        proxy = cls(upstream, recorder, observer)
        try:
            yield proxy
        finally:
            await proxy.close()

    async def close(self) -> None:
        """Cancel open requests, close open WebSockets and all connections to the server."""
        await self._websockets.close()
        for pending in self._pending:
            pending.cancel()
        if self._pending:
            await asyncio.wait(self._pending)
        await self._transport.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        flow = str(next(self._flows))
        if scope["type"] == "websocket":
            await self._websockets.relay(flow, scope, receive, send)
        elif scope["type"] == "http":
            await self._http(flow, scope, receive, send)

    async def _http(self, flow: str, scope: Scope, receive: Receive, send: Send) -> None:
        started, body = time.time(), await _body(receive)
        if body is None:
            return
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        url, method = target.decode("utf-8", "surrogateescape"), scope["method"]
        headers, content = _decoded(scope["headers"], body)
        address = f"{self.upstream}{url}" if url.startswith("/") else url
        self._recorder.request(flow, method, address, headers, content, wanted=True, at=started)
        call = _ForwardedCall(flow, method, url, content)
        reply = await self._forward(call, self._request(scope, target, body), receive)
        if reply is not None:
            await _write(reply, send, is_head=method == "HEAD")

    def _request(self, scope: Scope, target: bytes, body: bytes) -> httpx.Request:
        """Return the request to the server, with the unchanged request target."""
        fields = [(b"Host", self.upstream.authority.encode()), *end_to_end(scope["headers"], b"host", b"expect")]
        timeout = {"connect": CONNECT_TIMEOUT, "read": None, "write": None, "pool": None}
        return httpx.Request(
            scope["method"],
            str(self.upstream),
            headers=fields,
            content=body or None,
            extensions={"target": target, "timeout": timeout},
        )

    async def _forward(self, call: _ForwardedCall, request: httpx.Request, receive: Receive) -> _ForwardedReply | None:
        """Send a request to the server and record its reply or failure; None if the client disconnected."""
        sending = asyncio.create_task(self._send_upstream(request))
        disconnect = asyncio.create_task(_wait_for_disconnect(receive))
        self._pending.add(sending)
        try:
            await asyncio.wait((sending, disconnect), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self._record_error(call, "the client disconnected", None)
                return None
            if sending.cancelled():
                return self._failed(call, 503, "the recording has ended")
            return self._record_reply(call, sending.result())
        except httpx.TransportError as error:
            return self._failed(call, 502, f"{self.upstream} {_reason(error)}")
        finally:
            self._pending.discard(sending)
            sending.cancel()
            disconnect.cancel()
            await asyncio.wait((sending, disconnect))

    async def _send_upstream(self, request: httpx.Request) -> _ForwardedReply:
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            body = b"".join([chunk async for chunk in response.stream])  # `aread` would decode the body
        finally:
            await response.stream.aclose()
        return _ForwardedReply(response.status_code, end_to_end(response.headers.raw), body)

    def _record_reply(self, call: _ForwardedCall, reply: _ForwardedReply) -> _ForwardedReply:
        headers, content = _decoded(reply.fields, reply.body)
        kind = (headers.get("content-type") or "").lower()
        self._recorder.reply(call.flow, reply.status, headers, content, wanted=not kind.startswith(_ASSETS))
        self._observe(call, reply.status)
        return reply

    def _record_error(self, call: _ForwardedCall, reason: str, status: int | None) -> None:
        self._recorder.error(call.flow, reason)
        self._observe(call, status)

    def _failed(self, call: _ForwardedCall, status: int, reason: str) -> _ForwardedReply:
        """Record a failed request and return an error reply in the format of GWS."""
        self._record_error(call, reason, status)
        reply = error_reply(0, status, 4, f"cometreel: {reason}")
        return _ForwardedReply(status, raw_from_headers(reply.headers), reply.body)

    def _observe(self, call: _ForwardedCall, status: int | None) -> None:
        self._observer(call.method, call.target, call.body, status)

    def _observe_frame(self, target: str, frame: str | bytes) -> None:
        self._observer("WEBSOCKET", target, frame.encode() if isinstance(frame, str) else frame, None)


async def _body(receive: Receive) -> bytes | None:
    """Read the body of a request; None if the client disconnects before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _decoded(fields: RawFields, body: bytes) -> tuple[Headers, bytes]:
    """Return header fields and body without their Content-Encoding, or unchanged if the body can't be decoded."""
    codings = [(name, value) for name, value in fields if name.lower() == b"content-encoding"]
    if not body or not codings:
        return headers_from_raw(fields), body
    try:
        body = httpx.Response(200, headers=codings, content=body).content
    except httpx.DecodingError:
        return headers_from_raw(fields), body
    return headers_from_raw(fields, decoded=True), body


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(reply: _ForwardedReply, send: Send, *, is_head: bool) -> None:
    fields = reply.fields
    if not is_head and reply.status not in BODILESS:  # the server may have sent it in chunks
        fields = [*end_to_end(fields, b"content-length"), (b"Content-Length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": fields})
    await send({"type": "http.response.body", "body": reply.body})


def _reason(error: httpx.TransportError) -> str:
    """Describe an error of the connection to the server."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        return f"can't be reached: no connection within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, httpx.ConnectError):
        hint = " (set SSL_CERT_FILE=FILE to trust another authority)" if "CERTIFICATE_VERIFY_FAILED" in reason else ""
        return f"can't be reached: {reason}{hint}"
    return f"closed the connection: {reason}"
