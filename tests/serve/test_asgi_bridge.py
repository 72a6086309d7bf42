"""ASGI applications on the server's own connections: bodies in parts, back-pressure, disconnects, errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.serve.memory_transport import MemoryTransport, connected, settled

GET = b"GET /a%20b?c=%20d HTTP/1.1\r\nHost: x:1\r\nX-Kind: \xe9\r\n\r\n"
OK = {"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"2")]}
DONE = {"type": "http.response.body", "body": b"ok"}
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FAILED = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
    b"connection: close\r\n\r\nInternal Server Error"
)


def play(app: ASGIApp, script: Callable[[MemoryTransport], Awaitable[None]]) -> None:
    """Run a script with a connection to an application."""

    async def run() -> None:
        await script(connected(app))

    asyncio.run(run())


def test_the_scope_describes_the_request() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(OK)
        await send(DONE)

    async def script(transport: MemoryTransport) -> None:
        transport.receive(GET)
        await settled(transport)
        assert transport.data == ANSWER

    play(app, script)
    (scope,) = scopes
    del scope["extensions"]
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 4711),
        "client": ("127.0.0.1", 4711),
        "scheme": "http",
        "root_path": "",
        "method": "GET",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=%20d",
        "headers": [(b"host", b"x:1"), (b"x-kind", b"\xe9")],
        "state": {},
    }


def test_a_stream_waits_for_a_client_that_does_not_read() -> None:
    sent: list[int] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    async def script(transport: MemoryTransport) -> None:
        transport.receive(GET)
        transport.protocol.pause_writing()
        await settled(transport)
        assert (sent, transport.data) == ([], b"")
        transport.protocol.resume_writing()
        await settled(transport)
        assert sent == [0, 1, 2]
        assert transport.data.endswith(b"\r\n\r\n1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n")

    play(app, script)


def test_an_application_that_streams_learns_that_its_client_is_gone() -> None:
    messages: list[Message] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        messages.extend([await receive(), await receive()])
        await send({"type": "http.response.body", "body": b"ignored"})

    async def script(transport: MemoryTransport) -> None:
        transport.receive(GET)
        await settled(transport)
        transport.lose()
        await settled(transport)

    play(app, script)
    assert messages == [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]


def test_a_body_is_read_as_fast_as_the_application_takes_it() -> None:
    sizes: list[tuple[int, bool]] = []
    go_on = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            sizes.append((len(message["body"]), more))
        await send(OK)
        await send(DONE)

    async def script(transport: MemoryTransport) -> None:
        transport.receive(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
        transport.receive(b"x" * 50_000)
        assert not transport.is_reading_paused
        transport.receive(b"x" * 50_000)
        await settled(transport)
        assert (transport.is_reading_paused, transport.data) == (True, b"")
        go_on.set()
        await settled(transport)
        assert (transport.is_reading_paused, transport.data) == (False, b"HTTP/1.1 100 Continue\r\n\r\n")
        transport.receive(b"x")
        await settled(transport)
        assert transport.data.endswith(ANSWER)

    play(app, script)
    assert sizes == [(100_000, True), (1, False)]


def test_the_rest_of_a_body_that_the_application_does_not_read_is_discarded() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(OK)
        await send(DONE)

    async def script(transport: MemoryTransport) -> None:
        transport.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nxx")
        await settled(transport)
        assert transport.data == ANSWER
        transport.receive(b"x" * 8 + GET)
        await settled(transport)
        assert (transport.data, transport.closed) == (ANSWER * 2, False)

    play(app, script)


async def _raises(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ValueError("a bug")


async def _returns(_scope: Scope, _receive: Receive, _send: Send) -> None:
    pass


async def _stops(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(OK)


async def _exceeds(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(OK)
    await send({"type": "http.response.body", "body": b"too long"})


async def _falls_short(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(OK)
    await send({"type": "http.response.body", "body": b"o"})


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("app", "answer", "logged"),
    [
        (_raises, FAILED, "Exception in ASGI application"),
        (_returns, FAILED, "ASGI callable returned without a response."),
        (_stops, HEAD, "ASGI callable returned without completing response."),
        (_exceeds, HEAD, "Exception in ASGI application"),
        (_falls_short, HEAD + b"o", "Exception in ASGI application"),
    ],
)
def test_an_application_that_fails_gets_its_connection_closed(
    app: ASGIApp, answer: bytes, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(transport: MemoryTransport) -> None:
        transport.receive(GET * 2)
        await settled(transport)
        assert (transport.data, transport.closed) == (answer, True)

    caplog.set_level(logging.ERROR)
    play(app, script)
    assert caplog.messages == [logged]
