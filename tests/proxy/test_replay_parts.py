"""Replies in parts through the replay addon: mitmproxy gets them whole, and the engine is told what was delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mitmproxy import flow as mitmproxy_flow
from mitmproxy import http

from cometreel.engine.driver import Driver
from cometreel.mitmproxy_support.flow_replayer import FlowReplayer
from cometreel.mitmproxy_support.replay_run import ReplayRun
from cometreel.mitmproxy_support.websocket_listener import WebSocketListener
from cometreel.wire import Begin, Chunk, Drop, Effect, End
from tests.proxy.test_replay_translation import flow
from tests.scripted_engines import TEXT, PartsEngine


class FlowTalk:
    """One client of a scripted engine, through the hooks of the addon."""

    def __init__(self) -> None:
        self.engine = PartsEngine()
        driver = Driver(self.engine)
        watching = asyncio.ensure_future(asyncio.sleep(0))
        self._run, self._replayer = ReplayRun(driver, WebSocketListener(driver, max_size=1), watching), FlowReplayer()

    def sends(self, path: str) -> tuple[http.HTTPFlow, asyncio.Task[None]]:
        sent = flow(path=path.encode())
        sent.live = True
        return sent, asyncio.ensure_future(self._replayer.answer(sent, self._run))

    async def performs(self, *effects: Effect) -> None:
        self._run.driver.apply(lambda _now: effects)
        await asyncio.sleep(0)

    async def is_sent(self, sent: http.HTTPFlow) -> None:
        """Mitmproxy has written the response."""
        self._replayer.response(sent)
        sent.live = False
        await asyncio.sleep(0)

    def fails(self, sent: http.HTTPFlow) -> None:
        """Mitmproxy could not write the response."""
        self._replayer.failed(sent)

    def leaves(self, sent: http.HTTPFlow) -> None:
        self._replayer.client_disconnected(sent.client_conn)

    @property
    def is_idle(self) -> bool:
        return self._replayer.is_idle


def play(script: Callable[[FlowTalk], Awaitable[None]]) -> None:
    async def run() -> None:
        await script(FlowTalk())

    asyncio.run(run())


def body(sent: http.HTTPFlow) -> tuple[int, str, bytes | None] | None:
    answer = sent.response
    return None if answer is None else (answer.status_code, answer.headers["content-length"], answer.raw_content)


def test_the_parts_become_one_body_and_are_confirmed_when_it_is_written() -> None:
    async def script(talk: FlowTalk) -> None:
        sent, answered = talk.sends("/parts")
        await answered
        assert body(sent) == (200, "8", b"one, two")
        assert sent.response is not None
        assert sent.response.headers["content-type"] == "text/plain"
        assert talk.engine.seen == []
        await talk.is_sent(sent)
        assert talk.engine.seen == ["delivered 1"] * 3
        assert talk.is_idle

    play(script)


def test_a_held_request_is_answered_when_its_last_part_is_there() -> None:
    async def script(talk: FlowTalk) -> None:
        sent, answered = talk.sends("/held")
        await asyncio.sleep(0)
        await talk.performs(Begin(1, 200, TEXT), Chunk(1, b"a"))
        await talk.performs(Chunk(1, b"b"))
        assert body(sent) is None
        await talk.performs(End(1))
        await answered
        assert body(sent) == (200, "2", b"ab")
        talk.fails(sent)
        assert talk.engine.seen == ["gone 1"]
        assert talk.is_idle

    play(script)


def test_a_client_that_leaves_before_the_last_part_is_reported_once() -> None:
    async def script(talk: FlowTalk) -> None:
        sent, answered = talk.sends("/held")
        await asyncio.sleep(0)
        await talk.performs(Begin(1, 200, TEXT), Chunk(1, b"a"))
        talk.leaves(sent)
        await talk.performs(Chunk(1, b"b"), End(1))
        await answered
        assert (body(sent), talk.engine.seen, talk.is_idle) == (None, ["gone 1"], True)

    play(script)


def test_a_client_that_leaves_between_the_start_and_the_first_part_is_reported_once() -> None:
    async def script(talk: FlowTalk) -> None:
        sent, answered = talk.sends("/held")
        await asyncio.sleep(0)
        talk._run.driver.apply(lambda _now: [Begin(1, 200, TEXT), Chunk(1, b"a")])
        talk.leaves(sent)
        await answered
        assert (body(sent), talk.engine.seen, talk.is_idle) == (None, ["gone 1"], True)

    play(script)


def test_a_reply_that_is_dropped_closes_the_connection_and_its_parts_are_not_delivered() -> None:
    async def script(talk: FlowTalk) -> None:
        sent, answered = talk.sends("/held")
        await asyncio.sleep(0)
        await talk.performs(Begin(1, 200, TEXT), Chunk(1, b"a"), Drop(1))
        await answered
        assert body(sent) is None
        assert sent.error is not None
        assert sent.error.msg == mitmproxy_flow.Error.KILLED_MESSAGE
        assert talk.engine.seen == ["gone 1"]

    play(script)
