"""The stream of calls without a server: slow readers and idle streams."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from cometreel.engine import Backend, Control
from cometreel.scenario import loads
from cometreel.serve.admin.events import stream
from cometreel.wire import Request
from tests.serve.conftest import SCENARIO

WELCOME = b": the calls of this replay, as they come\n\n"


class Streamed:
    """A replay to which a test sends requests, and its stream."""

    def __init__(self, since: int | None = None) -> None:
        self.backend, self.closing, self.asked = Backend(loads(SCENARIO)), asyncio.Event(), 0
        self.events = stream(Control(self.backend), lambda _: datetime(2026, 1, 1, tzinfo=UTC), self.closing, since)

    def ask(self, times: int) -> None:
        for _ in range(times):
            self.asked += 1
            self.backend.receive(Request(self.asked, "GET", "/api/v2/page"), 0.0)

    async def numbers(self, count: int) -> list[int]:
        found = [await anext(self.events) for _ in range(count)]
        return [int(event.split()[1]) for event in found]


async def test_a_slow_reader_misses_the_oldest_calls_and_can_detect_it_by_their_numbers():
    streamed = Streamed()
    async with aclosing(streamed.events):
        assert await anext(streamed.events) == WELCOME
        streamed.ask(1002)
        assert await streamed.numbers(2) == [3, 4]


async def test_calls_written_during_an_event_are_not_lost():
    streamed = Streamed()
    async with aclosing(streamed.events):
        await anext(streamed.events)
        found = []
        for _ in range(3):
            streamed.ask(2)
            found += await streamed.numbers(1)
        assert found + await streamed.numbers(3) == [1, 2, 3, 4, 5, 6]


async def test_an_event_has_the_number_the_kind_and_the_call():
    streamed = Streamed()
    async with aclosing(streamed.events):
        await anext(streamed.events)
        streamed.ask(1)
        event = (await anext(streamed.events)).decode()
    assert re.fullmatch(r'id: 1\nevent: call\ndata: \{"number":1,"at":"2026-01-01T00:00:00.000Z",[^\n]*\}\n\n', event)


async def test_a_comment_keeps_an_idle_stream_open(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cometreel.serve.admin.events.KEEP_ALIVE", 0.0)
    streamed = Streamed()
    async with aclosing(streamed.events):
        assert [await anext(streamed.events) for _ in range(2)] == [WELCOME, b": still here\n\n"]
        streamed.ask(1)
        assert await streamed.numbers(1) == [1]


async def test_the_stream_ends_after_the_last_call_and_removes_its_listener():
    streamed = Streamed(since=0)
    await anext(streamed.events)
    assert len(streamed.backend.journal._listeners) == 1
    streamed.ask(1)
    streamed.closing.set()
    assert await streamed.numbers(1) == [1]
    assert [event async for event in streamed.events] == []
    assert streamed.backend.journal._listeners == []
