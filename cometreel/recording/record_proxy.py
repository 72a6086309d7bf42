"""A recording proxy: an ASGI application that forwards requests and WebSockets to one server and records them.

Each event is written to the journal before it is forwarded. Event streams, and bodies of unknown length or of more than
64 kB, are forwarded while they arrive. Held polls are held as long as the server holds them. Nothing is retried,
redirected or stored in a cookie jar.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import httpx
from starlette.types import Receive, Scope, Send

from cometreel.extras import install_command
from cometreel.http_fields import (
    BODILESS,
    RawFields,
    end_to_end,
    error_reply,
    field_text,
    headers_from_raw,
    raw_from_headers,
)
from cometreel.recording import Recorder
from cometreel.recording.live_recorder import LiveRecorder
from cometreel.recording.streamed_bodies import BodyCopy, decoded, is_event_stream, is_small
from cometreel.recording.upstream import CONNECT_TIMEOUT, Upstream
from cometreel.recording.websocket_relay import WebSocketRelay
from cometreel.wire import Headers

__all__ = ["CallObserver", "RecordProxy"]

_ASSETS = ("text/css", "text/javascript", "application/javascript", "application/x-javascript", "image/", "font/")

logger = logging.getLogger(__name__)


class CallObserver(Protocol):
    """Called for each call with the status of its reply, or None if there is no reply.

    Also called for each WebSocket message of a client, with `WEBSOCKET` as the method.
    """

    def __call__(self, method: str, target: str, body: bytes, status: int | None) -> None:
        """Observe one call; the body is decoded."""


def _no_observer(method: str, target: str, body: bytes, status: int | None) -> None:
    """Ignore the call."""


@dataclass(slots=True)
class _ForwardedCall:
    """A request that is being forwarded; `flow` identifies it in the recorder.

    `copy` is the copy of a body that is forwarded while it arrives; `body` is the decoded body.
    """

    flow: str
    method: str
    target: str
    fields: RawFields = field(repr=False)
    started: float
    copy: BodyCopy = field(default_factory=BodyCopy)
    body: bytes = field(default=b"", repr=False)
    received: asyncio.Event = field(default_factory=asyncio.Event)
    recorded: bool = False
    observed: bool = False
    replying: bool = False


class _RequestIncomplete(Exception):
    """The client disconnected before it had sent the body."""


class RecordProxy:
    """Forwards HTTP requests and WebSockets to `upstream` and records them. It must be used on one event loop.

    `open` is an application factory for `cometreel.serve`.
    """

    def __init__(self, upstream: Upstream, recorder: Recorder, observer: CallObserver = _no_observer) -> None:
        self.upstream = upstream
        self._recorder, self._observer = LiveRecorder(recorder, logger.error, _decoded), observer
        self._transport = upstream.transport()
        self._websockets = WebSocketRelay(upstream, self._recorder, self._observe_frame)
        self._flows = itertools.count(1)
        self._pending: set[asyncio.Task[None]] = set()

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
        self._recorder.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        flow = str(next(self._flows))
        if scope["type"] == "websocket":
            await self._websockets.relay(flow, scope, receive, send)
        elif scope["type"] == "http":
            await self._http(flow, scope, receive, send)

    async def _http(self, flow: str, scope: Scope, receive: Receive, send: Send) -> None:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        call = _ForwardedCall(
            flow, scope["method"], target.decode("utf-8", "surrogateescape"), scope["headers"], time.time()
        )
        content: bytes | AsyncIterator[bytes]
        if _is_forwarded_whole(call.fields):
            try:
                content = b"".join([piece async for piece in _pieces(receive, call)])
            except _RequestIncomplete:
                return
            self._record_request(call)
        else:
            content = self._forwarded_body(call, receive)
        await self._forward(call, self._request(scope, target, content), receive, send)

    async def _forwarded_body(self, call: _ForwardedCall, receive: Receive) -> AsyncIterator[bytes]:
        """Yield a body while it arrives; record the request before its end."""
        async for piece in _pieces(receive, call):
            yield piece
        self._record_request(call)

    def _request(self, scope: Scope, target: bytes, content: bytes | AsyncIterator[bytes]) -> httpx.Request:
        """Return the request to the server, with the unchanged request target."""
        fields = [(b"Host", self.upstream.authority.encode()), *end_to_end(scope["headers"], b"host", b"expect")]
        timeout = {"connect": CONNECT_TIMEOUT, "read": None, "write": None, "pool": None}
        return httpx.Request(
            scope["method"],
            str(self.upstream),
            headers=fields,
            content=content or None,
            extensions={"target": target, "timeout": timeout},
        )

    async def _forward(self, call: _ForwardedCall, request: httpx.Request, receive: Receive, send: Send) -> None:
        """Send a request to the server and forward its reply; record both, or the failure."""
        sending = asyncio.create_task(self._send_upstream(call, request, send))
        disconnect = asyncio.create_task(_wait_for_disconnect(call, receive))
        self._pending.add(sending)
        try:
            await asyncio.wait((sending, disconnect), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self._record_error(call, "the client disconnected", None)
            elif sending.cancelled():
                await self._fail(call, 503, "the recording has ended", send)
            else:
                sending.result()
        except httpx.TransportError as error:
            await self._fail(call, 502, f"{self.upstream} {_reason(error)}", send)
        except _RequestIncomplete:
            self._record_error(call, "the client disconnected", None)
        finally:
            self._pending.discard(sending)
            sending.cancel()
            disconnect.cancel()
            await asyncio.wait((sending, disconnect))

    async def _send_upstream(self, call: _ForwardedCall, request: httpx.Request, send: Send) -> None:
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            self._record_request(call)  # a reply may begin before the end of the request
            await self._forward_reply(call, response, response.stream, send)
        finally:
            await response.stream.aclose()

    async def _forward_reply(
        self, call: _ForwardedCall, response: httpx.Response, stream: httpx.AsyncByteStream, send: Send
    ) -> None:
        status, fields, copy = response.status_code, end_to_end(response.headers.raw), BodyCopy()
        kind = response.headers.get("content-type", "").lower()
        start = {"type": "http.response.start", "status": status, "headers": fields}
        is_stream = is_event_stream(kind)
        is_whole = call.method == "HEAD" or status in BODILESS or is_small(response.headers.get("content-length"))
        if is_stream:
            self._recorder.stream(call.flow)
            self._observe(call, status)
        if is_stream or not is_whole:
            call.replying = True
            await send(start)
        async for piece in stream:  # `aread` would decode the body
            if not is_stream:
                copy(piece)
            if call.replying and piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        copy(b"")
        if not is_stream:
            wanted = not kind.startswith(_ASSETS)
            self._recorder.reply(call.flow, status, fields, copy.body, missing=copy.missing, wanted=wanted)
            self._observe(call, status)
        if not call.replying:
            call.replying = True
            await send(start)
        await send({"type": "http.response.body", "body": (copy.body or b"") if is_whole and not is_stream else b""})

    def _record_request(self, call: _ForwardedCall) -> None:
        if not call.recorded:
            call.recorded = True
            url = f"{self.upstream}{call.target}" if call.target.startswith("/") else call.target
            body, head = call.copy.body, (call.method, url)
            headers, content, reason = _decoded(call.fields, body)
            call.body, fields, missing = content or b"", raw_from_headers(headers), reason or call.copy.missing
            self._recorder.request(call.flow, head, fields, content, missing=missing, at=call.started)

    def _record_error(self, call: _ForwardedCall, reason: str, status: int | None) -> None:
        self._record_request(call)
        if not call.observed:  # else it is an event stream that was cut off
            self._recorder.error(call.flow, reason)
            self._observe(call, status)

    async def _fail(self, call: _ForwardedCall, status: int, reason: str, send: Send) -> None:
        """Record a failed request and reply with an error in the format of GWS; a reply that has begun is cut off."""
        self._record_error(call, reason, status)
        if not call.replying:
            reply = error_reply(0, status, 4, f"cometreel: {reason}")
            fields = [*raw_from_headers(reply.headers), (b"Content-Length", b"%d" % len(reply.body))]
            await send({"type": "http.response.start", "status": status, "headers": fields})
            await send({"type": "http.response.body", "body": reply.body})

    def _observe(self, call: _ForwardedCall, status: int | None) -> None:
        call.observed = True
        self._observer(call.method, call.target, call.body, status)

    def _observe_frame(self, target: str, frame: str | bytes) -> None:
        self._observer("WEBSOCKET", target, frame.encode() if isinstance(frame, str) else frame, None)


def _decoded(fields: RawFields, body: bytes | None) -> tuple[Headers, bytes | None, str]:
    try:
        return decoded(fields, body)
    except ModuleNotFoundError:
        return headers_from_raw(fields), None, f"its Content-Encoding needs {install_command('codings')}"


def _is_forwarded_whole(fields: RawFields) -> bool:
    """Return True if a request has a small body or none."""
    found = {name.lower(): value for name, value in fields}
    return b"transfer-encoding" not in found and is_small(field_text(found.get(b"content-length", b"0")))


async def _pieces(receive: Receive, call: _ForwardedCall) -> AsyncIterator[bytes]:
    """Yield the body of a request while it arrives, and copy it."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _RequestIncomplete
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            yield call.copy(piece)
    call.copy(b"")
    call.received.set()


async def _wait_for_disconnect(call: _ForwardedCall, receive: Receive) -> None:
    await call.received.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


def _reason(error: httpx.TransportError) -> str:
    """Describe an error of the connection to the server."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        return f"can't be reached: no connection within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, httpx.ConnectError):
        hint = " (set SSL_CERT_FILE=FILE to trust another authority)" if "CERTIFICATE_VERIFY_FAILED" in reason else ""
        return f"can't be reached: {reason}{hint}"
    return f"closed the connection: {reason}"
