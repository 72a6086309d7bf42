"""Prints the memory of many sessions with held polls, over transports in memory; `polls` runs it for each engine.

`python -m benchmarks.memory_sessions COUNT` prints the resident bytes of the process before and after, as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys

import uvloop

from benchmarks.engine import PATH, collect_garbage_less_often, scenario
from benchmarks.http_load import handshake_message, post
from benchmarks.loads.poll_clients import SET_COOKIE
from benchmarks.request_time import Discarding
from benchmarks.server_processes import ServerProcess
from cometreel.engine import Backend, ReplaySettings
from cometreel.engine.driver import Driver
from cometreel.scenario import loads
from cometreel.serve import Limits, ReplayApp
from cometreel.serve.server_connections import HttpConnection
from cometreel.serve.server_context import ServerContext


class CapturingTransport(Discarding):
    """A transport that keeps the last reply of all connections, which share one list."""

    __slots__ = ("_last",)

    def __init__(self, last: list[bytes]) -> None:
        self._last = last  # without asyncio's own attributes, which take more memory than a socket's transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the data."""
        self._last[:] = [bytes(data)]


async def main(count: int) -> None:
    """Open the sessions, hold their polls, and print the memory."""
    loop = asyncio.get_running_loop()
    app = ReplayApp(Driver(Backend(loads(scenario(10, timeout=600_000)), ReplaySettings(seed="bench"))))
    context, last, process = ServerContext(app, Limits(count), loop), list[bytes](), ServerProcess(os.getpid(), 0)
    collect_garbage_less_often()
    before = process.memory()
    connections = [_open(context, last) for _ in range(count)]
    gc.collect()
    print(json.dumps({"before": before, "after": process.memory(), "sessions": len(connections)}))


def _open(context: ServerContext, last: list[bytes]) -> HttpConnection:
    """Open a session and hold its poll."""
    connection = HttpConnection(context)
    connection.connection_made(CapturingTransport(last))

    def send(message: dict[str, object], **headers: str) -> None:
        connection.data_received(post(PATH, json.dumps([message]).encode(), **headers).request)
        context.replies.write()

    send(handshake_message())
    head, _, body = last.pop().partition(b"\r\n\r\n")
    cookies = "; ".join(cookie.decode() for cookie in SET_COOKIE.findall(head))
    connect: dict[str, object] = {
        "channel": "/meta/connect",
        "connectionType": "long-polling",
        "clientId": json.loads(body)[-1]["clientId"],
    }
    send(connect, Cookie=cookies)
    last.pop()  # the first poll is answered at once
    send(connect, Cookie=cookies)
    assert not last, "the poll was not held"
    return connection


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
