"""Counts the project files and the function calls that one warm POST passes through in `cometreel serve`.

`python -m benchmarks.trace_post` prints the two figures; with `--calls` also each call, in order. Server and client
share one event loop and use a real connection, so the path begins at the HTTP connection and ends when the reply was
written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks import engine
from benchmarks.http_load import handshake_message
from cometreel.scenario import loads
from cometreel.serve import ListenOptions, replay_app
from cometreel.serve.admin.auth import AdminAuth
from cometreel.serve.admin.on_demand import admin_factory
from cometreel.serve.http_server import listen

PACKAGE: Final = Path(__file__).parents[1] / "cometreel"
POSTS: Final = "/api/v2/workbins"
WARM_UP: Final = 20  # POSTs before the one that is traced
NOT_COUNTED: Final = ("<listcomp>", "<dictcomp>", "<setcomp>", "__init__")
"""Comprehensions, which are no functions from Python 3.12 on, and constructors, most of which `dataclass` writes."""
SCENARIO: Final = """\
cometreel: 1
correlation: gws-v2
bayeux: {endpoint: /api/v2/notifications}
roles:
  agent-1: {user: ann}
exchanges:
  - name: stats of place Place1
    request:
      method: POST
      path: /api/v2/workbins
      body: {operationName: RequestAgentStats, workbinType: Place, workbinOwner: Place1}
    reply: {after: 5ms, status: 200, body: {statusCode: 0, referenceId: 67}}
    events:
      - after: 1h
        channel: /v2/me/workbins
        data: {messageType: WorkbinStatsMessage, referenceId: 67, workbinStats: {a1: {Count: 1, Owner: Place1}}}
"""
"""A recorded exchange. Its notification is scheduled, but not delivered while the POST is traced."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The Python calls inside the project, in order: file relative to the package, and qualified name."""

    calls: tuple[tuple[str, str], ...]

    @property
    def files(self) -> list[str]:
        """The files, in the order in which they are entered first."""
        return list(dict.fromkeys(file for file, _ in self.calls))

    def __str__(self) -> str:
        return f"one warm POST: {len(self.files)} files, {len(self.calls)} calls"


class Client:
    """An HTTP client on one connection; clients with the same `cookies` share a session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cookies: dict[str, str]) -> None:
        self._reader, self._writer, self._cookies = reader, writer, cookies

    def send(self, path: str, body: object) -> None:
        """Send a POST with a JSON body."""
        content = json.dumps(body).encode()
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(content)}\r\nCookie: {cookies}\r\n\r\n"
        self._writer.write(head.encode() + content)

    async def receive(self) -> bytes:
        """Wait for the reply and return its body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:])]
        for name, value in fields:
            if name == "set-cookie":
                cookie, _, text = value.partition(";")[0].partition("=")
                self._cookies[cookie] = text
        return await self._reader.readexactly(int(dict(fields)["content-length"]))

    async def post(self, path: str, body: object) -> bytes:
        """Send a POST and return the body of its reply."""
        self.send(path, body)
        return await self.receive()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        await self._writer.wait_closed()


def trace() -> Trace:
    """Serve a scenario, warm it up, and trace one POST of a session that holds a poll."""
    return asyncio.run(_trace())


async def _trace() -> Trace:
    app = replay_app(loads(SCENARIO), admin=admin_factory(AdminAuth("token", "loopback")))
    async with listen(app, ListenOptions()) as (_, listener):
        port = int(listener.url.rpartition(":")[2])
        cookies: dict[str, str] = {}
        poster, poller = [Client(*await asyncio.open_connection("127.0.0.1", port), cookies) for _ in range(2)]
        await _hold_poll(poller)
        for _ in range(WARM_UP):
            assert b'"statusCode":0' in await poster.post(POSTS, engine.request_body(1))
        traced = await _traced(poster.post(POSTS, engine.request_body(1)))
        for client in (poster, poller):
            await client.close()
        return traced


async def _hold_poll(client: Client) -> None:
    handshake = handshake_message()
    client_id = json.loads(await client.post(engine.PATH, [handshake]))[0]["clientId"]
    connect = {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": client_id}
    await client.post(engine.PATH, [connect])
    client.send(engine.PATH, [connect])
    await asyncio.sleep(0.1)  # until the server holds it


async def _traced(post: Coroutine[None, None, bytes]) -> Trace:
    """Trace the project's functions until the reply was read and the server has finished with the request."""
    entered: dict[FrameType, None] = {}  # a coroutine that continues is the same frame, so it is counted once

    def record(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            entered[frame] = None

    before = sys.getprofile()
    sys.setprofile(record)
    try:
        await post
        await asyncio.sleep(0)
    finally:
        sys.setprofile(before)
    codes = [frame.f_code for frame in entered if frame.f_code.co_name not in NOT_COUNTED]
    return Trace(tuple((str(Path(code.co_filename).relative_to(PACKAGE)), code.co_qualname) for code in codes))


def bench() -> None:
    """Print the figures."""
    title = "Path of one POST through the code (goal: at most 16 files)"
    print(f"\n{title}\n{'-' * len(title)}\n{trace()}")


def main() -> None:
    """Print the figures, and the calls of each file with `--calls`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trace_post", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--calls", action="store_true", help="print the files and their calls too, in order")
    with_calls = parser.parse_args().calls
    traced = trace()
    print(traced)
    if with_calls:
        for number, file in enumerate(traced.files, start=1):
            print(f"{number:3} {file}")
        for file, name in traced.calls:
            print(f"    {file}: {name}")


if __name__ == "__main__":
    main()
