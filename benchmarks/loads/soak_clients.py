"""Clients of the soak: each opens a session over one transport, plays exchanges, leaves, and comes again."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeAlias
from urllib.parse import quote

from websockets.asyncio.client import connect

from benchmarks.engine import PATH, request_body
from benchmarks.http_load import MeasuredExchange, handshake_message, post, send
from benchmarks.loads.poll_clients import SET_COOKIE

__all__ = ["TRANSPORTS", "ClientFailed", "SoakClients"]

TRANSPORTS: Final = ("long-polling", "callback-polling", "websocket")
STAY = (5.0, 60.0)
"""Seconds that a client stays, at least and at most."""
ABRUPT = 0.3
"""The share of clients that leave without `/meta/disconnect`."""
PATIENCE = 20.0  # seconds for a connection, a reply or a notification
NOTIFICATION = b"WorkbinStatsMessage"
BODY = json.dumps(request_body(0)).encode()
_CALLBACK = re.compile(rb"(?s)(?:/\*\*/)?cb\((.*)\)")

Messages: TypeAlias = "list[dict[str, object]]"
SendMessages: TypeAlias = Callable[[Messages], Awaitable[bytes]]
"""Sends Bayeux messages, and returns the messages of the answer as bytes."""
Streams: TypeAlias = "tuple[asyncio.StreamReader, asyncio.StreamWriter]"


class ClientFailed(Exception):
    """A client got a wrong reply, or none in time."""


@dataclass(slots=True)
class SoakClients:
    """The clients, and their counts by transport. `rate` is the number of exchanges per second of all clients."""

    port: int
    number: int
    rate: float
    seed: int = 1
    exchanges: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TRANSPORTS, 0))
    """The complete exchanges: a POST, its reply, its notification and the next poll."""
    sessions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TRANSPORTS, 0))
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to let each client begin and complete one more exchange, then end."""

    async def run(self, number: int) -> None:
        """Be one client until the end: one session after another.

        :raises ClientFailed: if a reply or a notification is wrong or doesn't come in time, or a connection is closed.
        """
        random, transport = Random(self.seed * 1_000_000 + number), TRANSPORTS[number % len(TRANSPORTS)]
        await self._pause(random.uniform(0, self.number / self.rate))
        is_last = False
        while not is_last:
            try:
                async with AsyncExitStack() as stack:
                    is_last = await self._session(transport, random, stack)
            except Exception as error:
                raise ClientFailed(f"client {number}, {transport}: {type(error).__name__}: {error}") from error

    async def _pause(self, seconds: float) -> None:
        """Wait; not longer than until the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), seconds)

    async def _session(self, transport: str, random: Random, stack: AsyncExitStack) -> bool:
        """Play exchanges; return True if the last one began after `ending` was set."""
        loop = asyncio.get_running_loop()
        until, ids = loop.time() + random.uniform(*STAY), itertools.count(1)
        calls = await self._connected(stack)
        cookies = _cookies(await _reply(calls, post("/api/v2/workbins", BODY)))
        bayeux = await self._opened(transport, cookies, stack)
        (shaken,) = json.loads(await bayeux([{**handshake_message(transport), "id": str(next(ids))}]))
        about: dict[str, object] = {"clientId": shaken["clientId"]}
        poll = {"channel": "/meta/connect", "connectionType": transport, **about}
        await bayeux([{**poll, "id": str(next(ids)), "advice": {"timeout": 0}}])
        self.sessions[transport] += 1
        due, is_last = loop.time(), False
        while loop.time() < until and not is_last:
            is_last = self.ending.is_set()
            held = asyncio.ensure_future(_with_notification(bayeux, poll, ids))
            try:
                await _reply(calls, post("/api/v2/workbins", BODY, Cookie="; ".join(cookies)))
                async with _in_time("the notification"):
                    await held
            finally:
                held.cancel()
            self.exchanges[transport] += 1
            due += self.number / self.rate * random.uniform(0.5, 1.5)
            await self._pause(max(0.0, due - loop.time()))
            due = max(due, loop.time() - 1)
        if random.random() >= ABRUPT:
            await bayeux([{"channel": "/meta/disconnect", "id": str(next(ids)), **about}])
        return is_last

    async def _connected(self, stack: AsyncExitStack) -> Streams:
        async with _in_time("the connection"):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        stack.callback(writer.close)
        return reader, writer

    async def _opened(self, transport: str, cookies: list[str], stack: AsyncExitStack) -> SendMessages:
        """Open the connection for Bayeux messages."""
        if transport == "websocket":
            uri, fields = f"ws://127.0.0.1:{self.port}{PATH}", {"Cookie": "; ".join(cookies)}
            socket = await stack.enter_async_context(connect(uri, additional_headers=fields, compression=None))

            async def over_websocket(messages: Messages) -> bytes:
                async with _in_time(f"the answer to {messages[0]['channel']}"):
                    await socket.send(json.dumps(messages))
                    return (await socket.recv()).encode()  # type: ignore[union-attr]  # Bayeux messages are text

            return over_websocket
        streams = await self._connected(stack)
        if transport == "long-polling":

            async def by_post(messages: Messages) -> bytes:
                reply = await _reply(streams, post(PATH, json.dumps(messages).encode(), Cookie="; ".join(cookies)))
                cookies.extend(_cookies(reply))
                return _body(reply)

            return by_post

        async def by_get(messages: Messages) -> bytes:
            query = f"jsonp=cb&message={quote(json.dumps(messages))}"
            head = f"GET {PATH}?{query} HTTP/1.1\r\nHost: localhost\r\nCookie: {'; '.join(cookies)}\r\n\r\n"
            reply = await _reply(streams, MeasuredExchange(head.encode()))
            cookies.extend(_cookies(reply))
            called = _CALLBACK.fullmatch(_body(reply))
            assert called is not None, "the answer is no call of the function"
            return called[1]

        return by_get


@asynccontextmanager
async def _in_time(awaited: str) -> AsyncIterator[None]:
    """Raise TimeoutError if the block takes longer than `PATIENCE`."""
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except TimeoutError:
        raise TimeoutError(f"{awaited} didn't come in {PATIENCE:g} s") from None


async def _reply(streams: Streams, exchange: MeasuredExchange) -> bytes:
    line = exchange.request.partition(b"\r\n")[0].decode()
    async with _in_time(f"the reply to {line}"):
        return await send(*streams, exchange)


async def _with_notification(bayeux: SendMessages, poll: dict[str, object], ids: Iterator[int]) -> None:
    """Poll until the notification is there; it may come before the poll."""
    while True:
        got = await bayeux([{**poll, "id": str(next(ids))}])
        if NOTIFICATION in got:
            return
        assert b'"successful":false' not in got, got


def _cookies(reply: bytes) -> list[str]:
    return [cookie.decode() for cookie in SET_COOKIE.findall(reply.partition(b"\r\n\r\n")[0])]


def _body(reply: bytes) -> bytes:
    return reply.partition(b"\r\n\r\n")[2]
