"""The WebSocket listener on loopback, with real clients and an engine that echoes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidMessage, InvalidStatus

from cometreel.engine.driver import Driver
from cometreel.mitmproxy_support.websocket_listener import TICKET, WebSocketListener
from cometreel.wire import Accept, Drop, Effect, Frame, Headers, Reply, Request
from tests.scripted_engines import IdleEngine


class Echo(IdleEngine):
    """Accepts `/chat` and echoes, rejects `/closed`, drops `/broken`; `bye` closes the connection."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.ended = asyncio.Event()

    def receive(self, request: Request, now: float) -> list[Effect]:
        match request.path:
            case "/chat":
                return [Accept(request.id, Headers([("Set-Cookie", "BAYEUX_BROWSER=1")])), Frame(request.id, "welcome")]
            case "/closed":
                return [Reply(request.id, 403, Headers([("X-Why", "closed")]), b"not today")]
        return [Drop(request.id)]

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        self.seen.append(text)
        return [Drop(request_id, 4001)] if text == "bye" else [Frame(request_id, text)]

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        self.seen.append("delivered")
        return []

    def gone(self, request_id: int, now: float) -> list[Effect]:
        self.seen.append("gone")
        self.ended.set()
        return []


class ListenerWithEngine:
    """A listener with its engine."""

    def __init__(self) -> None:
        self.engine = Echo()
        self.driver = Driver(self.engine)
        self.listener = WebSocketListener(self.driver, max_size=1000)

    async def ticket(self, path: str) -> tuple[str, dict[str, str]]:
        """Register an upgrade; return its URL and the header field with the ticket."""
        request = Request(self.driver.new_request_id(), "GET", path, websocket=True)
        (host, port), ticket = await self.listener.expect(request)
        return f"ws://{host}:{port}{path}", {TICKET: ticket}


@pytest.fixture
async def setup() -> AsyncIterator[ListenerWithEngine]:
    setup = ListenerWithEngine()
    yield setup
    setup.driver.close()
    await setup.listener.close()


async def test_messages_are_sent_both_ways_and_delivery_is_confirmed(setup: ListenerWithEngine) -> None:
    url, ticket = await setup.ticket("/chat")
    async with connect(url, additional_headers=ticket, proxy=None) as client:
        assert client.response is not None
        assert client.response.headers["Set-Cookie"] == "BAYEUX_BROWSER=1"
        assert await client.recv() == "welcome"
        await client.send("hello")
        assert await client.recv() == "hello"
    await setup.engine.ended.wait()
    assert setup.engine.seen == ["delivered", "hello", "delivered", "gone"]


async def test_the_engine_closes_a_connection_with_its_code(setup: ListenerWithEngine) -> None:
    url, ticket = await setup.ticket("/chat")
    async with connect(url, additional_headers=ticket, proxy=None) as client:
        await client.send("bye")
        assert await client.recv() == "welcome"
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4001


async def test_the_engine_may_reject_an_upgrade(setup: ListenerWithEngine) -> None:
    url, ticket = await setup.ticket("/closed")
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=ticket, proxy=None)
    response = refused.value.response
    assert (response.status_code, response.headers["X-Why"], response.body) == (403, "closed", b"not today")
    await setup.engine.ended.wait()


async def test_an_upgrade_that_the_engine_drops_gets_no_reply(
    setup: ListenerWithEngine, caplog: pytest.LogCaptureFixture
) -> None:
    url, ticket = await setup.ticket("/broken")
    with pytest.raises(InvalidMessage, match="did not receive a valid HTTP response"):
        await connect(url, additional_headers=ticket, proxy=None)
    await setup.engine.ended.wait()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("ticket", [{}, {TICKET: "made up"}])
async def test_an_upgrade_without_a_ticket_is_rejected(setup: ListenerWithEngine, ticket: dict[str, str]) -> None:
    url, _ = await setup.ticket("/chat")
    with pytest.raises(InvalidStatus, match="403"):
        await connect(url, additional_headers=ticket, proxy=None)
    assert setup.engine.seen == []


async def test_a_ticket_is_valid_once(setup: ListenerWithEngine) -> None:
    url, ticket = await setup.ticket("/chat")
    async with connect(url, additional_headers=ticket, proxy=None):
        with pytest.raises(InvalidStatus, match="403"):
            await connect(url, additional_headers=ticket, proxy=None)


async def test_binary_and_too_long_messages_close_the_connection(setup: ListenerWithEngine) -> None:
    codes = []
    for message in (b"bytes", "x" * 1001):
        url, ticket = await setup.ticket("/chat")
        async with connect(url, additional_headers=ticket, proxy=None) as client:
            assert await client.recv() == "welcome"
            await client.send(message)
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        assert closed.value.rcvd is not None
        codes.append(closed.value.rcvd.code)
    assert codes == [1003, 1009]


async def test_an_invalid_upgrade_is_rejected_without_the_engine(setup: ListenerWithEngine) -> None:
    url, ticket = await setup.ticket("/chat")
    port = int(url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    field = f"{TICKET}: {ticket[TICKET]}"
    writer.write(f"GET /chat HTTP/1.1\r\nHost: x\r\n{field}\r\nUpgrade: websocket\r\n\r\n".encode())
    assert await reader.readline() == b"HTTP/1.1 426 Upgrade Required\r\n"
    writer.close()
    assert setup.engine.seen == []


async def test_the_first_subprotocol_of_a_browser_is_accepted(setup: ListenerWithEngine) -> None:
    url, ticket = await setup.ticket("/chat")
    async with connect(url, additional_headers=ticket, proxy=None, subprotocols=["cometd", "other"]) as client:  # type: ignore[list-item]  # plain text will do
        assert client.subprotocol == "cometd"


async def test_a_stop_closes_with_going_away(setup: ListenerWithEngine) -> None:
    url, ticket = await setup.ticket("/chat")
    async with connect(url, additional_headers=ticket, proxy=None) as client:
        assert await client.recv() == "welcome"
        setup.driver.close()
        with pytest.raises(ConnectionClosedOK) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
