"""Measures the parts of one POST in memory, without sockets: the head, the engine, and the rest of the connection."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

import uvloop

from benchmarks.figures import heading, row
from benchmarks.replaying import BODY, SCENARIO
from cometreel.engine import Backend
from cometreel.engine.driver import Driver, Engine
from cometreel.scenario import loads
from cometreel.serve import Limits, ReplayApp
from cometreel.serve.response_writer import reply_bytes
from cometreel.serve.server_connections import HttpConnection
from cometreel.serve.server_context import ServerContext
from cometreel.wire import Effect, Headers, Reply, Request

TURNS = 7
REQUESTS = 2000  # per turn
CONNECTION = "connection and driver"
WRITE = "of these, write: the reply as bytes"
PARSING = "parsing, if the head is not known"
ENGINE = "engine"
HEAD = "POST /api/v2/workbins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Number: {}\r\n"


class ConstantEngine:
    """Answers each request at once with the same reply."""

    FIELDS = (("Content-Type", "application/json;charset=UTF-8"),)

    def receive(self, request: Request, now: float) -> list[Effect]:
        """Reply at once."""
        return [Reply(request.id, 200, Headers(self.FIELDS), b'{"statusCode":0,"referenceId":67}')]

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Ignore a frame."""
        return []

    def deadline(self) -> float | None:
        """Schedule nothing."""
        return None

    def advance(self, now: float) -> list[Effect]:
        """Do nothing."""
        return []

    def awaits_confirmation(self, request_id: int) -> bool:
        """Need no confirmation."""
        return False

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Do nothing."""
        return []

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Do nothing."""
        return []

    def release_all(self, now: float) -> list[Effect]:
        """Hold nothing."""
        return []


class Discarding(asyncio.Transport):
    """A transport that discards what is written."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Discard."""

    def is_closing(self) -> bool:
        """Stay open."""
        return False

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return an address for each name."""
        return ("127.0.0.1", 80)


def bench() -> None:
    """Print the microseconds of each part."""
    uvloop.run(_bench())


async def _bench() -> None:
    heading("One POST in memory, µs of CPU time")
    known, numbers = request(0), itertools.count(1)
    new = [request(next(numbers)) for _ in range(TURNS * REQUESTS)]
    context = server_context(ConstantEngine())
    constant, replay = connection(context), connection(server_context(Backend(loads(SCENARIO))))
    unknown = iter(new)
    for _ in range(3):  # the head is known after the second one
        constant.data_received(known)
        replay.data_received(known)
    head = context.known_heads.get(known[: -len(BODY)])
    assert head is not None
    reply, writer = Reply(1, 200, Headers(ConstantEngine.FIELDS), b'{"statusCode":0,"referenceId":67}'), Discarding()
    parts: dict[str, Callable[[], None]] = {
        CONNECTION: lambda: constant.data_received(known),
        PARSING: lambda: constant.data_received(next(unknown)),
        ENGINE: lambda: replay.data_received(known),
        WRITE: lambda: writer.write(reply_bytes(reply, head, close=False)),
    }
    found: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(TURNS):
        for name, part in parts.items():
            begin = time.process_time()
            for _ in range(REQUESTS):
                part()
            found[name].append(1e6 * (time.process_time() - begin) / REQUESTS)
    base = found[CONNECTION]
    row(CONNECTION, base, "µs")
    row(WRITE, found[WRITE], "µs")
    for name in (PARSING, ENGINE):
        row(name, [whole - least for whole, least in zip(found[name], base, strict=True)], "µs")


def request(number: int) -> bytes:
    """Return a POST; another number gives another head of the same length."""
    head = HEAD.format(f"{number:08}") + f"Content-Length: {len(BODY)}\r\n\r\n"
    return head.encode() + BODY


def server_context(engine: Engine) -> ServerContext:
    """Return the context of a server with this engine."""
    return ServerContext(ReplayApp(Driver(engine)), Limits(1), asyncio.get_running_loop())


def connection(context: ServerContext) -> HttpConnection:
    """Return a connection to a server."""
    made = HttpConnection(context)
    made.connection_made(Discarding())
    return made
