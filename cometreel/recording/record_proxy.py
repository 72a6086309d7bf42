"""The forwarder: an ASGI application that passes everything on to one server and shows it to a recorder first.

What crosses is in the journal before the other side sees it. Bodies are whole before they are passed on, held polls
wait as long as the server holds them, nothing is retried, redirected or taken from a cookie jar.
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
from cometreel.recording.upstream import CONNECT_PATIENCE, Upstream
from cometreel.recording.websocket_relay import WebSocketRelay
from cometreel.wire import Headers

__all__ = ["RecordProxy", "CallObserver"]

_ASSETS = ("text/css", "text/javascript", "application/javascript", "application/x-javascript", "image/", "font/")


class CallObserver(Protocol):
    """Who is told of each call, as its client made it and as it was answered; None for a reply that never came.

    Each frame that a client sends on a WebSocket is one too, with `WEBSOCKET` in place of the method.
    """

    def __call__(self, method: str, target: str, body: bytes, status: int | None) -> None:
        """Take note of one call, with its body decoded."""


def _nobody(method: str, target: str, body: bytes, status: int | None) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class _ForwardedCall:
    """What a client asked, with its body decoded, and under which name the recorder knows it."""

    flow: str
    method: str
    target: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _ForwardedReply:
    """What it gets."""

    status: int
    fields: RawFields
    body: bytes


class RecordProxy:
    """Forward HTTP and WebSockets to `upstream` and record them. It must be called on one event loop.

    `opened` makes one and ends it, in the form in which `cometreel.serve` opens an application.
    """

    def __init__(self, upstream: Upstream, recorder: Recorder, witness: CallObserver = _nobody) -> None:
        self.upstream = upstream
        self._recorder, self._witness = recorder, witness
        self._transport = upstream.transport()
        self._websockets = WebSocketRelay(upstream, recorder, self._hear)
        self._flows = itertools.count(1)
        self._asking: set[asyncio.Task[_ForwardedReply]] = set()

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, upstream: Upstream, recorder: Recorder, witness: CallObserver = _nobody
    ) -> AsyncIterator[RecordProxy]:
        """Make a forwarder; at the end, end what the server still holds."""
        forwarder = cls(upstream, recorder, witness)
        try:
            yield forwarder
        finally:
            await forwarder.close()

    async def close(self) -> None:
        """End every request and WebSocket that is under way, and all connections to the server."""
        await self._websockets.close()
        for asking in self._asking:
            asking.cancel()
        if self._asking:
            await asyncio.wait(self._asking)
        await self._transport.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        flow = str(next(self._flows))
        if scope["type"] == "websocket":
            await self._websockets.relay(flow, scope, receive, send)
        elif scope["type"] == "http":
            await self._http(flow, scope, receive, send)

    async def _http(self, flow: str, scope: Scope, receive: Receive, send: Send) -> None:
        began, body = time.time(), await _body(receive)
        if body is None:
            return
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        url, method = target.decode("utf-8", "surrogateescape"), scope["method"]
        headers, content = _decoded(scope["headers"], body)
        self._recorder.request(flow, method, url, headers, content, wanted=True, at=began)
        call = _ForwardedCall(flow, method, url, content)
        answer = await self._answer(call, self._request(scope, target, body), receive)
        if answer is not None:
            await _write(answer, send, is_head=method == "HEAD")

    def _request(self, scope: Scope, target: bytes, body: bytes) -> httpx.Request:
        """Make the request as the server wants it; its target stays as the client wrote it."""
        fields = [(b"Host", self.upstream.authority.encode()), *end_to_end(scope["headers"], b"host", b"expect")]
        waiting = {"connect": CONNECT_PATIENCE, "read": None, "write": None, "pool": None}
        return httpx.Request(
            scope["method"],
            str(self.upstream),
            headers=fields,
            content=body or None,
            extensions={"target": target, "timeout": waiting},
        )

    async def _answer(self, call: _ForwardedCall, request: httpx.Request, receive: Receive) -> _ForwardedReply | None:
        """Ask the server, record its reply or why there is none; None if the client didn't wait for it."""
        asking = asyncio.create_task(self._ask(request))
        leaving = asyncio.create_task(_until_gone(receive))
        self._asking.add(asking)
        try:
            await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                self._missed(call, "the client hung up")
                return None
            if asking.cancelled():
                return self._failed(call, 503, "the recording has ended")
            return self._answered(call, asking.result())
        except httpx.TransportError as error:
            return self._failed(call, 502, f"{self.upstream} {_why(error)}")
        finally:
            self._asking.discard(asking)
            asking.cancel()
            leaving.cancel()
            await asyncio.wait((asking, leaving))

    async def _ask(self, request: httpx.Request) -> _ForwardedReply:
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            body = b"".join([chunk async for chunk in response.stream])  # not `aread`, which would decode it
        finally:
            await response.stream.aclose()
        return _ForwardedReply(response.status_code, end_to_end(response.headers.raw), body)

    def _answered(self, call: _ForwardedCall, answer: _ForwardedReply) -> _ForwardedReply:
        headers, content = _decoded(answer.fields, answer.body)
        kind = (headers.get("content-type") or "").lower()
        self._recorder.reply(call.flow, answer.status, headers, content, wanted=not kind.startswith(_ASSETS))
        self._tell(call, answer.status)
        return answer

    def _missed(self, call: _ForwardedCall, why: str) -> None:
        """Note that there is nobody to answer any more."""
        self._recorder.error(call.flow, why)
        self._tell(call, None)

    def _failed(self, call: _ForwardedCall, status: int, why: str) -> _ForwardedReply:
        """Note that the server gave no reply, and say so in the form that clients of GWS know."""
        self._recorder.error(call.flow, why)
        self._tell(call, status)
        reply = error_reply(0, status, 4, f"cometreel: {why}")
        return _ForwardedReply(status, raw_from_headers(reply.headers), reply.body)

    def _tell(self, call: _ForwardedCall, status: int | None) -> None:
        self._witness(call.method, call.target, call.body, status)

    def _hear(self, target: str, frame: str | bytes) -> None:
        self._witness("WEBSOCKET", target, frame.encode() if isinstance(frame, str) else frame, None)


async def _body(receive: Receive) -> bytes | None:
    """Read the body of a request; None if the client hangs up before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _decoded(fields: RawFields, body: bytes) -> tuple[Headers, bytes]:
    """Return header fields and body without their Content-Encoding, or unchanged if the body is not encoded so."""
    codings = [(name, value) for name, value in fields if name.lower() == b"content-encoding"]
    if not body or not codings:
        return headers_from_raw(fields), body
    try:
        body = httpx.Response(200, headers=codings, content=body).content
    except httpx.DecodingError:
        return headers_from_raw(fields), body
    return headers_from_raw(fields, decoded=True), body


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(answer: _ForwardedReply, send: Send, *, is_head: bool) -> None:
    fields = answer.fields
    if not is_head and answer.status not in BODILESS:  # it may have come in chunks; now its length is known
        fields = [*end_to_end(fields, b"content-length"), (b"Content-Length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": fields})
    await send({"type": "http.response.body", "body": answer.body})


def _why(error: httpx.TransportError) -> str:
    """Say what went wrong with the server; the library's own words are the reason."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        return f"can't be reached: it took no connection within {CONNECT_PATIENCE:g} s"
    if isinstance(error, httpx.ConnectError):
        hint = " (SSL_CERT_FILE=FILE names an authority to trust)" if "CERTIFICATE_VERIFY_FAILED" in reason else ""
        return f"can't be reached: {reason}{hint}"
    return f"broke off: {reason}"
