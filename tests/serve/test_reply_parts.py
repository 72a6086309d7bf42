"""Replies in parts, held requests and clients that don't read: what is written, and what the engine is told.

A scripted engine, and a transport in memory: `ReplayApp` on the connection, and as an ASGI application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cometreel.cors import CrossOriginAccess
from cometreel.engine.driver import Driver
from cometreel.serve import ReplayApp
from cometreel.serve.server_connections import HttpConnection
from cometreel.wire import Begin, Chunk, Drop, Effect, End, Headers, Reply
from tests.scripted_engines import TEXT, PartsEngine
from tests.serve.memory_transport import EmbeddedApp, MemoryTransport, connected, settled


class Talk:
    """One client of a scripted engine."""

    def __init__(self, app: ReplayApp, engine: PartsEngine, transport: MemoryTransport) -> None:
        self._app, self._engine, self.transport = app, engine, transport
        self._read = 0

    async def sends(self, path: str, version: str = "1.1", method: str = "GET", fields: str = "") -> None:
        self.transport.receive(f"{method} {path} HTTP/{version}\r\nHost: x\r\n{fields}\r\n".encode())
        await settled(self.transport)

    async def performs(self, *effects: Effect) -> None:
        self._app.driver.apply(lambda _now: effects)
        await settled(self.transport)

    @property
    def got(self) -> bytes:
        """Everything that was written since the last look."""
        data = self.transport.data[self._read :]
        self._read += len(data)
        return data

    @property
    def seen(self) -> list[str]:
        """The reports to the engine since the last look."""
        seen, self._engine.seen = self._engine.seen, []
        return seen

    def blocks(self) -> None:
        """The client doesn't read."""
        self.transport.protocol.pause_writing()

    async def reads(self) -> None:
        """The client reads again."""
        self.transport.protocol.resume_writing()
        await settled(self.transport)

    async def leaves(self) -> None:
        self.transport.lose()
        await settled(self.transport)


Script = Callable[[Talk], Awaitable[None]]


def play(script: Script, *, direct: bool, cors: str | None = None) -> None:
    """Run a script on an event loop."""

    async def run() -> None:
        engine = PartsEngine()
        app = ReplayApp(Driver(engine), cors=CrossOriginAccess([cors]) if cors else None)
        await script(Talk(app, engine, connected(app if direct else EmbeddedApp(app))))

    asyncio.run(run())


