"""The writes of a connection to its transport."""

from __future__ import annotations

import asyncio
import gc
import re

import pytest
from websockets.server import ServerProtocol

from cometreel.engine import Backend
from cometreel.scenario import loads
from cometreel.serve import Limits, replay_app
from cometreel.serve.request_parser import RequestParser
from cometreel.serve.server_connections import HttpConnection
from cometreel.serve.server_context import ServerContext
from cometreel.serve.websocket_connection import ReplayWebSocket, WebSocketConnection
from tests.serve.conftest import SCENARIO
from tests.serve.memory_transport import MemoryTransport, connected, settled
from tests.serve.test_raw_requests import SHAKES, frame, post
from tests.serve.test_websocket_connection import CLOSE, UPGRADE


def written(request: bytes) -> MemoryTransport:
    """Return a transport on which a replay has answered this request."""

    async def answered() -> MemoryTransport:
        async with replay_app(loads(SCENARIO.replace("endpoint", "require_cookie: false, endpoint")))() as app:
            transport = connected(app)
            transport.receive(request)
            return transport

    return asyncio.run(answered())


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])
def test_head_and_body_of_a_response_are_sent_together(last: bytes):
    """A waiting client gets one packet."""
    transport = written(b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n" + last + b"\r\n")
    (piece,) = transport.pieces
    assert piece.startswith(b"HTTP/1.1 200 OK\r\n")
    assert piece.endswith(b"\r\n\r\na page")
    assert transport.closed is bool(last)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"HEAD /api/v2/page HTTP/1.1", b"200 OK"), (b"GET /api/v2/nothing HTTP/1.1", b"204 No Content")],
)
def test_a_response_without_a_body_is_sent_immediately(request_line: bytes, status: bytes):
    (piece,) = written(request_line + b"\r\nHost: x\r\n\r\n").pieces
    assert piece.startswith(b"HTTP/1.1 " + status)
    assert piece.endswith(b"\r\n\r\n")


def test_head_announces_the_length_of_the_get():
    """The head is the same, with the length of the body that isn't sent (RFC 9110 §9.3.2)."""
    (get,) = written(b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n").pieces
    (head,) = written(b"HEAD /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n").pieces
    assert b"content-length: 6\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    assert b"content-length: 6\r\n" in get


def test_replies_to_several_connections_are_written_together():
    """Those of one iteration of the event loop; the sixteenth doesn't wait for more, and neither does a close."""

    async def counted() -> list[int]:
        async with replay_app(loads(SCENARIO))() as app:
            context = ServerContext(app, Limits(20), asyncio.get_running_loop())
            clients = [connected(context) for _ in range(17)]
            page = b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n"
            found = []
            for client in clients:
                client.receive(page)
                found.append(sum(bool(each.data) for each in clients))
            await asyncio.sleep(0)
            found.append(sum(bool(each.data) for each in clients))
            clients[0].receive(page)
            clients[1].receive(page.replace(b"1.1", b"1.0"))
            assert clients[1].closed
            assert clients[0].data.count(b"a page") == clients[1].data.count(b"a page") == 2
            return found

    assert asyncio.run(counted()) == [*[0] * 15, 16, 16, 17]


class DeafTransport(MemoryTransport):
    """A transport whose client reads nothing: it takes 64 KiB, as those of asyncio and uvloop."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        if len(self.data) > 64 * 1024:
            self.protocol.pause_writing()


@pytest.mark.parametrize(("size", "written"), [(100, 100), (10_000, 7), (100_000, 1)])
def test_replies_that_a_client_does_not_read_are_not_written(size: int, written: int):
    """Its next requests are not answered, so no notification counts as delivered that only waits in memory."""

    async def counted() -> list[int]:
        text = SCENARIO.replace('"a page"', "x" * size)
        async with replay_app(loads(text))() as app:
            deaf = connected(app, transport=DeafTransport())
            deaf.receive(b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            await settled(deaf)
            assert isinstance(app.driver.engine, Backend)
            return [deaf.data.count(b"HTTP/1.1 200 OK"), app.driver.engine.journal.last]

    assert asyncio.run(counted()) == [written, written]


def test_other_connections_have_their_turn_between_many_pipelined_requests():
    """A client can't keep the server busy with one packet."""

    async def counted() -> list[int]:
        async with replay_app(loads(SCENARIO))() as app:
            context = ServerContext(app, Limits(2), asyncio.get_running_loop())
            greedy, other = connected(context), connected(context)
            page = b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n"
            greedy.receive(page * 100)
            first = greedy.data.count(b"a page")
            other.receive(page)
            await asyncio.sleep(0)
            between = other.data.count(b"a page")
            await settled(greedy)
            return [first, between, greedy.data.count(b"a page")]

    assert asyncio.run(counted()) == [16, 1, 100]


def test_an_answered_request_and_a_held_poll_have_neither_a_task_nor_a_future():
    """A held poll is an entry in a table."""

    def futures() -> list[object]:
        """Return the futures of this process; a task is one, too."""
        return [each for each in gc.get_objects() if isinstance(each, asyncio.Future)]

    async def held() -> tuple[int, list[object]]:
        async with replay_app(loads(SCENARIO.replace("endpoint", "require_cookie: false, endpoint")))() as app:
            before, transport = futures(), connected(app)
            transport.receive(post("/api/v2/notifications", SHAKES))
            await asyncio.sleep(0)  # then the reply is written
            (client_id,) = re.findall(rb'"clientId":"(\w+)"', transport.data)
            connect = b'[{"channel":"/meta/connect","connectionType":"long-polling","clientId":"%b"}]' % client_id
            transport.receive(post("/api/v2/notifications", connect))  # is answered at once
            transport.receive(post("/api/v2/notifications", connect))
            await asyncio.sleep(0)
            return len(app.driver._held), [each for each in futures() if each not in before]

    assert asyncio.run(held()) == (1, [])


WEBSOCKET = UPGRADE % (b"/api/v2/notifications", b"")


@pytest.mark.parametrize(
    "sent",
    [
        WEBSOCKET,
        WEBSOCKET + frame(CLOSE, b"\x03\xe8"),
        WEBSOCKET + b"\xff",
        b"POST /a HTTP/1.1\r\nHost",
        b"no HTTP\r\n\r\n",
    ],
    ids=["WebSocket", "closed WebSocket", "failed WebSocket", "half a request", "invalid request"],
)
def test_a_lost_connection_is_freed_without_the_garbage_collector(sent: bytes):
    """It runs rarely, because traversing the sessions takes long."""

    async def lost(context: ServerContext) -> None:
        transport = connected(context)
        transport.receive(sent)
        await settled(transport)
        transport.lose()
        del transport.protocol  # asyncio's transports do this, too

    async def left() -> list[str]:
        async with replay_app(loads(SCENARIO))() as app:
            context = ServerContext(app, Limits(2), asyncio.get_running_loop())
            gc.collect()
            known = {id(each) for each in gc.get_objects()}
            gc.disable()
            try:
                await lost(context)
                new = (each for each in gc.get_objects() if id(each) not in known)
                kinds = (HttpConnection, WebSocketConnection, ReplayWebSocket, RequestParser, ServerProtocol)
                return [type(each).__name__ for each in new if isinstance(each, kinds)]
            finally:
                gc.enable()

    assert asyncio.run(left()) == []
