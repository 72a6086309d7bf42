"""The driver called by the connection, and the ASGI application on the same connection, give the same bytes."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from cometreel.engine import ReplaySettings
from cometreel.scenario import loads
from cometreel.serve import Limits, replay_app
from cometreel.serve.request_parser import RequestParser
from cometreel.serve.server_context import ServerContext
from tests.serve.memory_transport import EmbeddedApp, MemoryTransport, connected, settled
from tests.serve.raw_request_table import ANSWERED, BY_CORS, TABLE_SCENARIO
from tests.serve.test_raw_requests import REFUSED

LONG = 3000  # bytes; a longer request isn't sent byte by byte


async def admin(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer with a body of unknown length."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"admin")]})
    await send({"type": "http.response.body", "body": b"one, ", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


def answers(data: bytes, *, direct: bool, step: int, times: int = 1, cors: str | None = None) -> list[bytes]:
    """Send data to a replay, in pieces, on several connections one after the other; return the bytes of each answer."""
    return answers_to([[data[start : start + step] for start in range(0, len(data), step)]] * times, direct, cors)


def answers_to(packets: list[list[bytes]], direct: bool, cors: str | None = None) -> list[bytes]:
    """Send packets to a replay, on one connection per list; return the bytes of each answer."""

    async def answer() -> list[bytes]:
        replay_settings = ReplaySettings(seed="1", max_body=20_000, cors=(cors,) if cors else ())
        factory = replay_app(loads(TABLE_SCENARIO), replay_settings, admin=lambda *_: admin)
        async with factory() as app:
            context = ServerContext(app if direct else EmbeddedApp(app), Limits(10), asyncio.get_running_loop())
            return [await sent(connected(context), data) for data in packets]

    return [re.sub(rb"([0-9a-f]{32}|Date: [^\r]*)", b"-", got) for got in asyncio.run(answer())]


async def sent(transport: MemoryTransport, packets: list[bytes]) -> bytes:
    """Send packets; return the answer and how it ended."""
    for packet in packets:
        transport.receive(packet)
        if len(packet) > 1:
            await settled(transport)
    await settled(transport)
    return transport.data + (b"<aborted>" if transport.aborted else b"<closed>" if transport.closed else b"<open>")


@pytest.mark.parametrize("step", [1, 100_000], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("kind", ANSWERED)
def test_the_asgi_application_answers_a_request_with_the_same_bytes(kind: str, step: int):
    data = ANSWERED[kind]
    if step == 1 and len(data) > LONG:
        step = 1000
    assert answers(data, direct=False, step=step) == answers(data, direct=True, step=step)


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "ASGI"])
@pytest.mark.parametrize("kept", [1, 5000, 30_000, 60_000])
@pytest.mark.parametrize("kind", ["a head that is too long", "many fields", "a long path"])
def test_a_head_that_is_too_long_is_refused_in_any_packets(kind: str, kept: int, direct: bool):
    """The first packet ends with `kept` bytes of the head that is refused; neither packet alone is too long."""
    head, status, text = REFUSED[kind]
    first = ANSWERED["a page"] + head[:kept]
    [answer] = answers_to([[first, head[kept : kept + 60_000], head[kept + 60_000 :]]], direct=direct)
    assert b"a page" in answer
    assert b" %d " % status in answer
    assert text.encode() in answer
    assert answer.endswith(b"<closed>")


@pytest.mark.parametrize("kind", ANSWERED)
def test_a_request_whose_head_is_known_gets_the_same_answer(kind: str):
    """A head is known from its third time on."""
    first, _, third = answers(ANSWERED[kind], direct=True, step=1_000_000, times=3)
    assert third == first


@pytest.mark.parametrize("kind", ["a page", "a POST", "a POST to the endpoint"])
def test_a_head_that_came_twice_is_not_parsed_again(kind: str):
    with mock.patch.object(RequestParser, "feed", autospec=True, side_effect=RequestParser.feed) as feed:
        answers(ANSWERED[kind], direct=True, step=1_000_000, times=4)
    assert feed.call_count == 2


@pytest.mark.parametrize("kind", BY_CORS)
def test_the_asgi_application_answers_a_page_of_another_origin_with_the_same_bytes(kind: str):
    data, origin = BY_CORS[kind], "http://page.example"
    direct = answers(data, direct=True, step=1000, cors=origin, times=3)
    assert answers(data, direct=False, step=1000, cors=origin, times=3) == direct
    assert direct[2] == direct[0]


SHORT = sorted(kind for kind, data in ANSWERED.items() if len(data) < LONG and "WebSocket" not in kind)
"""Without upgrades: they are ignored if an earlier request is unanswered, which depends on the packets."""


@given(st.lists(st.sampled_from(SHORT), min_size=2, max_size=6), st.lists(st.integers(0, 3000), max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_requests_in_any_packets_are_answered_as_by_the_asgi_application(kinds: list[str], cuts: list[int]):
    """They are sent three times, so that many heads are known."""
    data = b"".join(ANSWERED[kind] for kind in kinds)
    places = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    packets = [[data[start:end] for start, end in pairwise(places)]] * 3
    assert answers_to(packets, direct=True) == answers_to(packets, direct=False)


ADMIN = b"GET /__reel__/x HTTP/%b\r\nHost: x\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nx-kind: admin\r\ntransfer-encoding: chunked\r\n\r\n5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n"


def test_the_admin_app_answers_in_its_turn():
    page = b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n"
    (got,) = answers(page + ADMIN % b"1.1" + page, direct=True, step=1000)
    before, _, after = got.partition(CHUNKED)
    assert before.endswith(b"a page")
    assert after.startswith(b"HTTP/1.1 200 OK\r\n")
    assert after.endswith(b"a page<open>")


def test_a_client_of_http_1_0_gets_a_body_of_unknown_length_without_chunks():
    """RFC 9112 §6.1: it doesn't know the chunked coding; the end of the connection ends the body."""
    (got,) = answers(ADMIN % b"1.0", direct=True, step=1000)
    assert got == b"HTTP/1.1 200 OK\r\nx-kind: admin\r\nconnection: close\r\n\r\none, two<closed>"