both = pytest.mark.parametrize("direct", [True, False], ids=["connection", "ASGI"])
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@both
def test_the_parts_of_a_reply_are_chunks_and_each_is_confirmed(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/parts")
        assert talk.got == CHUNKED + b"5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n"
        assert talk.seen == ["delivered 1"] * 3
        await talk.sends("/parts", fields="Connection: close\r\n")
        close = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        assert talk.got == close + b"5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n"
        assert talk.transport.closed

    play(script, direct=direct)


@both
def test_parts_are_written_when_the_engine_sends_them(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        assert talk.got == b""
        await talk.performs(Begin(1, 200, TEXT))
        assert talk.got == CHUNKED
        await talk.performs(Chunk(1, b"a"), Chunk(1, b"b"))
        assert (talk.got, talk.seen) == (b"1\r\na\r\n1\r\nb\r\n", ["delivered 1", "delivered 1"])
        await talk.sends("/parts")
        assert talk.got == b""  # it waits for its turn
        await talk.performs(End(1))
        assert talk.got == b"0\r\n\r\n" + CHUNKED + b"5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n"
        assert not talk.transport.closed

    play(script, direct=direct)


@both
def test_a_client_of_http_1_0_gets_the_parts_until_the_connection_closes(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/parts", "1.0")
        assert talk.got == HEAD + b"connection: close\r\n\r\none, two"
        assert (talk.seen, talk.transport.closed) == (["delivered 1"] * 3, True)

    play(script, direct=direct)


@both
def test_the_parts_of_a_reply_to_head_are_discarded_and_confirmed(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/parts", method="HEAD")
        assert (talk.got, talk.seen) == (HEAD + b"\r\n", ["delivered 1"] * 3)
        await talk.sends("/held")
        await talk.performs(Reply(2, 204))
        assert talk.got == b"HTTP/1.1 204 No Content\r\n\r\n"

    play(script, direct=direct)


@both
def test_a_reply_in_parts_can_be_read_by_a_page_of_another_origin(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/parts", fields="Origin: http://page.example\r\n")
        got = talk.got
        assert b"access-control-allow-origin: http://page.example\r\n" in got
        assert got.endswith(b"transfer-encoding: chunked\r\n\r\n5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n")

    play(script, direct=direct, cors="http://page.example")


@both
def test_a_client_that_leaves_between_two_parts_is_reported_once(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        await talk.performs(Begin(1, 200), Chunk(1, b"a"))
        await talk.leaves()
        await talk.performs(Chunk(1, b"too late"), End(1))
        assert talk.seen == ["delivered 1", "gone 1"]

    play(script, direct=direct)


@both
def test_a_drop_between_two_parts_closes_the_connection(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        await talk.performs(Begin(1, 200, TEXT), Chunk(1, b"a"), Drop(1))
        assert (talk.got, talk.transport.aborted) == (CHUNKED + b"1\r\na\r\n", True)

    play(script, direct=direct)


@both
def test_parts_wait_for_a_client_that_does_not_read_and_are_confirmed_when_written(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        await talk.performs(Begin(1, 200, TEXT), Chunk(1, b"a"))
        talk.blocks()
        assert (talk.got, talk.seen) == (CHUNKED + b"1\r\na\r\n", ["delivered 1"])
        await talk.performs(Chunk(1, b"b"), Chunk(1, b"c"), End(1))
        assert (talk.got, talk.seen) == (b"", [])
        await talk.reads()
        assert (talk.got, talk.seen) == (b"1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", ["delivered 1"] * 2)

    play(script, direct=direct)


@both
def test_a_held_request_is_answered_and_confirmed_when_its_client_reads(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        talk.blocks()
        await talk.performs(Reply(1, 200, TEXT, b"news"))
        assert (talk.got, talk.seen) == (b"", [])
        await talk.reads()
        assert (talk.got, talk.seen) == (HEAD + b"content-length: 4\r\n\r\nnews", ["delivered 1"])

    play(script, direct=direct)


@both
def test_a_reply_to_a_client_that_leaves_without_reading_is_not_delivered(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        talk.blocks()
        await talk.performs(Reply(1, 200, TEXT, b"news"))
        await talk.leaves()
        assert (talk.got, talk.seen) == (b"", ["gone 1"])

    play(script, direct=direct)


@both
def test_a_client_that_leaves_a_held_request_is_reported(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        await talk.leaves()
        assert talk.seen == ["gone 1"]

    play(script, direct=direct)


@both
def test_a_client_that_leaves_after_its_reply_is_not_reported(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        await talk.performs(Reply(1, 200))
        await talk.leaves()
        assert talk.seen == ["delivered 1"]

    play(script, direct=direct)


@both
def test_a_request_behind_a_held_one_is_answered_after_it(direct: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        await talk.sends("/held")
        await talk.performs(Reply(1, 200, TEXT, b"1"))
        assert talk.got == HEAD + b"content-length: 1\r\n\r\n1"
        await talk.performs(Reply(2, 200, TEXT, b"2"))
        assert (talk.got, talk.seen) == (HEAD + b"content-length: 1\r\n\r\n2", ["delivered 1", "delivered 2"])

    play(script, direct=direct)


def test_a_client_that_does_not_read_gets_no_further_answers() -> None:
    """Its requests wait, and after sixteen the server reads no more."""
    asks = "Origin: http://page.example\r\nAccess-Control-Request-Method: GET\r\n"

    async def script(talk: Talk) -> None:
        talk.blocks()
        for _ in range(16):
            await talk.sends("/held", method="OPTIONS", fields=asks)
        assert (talk.got, talk.transport.is_reading_paused) == (b"", True)
        await talk.reads()
        assert talk.got.count(b"HTTP/1.1 204 No Content\r\n") == 16
        assert not talk.transport.is_reading_paused

    play(script, direct=True, cors="http://page.example")


def test_a_refused_request_of_a_client_that_does_not_read_gets_one_error_after_earlier_answers() -> None:
    async def script(talk: Talk) -> None:
        talk.blocks()
        await talk.sends("/parts")
        talk.transport.receive(b"nonsense\r\n\r\n")
        await settled(talk.transport)
        assert talk.got == b""
        await talk.reads()
        answer, _, error = talk.got.partition(b"0\r\n\r\n")
        assert answer == CHUNKED + b"5\r\none, \r\n3\r\ntwo\r\n"
        assert (error[:12], error.count(b"HTTP/1.1")) == (b"HTTP/1.1 400", 1)

    play(script, direct=True)


def test_an_engine_that_fails_gets_an_error_and_the_next_connection_is_served(caplog: pytest.LogCaptureFixture) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/fails")
        answer = b"content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\nconnection: close\r\n\r\n"
        assert talk.got == b"HTTP/1.1 500 Internal Server Error\r\n" + answer + b"Internal Server Error"
        assert talk.transport.closed

    play(script, direct=True)
    assert caplog.messages == ["A request could not be answered."]


def test_a_field_that_http_does_not_allow_closes_the_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends("/held")
        await talk.performs(Reply(1, 200, Headers([("X", "a\r\nSet-Cookie: b")])))
        assert (talk.got, talk.transport.closed) == (b"", True)
        await talk.leaves()
        assert talk.seen == ["gone 1"]

    play(script, direct=True)
    text = "A connection was closed instead of a reply: the field b'x' has a name or a value that HTTP doesn't allow."
    assert caplog.messages == [text]


@pytest.mark.parametrize(
    ("path", "seconds", "aborted"), [("/parts", 75, False), ("/held", None, False)], ids=["idle", "held"]
)
def test_an_idle_connection_has_a_time_limit_and_a_held_request_has_none(
    path: str, seconds: float | None, aborted: bool
) -> None:
    async def script(talk: Talk) -> None:
        await talk.sends(path)
        now, connection = asyncio.get_running_loop().time(), talk.transport.protocol
        assert isinstance(connection, HttpConnection)
        if seconds is None:
            assert connection.read_deadline == float("inf")
        else:
            assert now < connection.read_deadline <= now + seconds
            connection.expire(connection.read_deadline + 1)
            assert talk.transport.closed
        assert talk.transport.aborted is aborted

    play(script, direct=True)
