"""Measures the replay addon against an addon that returns a constant, and the memory of a held poll."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from benchmarks.figures import heading, in_turn, row
from benchmarks.http_load import MeasuredExchange, handshake_message, post, requests_per_second, send
from benchmarks.server_processes import PATIENCE, ServerProcess, mitmdump

ROOT = Path(__file__).parents[1]
ADDONS = Path(__file__).parent / "addons"
BODY = b'{"operationName":"RequestAgentStats","workbinType":"Place","workbinOwner":"Place1"}'
SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /api/v2/notifications, require_cookie: false}
session: {cookie: none}
exchanges:
  - name: stats of place Place1
    request:
      method: POST
      path: /api/v2/workbins
      body: {operationName: RequestAgentStats, workbinType: Place, workbinOwner: Place1}
    reply:
      status: 200
      body: {statusCode: 0, referenceId: 67}
"""


def replay_addon(scenario: Path) -> tuple[str, ...]:
    """Return the arguments with which mitmdump replays a scenario."""
    return ("-s", str(ROOT / "proxy_addons" / "replay.py"), "--set", f"reel_scenario={scenario}")


def bench(folder: Path) -> None:
    """Print the requests per second of both addons and their ratio, then the memory of held polls."""
    heading("Replay: RequestAgentStats answered by mitmdump, requests/s (goal: ratio at least 0.9)")
    reverse = ("--mode", "reverse:http://unused")
    request = post("/api/v2/workbins", BODY, Accept="application/json")
    scenario = folder / "bench.yaml"
    scenario.write_text(SCENARIO)
    constant = ("-s", str(ADDONS / "constant_reply.py"))
    with (
        mitmdump(folder / "replay.log", *reverse, *replay_addon(scenario)) as ours,
        mitmdump(folder / "constant.log", *reverse, *constant) as bare,
    ):
        in_turn(
            ("replay addon", "constant addon"),
            (lambda: requests_per_second(ours.port, request), lambda: requests_per_second(bare.port, request)),
            "requests/s",
        )
    heading("Replay: memory of a held poll in mitmdump, kB (1,000 connections)")
    with mitmdump(folder / "replay-held.log", *reverse, *replay_addon(scenario)) as ours:
        held = asyncio.run(_memory_per_request(ours, _poll))
    with mitmdump(folder / "holding.log", *reverse, "-s", str(ADDONS / "holding.py")) as bare:
        plain = asyncio.run(_memory_per_request(bare, _any_request))
    row("replay addon, CometD session and its held poll", [held / 1000], "kB")
    row("mitmdump holding a request", [plain / 1000], "kB")
    row("ratio replay addon : mitmdump alone", [held / plain])


async def _poll(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> MeasuredExchange:
    """Open a CometD session on this connection and return the next poll, which will be held."""
    path = "/api/v2/notifications"
    handshake = handshake_message()
    reply = await send(reader, writer, post(path, json.dumps([handshake]).encode()))
    client = json.loads(reply.split(b"\r\n\r\n", 1)[1])[0]["clientId"]
    poll = {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": client}
    await send(reader, writer, post(path, json.dumps([{**poll, "advice": {"timeout": 0}}]).encode()))
    return post(path, json.dumps([poll]).encode())


async def _any_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> MeasuredExchange:
    return post("/", b"[]")


async def _memory_per_request(server: ServerProcess, prepare: object, connections: int = 1000) -> float:
    """Return the bytes of memory per held request."""
    assert callable(prepare)
    before = server.memory()
    writers = []
    for _ in range(connections):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write((await prepare(reader, writer)).request)
        writers.append(writer)
    await _wait_for_stable_memory(server)
    after = server.memory()
    for writer in writers:
        writer.close()
    return (after - before) / connections


async def _wait_for_stable_memory(server: ServerProcess) -> None:
    """Wait until the memory stops growing."""
    end, last = time.monotonic() + PATIENCE, 0
    while time.monotonic() < end and (now := server.memory()) != last:
        last = now
        await asyncio.sleep(0.5)
