"""Puts load on a server with CometD sessions: a held poll each, and a second connection for requests.

Uses raw asyncio streams, so that its own cost stays below that of the measured server.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Self

from benchmarks.http_load import MeasuredExchange, handshake_message, post, send

ENDPOINT = "/api/v2/notifications"
_COOKIE = re.compile(rb"set-cookie: *([^;\r]+)", re.IGNORECASE)


@dataclass(slots=True)
class PollingSession:
    """One live session: poll connection, cookies and client id."""

    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    cookies: dict[str, str] = field(default_factory=dict)
    client_id: str = ""

    @classmethod
    async def open(cls, port: int) -> Self:
        """Handshake and poll once; the next poll is held."""
        session = cls(port, *await asyncio.open_connection("127.0.0.1", port, limit=4096))
        answer = await session._exchange(handshake_message())
        session.client_id = answer[-1]["clientId"]
        await session._exchange({**session._connect(), "advice": {"timeout": 0}})
        return session

    def hold(self) -> None:
        """Send a poll, which will be held."""
        self.writer.write(self._message(self._connect()).request)

    async def poll(self) -> bytes:
        """Send a poll and return its reply."""
        return await send(self.reader, self.writer, self._message(self._connect()))

    def request(self, path: str, body: bytes) -> MeasuredExchange:
        """Return a POST with the cookies of this session."""
        return post(path, body, Cookie=self.cookie)

    def _connect(self) -> dict[str, object]:
        return {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": self.client_id}

    def _message(self, message: dict[str, object]) -> MeasuredExchange:
        return post(ENDPOINT, json.dumps([message]).encode(), Cookie=self.cookie)

    async def _exchange(self, message: dict[str, object]) -> list[dict[str, str]]:
        reply = await send(self.reader, self.writer, self._message(message))
        for found in _COOKIE.findall(reply):
            name, _, value = found.decode().partition("=")
            self.cookies[name] = value
        answer: list[dict[str, str]] = json.loads(reply.split(b"\r\n\r\n", 1)[1])
        return answer

    @property
    def cookie(self) -> str:
        """Return the value of the Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


async def open_sessions(port: int, count: int, *, at_once: int = 50) -> list[PollingSession]:
    """Open `count` sessions, up to `at_once` concurrently."""
    found: list[PollingSession] = []
    while len(found) < count:
        batch = min(at_once, count - len(found))
        found += await asyncio.gather(*(PollingSession.open(port) for _ in range(batch)))
    return found


async def exchanges(
    sessions: list[PollingSession], path: str, body: bytes, *, seconds: float, rate: float | None
) -> list[float]:
    """Repeat in every session: send the request and wait for the notification on the held poll.

    Return the sorted seconds from each POST to its notification. `rate` is the number of exchanges per second of all
    sessions together; None sends the next request immediately.
    """
    delays: list[float] = []
    end = time.perf_counter() + seconds
    pause = None if rate is None else len(sessions) / rate

    async def repeat(session: PollingSession, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", session.port, limit=4096)
        request, due = session.request(path, body), time.perf_counter() + (pause or 0) * number / len(sessions)
        while due < end and time.perf_counter() < end:
            if pause is not None:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due += pause
            poll = asyncio.ensure_future(session.poll())
            await asyncio.sleep(0)
            began = time.perf_counter()
            await send(reader, writer, request)
            await poll
            delays.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(repeat(session, number) for number, session in enumerate(sessions)))
    return sorted(delays)
