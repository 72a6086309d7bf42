"""A light HTTP/1.1 load generator on asyncio streams: keep-alive, one request in flight per connection.

It only counts complete replies, so that its own cost stays far below that of the measured server.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS = 8.0
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MeasuredExchange:
    """One request as bytes, and the expected status of its reply."""

    request: bytes
    status: int = 200


def post(path: str, body: bytes, **headers: str) -> MeasuredExchange:
    """Return a POST with a JSON body; `_` in the name of a header is replaced by `-`."""
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}"
    return MeasuredExchange(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def handshake_message(transport: str = "long-polling") -> dict[str, object]:
    """Return the handshake of a CometD client with one transport."""
    return {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": [transport]}


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: MeasuredExchange) -> bytes:
    """Send one request and return head and body of its reply.

    :raises AssertionError: if the status isn't the expected one.
    """
    writer.write(exchange.request)
    head = await reader.readuntil(b"\r\n\r\n")
    found = _LENGTH.search(head)
    body = await reader.readexactly(int(found[1])) if found else b""
    status = int(head.split(b" ", 2)[1])
    assert status == exchange.status, f"{status} instead of {exchange.status}: {body[:500]!r}"
    return head + body


async def _run(port: int, exchange: MeasuredExchange, connections: int, each: int) -> float:
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(each):
            await send(reader, writer, exchange)

    begin = time.perf_counter()
    await asyncio.gather(*(repeat(*streams) for streams in opened))
    seconds = time.perf_counter() - begin
    for _, writer in opened:
        writer.close()
    return connections * each / seconds


def requests_per_second(port: int, exchange: MeasuredExchange, *, connections: int = 8, each: int = 100) -> float:
    """Send `connections * each` requests and return the replies per second."""
    return asyncio.run(_run(port, exchange, connections, each))


async def _latencies(port: int, exchange: MeasuredExchange, rate: float, seconds: float, delay: float) -> list[float]:
    connections = [(await asyncio.open_connection("127.0.0.1", port), asyncio.Lock()) for _ in range(4)]
    begin = time.perf_counter() + delay

    async def one(number: int) -> float:
        intended = begin + number / rate
        await asyncio.sleep(intended - time.perf_counter())
        streams, lock = connections[number % len(connections)]
        async with lock:
            await send(*streams, exchange)
        return time.perf_counter() - intended

    found = await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    for (_, writer), _ in connections:
        writer.close()
    return found


async def _interleaved(ports: Sequence[int], exchange: MeasuredExchange, rate: float) -> list[list[float]]:
    delays = [0.5 + number / rate / len(ports) for number in range(len(ports))]
    running = (_latencies(port, exchange, rate, SECONDS, delay) for port, delay in zip(ports, delays, strict=True))
    return await asyncio.gather(*running)


def p99_seconds(ports: Sequence[int], exchange: MeasuredExchange, rate: float) -> list[float]:
    """Send requests to each server at a constant rate; return the 99th percentiles of the times from intended starts.

    The servers get their requests in turn, so that another load of the machine affects all of them.
    """
    return [sorted(found)[int(len(found) * 0.99)] for found in asyncio.run(_interleaved(ports, exchange, rate))]


def first_event_seconds(port: int, path: str, *, times: int = 50) -> list[float]:
    """Open an event stream several times; return the times from the request to the first event."""
    return asyncio.run(_first_events(port, path, times))


async def _first_events(port: int, path: str, times: int) -> list[float]:
    found: list[float] = []
    for _ in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begin = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await asyncio.wait_for(reader.readuntil(b"data: "), 10)
        found.append(time.perf_counter() - begin)
        writer.close()
    return found
