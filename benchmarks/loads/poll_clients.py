"""Clients that hold one CometD poll each; `polls` runs them in a process.

`python -m benchmarks.loads.poll_clients PORT SESSIONS RATE SECONDS` opens sessions, prints `ready` and their number,
waits for a line on its standard input, sends POSTs at the rate, each by the next session, and prints the milliseconds
from each POST to its notification as JSON. Each poll is followed by the next one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time

import uvloop

from benchmarks.engine import PATH, request_body
from benchmarks.http_load import handshake_message, post

OPENING = 45.0  # seconds; on a busy machine fewer sessions are opened
AT_ONCE = 100  # sessions that are opened concurrently
POST_CONNECTIONS = 50
PER_ADDRESS = 15_000  # connections from one loopback address, so that there are enough ports
PATIENCE = 5.0  # seconds to wait for the last notifications
BODY = json.dumps(request_body(0)).encode()
SET_COOKIE = re.compile(rb"set-cookie: *([^;\r]+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class HeldPollClient(asyncio.Protocol):
    """One session: handshake, a first poll that is answered at once, and then held polls, one after the other."""

    __slots__ = ("_data", "_poll", "_sent_at", "delays", "opened", "request", "transport")
    transport: asyncio.Transport

    def __init__(self, delays: list[float], opened: asyncio.Future[None]) -> None:
        self.delays, self.opened = delays, opened
        self._data = self._poll = self.request = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as for any TCP client
        """Send the handshake."""
        self.transport = transport
        handshake = handshake_message()
        transport.write(post(PATH, json.dumps([handshake]).encode()).request)

    def data_received(self, data: bytes) -> None:
        """Take a complete reply, and send the next request."""
        self._data = data = self._data + data
        head = data.find(b"\r\n\r\n")
        if head < 0 or (found := _LENGTH.search(data, 0, head + 2)) is None or len(data) < head + 4 + int(found[1]):
            return
        self._data = b""
        if not self._poll:
            self._open(data[:head], json.loads(data[head + 4 :]))
            return
        if b"WorkbinStatsMessage" in data:
            self.delays.append(1000 * (time.perf_counter() - self._sent_at))
        self.transport.write(self._poll)
        if not self.opened.done():
            self.opened.set_result(None)

    def _open(self, head: bytes, messages: list[dict[str, str]]) -> None:
        cookies = "; ".join(cookie.decode() for cookie in SET_COOKIE.findall(head))
        connect = {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": messages[-1]["clientId"]}
        first = json.dumps([{**connect, "advice": {"timeout": 0}}]).encode()
        self._poll = post(PATH, json.dumps([connect]).encode(), Cookie=cookies).request
        self.request = post("/api/v2/workbins", BODY, Cookie=cookies).request
        self.transport.write(post(PATH, first, Cookie=cookies).request)

    def send_by(self, connection: asyncio.WriteTransport) -> None:
        """Send the POST of this session on another connection."""
        self._sent_at = time.perf_counter()
        connection.write(self.request)


async def main(port: int, count: int, rate: float, seconds: float) -> None:
    """Open the sessions, send the POSTs, and print the delays."""
    loop, delays, limit = asyncio.get_running_loop(), list[float](), asyncio.Semaphore(AT_ONCE)

    begin = time.perf_counter()

    async def opened(number: int) -> HeldPollClient | None:
        async with limit:
            if time.perf_counter() - begin > OPENING:
                return None
            client = HeldPollClient(delays, loop.create_future())
            source = (f"127.0.0.{1 + number // PER_ADDRESS}", 0)
            await loop.create_connection(lambda: client, "127.0.0.1", port, local_addr=source)
            await client.opened
            return client

    found = await asyncio.gather(*(opened(number) for number in range(count)))
    clients = [client for client in found if client is not None]
    posts = [(await loop.create_connection(asyncio.Protocol, "127.0.0.1", port))[0] for _ in range(POST_CONNECTIONS)]
    print(f"ready {len(clients)}", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    begin, total = time.perf_counter(), int(rate * seconds)
    turn = zip(range(total), itertools.cycle(clients), itertools.cycle(posts), strict=False)
    for number, client, connection in turn:
        if (pause := begin + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        client.send_by(connection)
    end = time.perf_counter() + PATIENCE
    while len(delays) < total and time.perf_counter() < end:  # noqa: ASYNC110  # an event would cost time per notification
        await asyncio.sleep(0.05)
    print(json.dumps({"sent": total, "seconds": time.perf_counter() - begin, "delays": delays}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
