"""Measures `cometreel serve` against a constant in the same server, other servers and mitmdump; sessions; growth.

Requests are counted per second and per second of the server's CPU time. Other processes on the machine affect the first
figure much more than the second.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks import engine, stubs, wrk
from benchmarks.figures import heading, row
from benchmarks.http_load import send
from benchmarks.replaying import BODY, SCENARIO, replay_addon
from benchmarks.server_processes import PATIENCE, ServerProcess, mitmdump
from benchmarks.servers import granian, serve, uvicorn
from benchmarks.sessions_load import PollingSession, exchanges, open_sessions
from cometreel.jsonvalue import encode

PATH = "/api/v2/workbins"
OFFSET = 0.02  # seconds from a POST to its notification in the engine's scenario
UPGRADE = (
    b"GET /api/v2/notifications HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TURNS = 3
WARMEST = 60  # maximum seconds of warm-up load, for Java's compiler
STEADY = 1.03  # warm-up ends if the rate grows by less than this factor


def bench(folder: Path) -> None:
    """Run all measurements, the comparison of servers first."""
    for name in ("constant.yaml", "pushing.yaml", "large.yaml"):
        text = SCENARIO if name == "constant.yaml" else engine.scenario(10_000 if name == "large.yaml" else 10)
        (folder / name).write_text(text)
    _servers(folder)
    _others(folder)
    _startup(folder)
    _sessions(folder)
    _memory(folder)
    _websockets(folder)
    _growth(folder)


def _servers(folder: Path) -> None:
    heading("Serving: one workbin POST, requests/s (wrk, 8 connections)")
    scenario = folder / "constant.yaml"
    with (
        uvicorn(folder, "constant") as constant,
        serve(folder, scenario) as ours,
        granian(folder, "replay_rsgi", "rsgi", scenario) as rsgi,
        granian(folder, "replay_asgi", "asgi", scenario) as asgi,
        mitmdump(folder / "mitmdump.log", "--mode", "reverse:http://unused", *replay_addon(folder)) as proxy,
    ):
        servers = {
            "uvicorn answering a constant": constant,
            "serve": ours,
            "the same application in granian, ASGI": asgi,
            "the same driver in granian, RSGI": rsgi,
            "mitmdump with the replay addon": proxy,
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
        for _ in range(TURNS):
            for name, server in servers.items():
                found[name].append(_measured(server))
    for name, samples in found.items():
        row(name, [clock for clock, _ in samples], "requests/s")
        row("", [cpu for _, cpu in samples], "requests per s of CPU time")
    first = found["serve"]
    for other in ("uvicorn answering a constant", "the same driver in granian, RSGI", "mitmdump with the replay addon"):
        pairs = zip(first, found[other], strict=True)
        row(f"ratio serve : {other}", [mine[1] / its[1] for mine, its in pairs])


def _others(folder: Path) -> None:
    heading("Serving: the same POST to other stub servers, requests/s (goal: serve is faster than each)")
    with serve(folder, folder / "constant.yaml") as ours:
        for name, start in stubs.STUBS.items():
            with start(folder) as theirs:
                _warm(theirs)
                pairs = [(_measured(ours)[0], _measured(theirs)[0]) for _ in range(TURNS)]
            row(name, [its for _, its in pairs], "requests/s")
            row(f"ratio serve : {name}", [mine / its for mine, its in pairs])


def _warm(server: ServerProcess) -> None:
    """Put load on a server until its rate stops growing."""
    step, rate = 5, 1.0
    for _ in range(WARMEST // step):
        before, rate = rate, wrk.requests_per_second(server.port, PATH, BODY.decode(), seconds=step)
        if rate < STEADY * before:
            break


def _measured(server: ServerProcess, cookie: str | None = None) -> tuple[float, float]:
    """Return requests per second, and requests per second of the server's CPU time."""
    cpu, begin = server.cpu(), time.perf_counter()
    rate = wrk.requests_per_second(server.port, PATH, BODY.decode(), cookie=cookie, seconds=2)
    return rate, rate * (time.perf_counter() - begin) / max(server.cpu() - cpu, 0.01)


def _startup(folder: Path) -> None:
    heading("Serving: time from process start to printed URL, ms (goal: well under 1,000)")
    samples = []
    for _ in range(2 * TURNS):
        begin = time.perf_counter()
        with serve(folder, folder / "constant.yaml"):
            samples.append(1000 * (time.perf_counter() - begin))
    row("cometreel serve", samples, "ms")


def _sessions(folder: Path) -> None:
    heading("Serving: exchanges including their notification, 1,000 sessions")
    with serve(folder, folder / "pushing.yaml") as server:
        per_second, per_cpu, late = asyncio.run(_run_exchanges(server))
    row("exchanges/s at full speed", [per_second], "exchanges/s")
    row("the same per second of CPU time", [per_cpu], "exchanges per s of CPU time")
    row("lateness of the notification at 200/s, p50", [_percentile(late, 0.5)], "ms")
    row("lateness of the notification at 200/s, p99", [_percentile(late, 0.99)], "ms")


async def _run_exchanges(server: ServerProcess) -> tuple[float, float, list[float]]:
    sessions, body = await open_sessions(server.port, 1000), encode({**engine.request_body(0)})
    paced = await exchanges(sessions, PATH, body, seconds=5, rate=200)
    cpu = server.cpu()
    fast = await exchanges(sessions, PATH, body, seconds=5, rate=None)
    spent = server.cpu() - cpu
    return fast.per_second, len(fast.delays) / spent, [1000 * (delay - OFFSET) for delay in paced.delays]


def _percentile(samples: list[float], share: float) -> float:
    return samples[min(len(samples) - 1, int(len(samples) * share))]


def _memory(folder: Path) -> None:
    heading("Serving: memory of an idle session with its held poll, kB (goal: at most 25)")
    for count in (1000, 10_000):
        with serve(folder, folder / "pushing.yaml") as server:
            row(f"{count:,} sessions", [asyncio.run(_memory_per_session(server, count)) / 1000], "kB")


async def _memory_per_session(server: ServerProcess, count: int) -> float:
    before = server.memory()
    sessions = await open_sessions(server.port, count)
    for session in sessions:
        session.hold()
    await _wait_for_stable_memory(server)
    each = (server.memory() - before) / count
    for session in sessions:
        session.writer.close()
    return each


def _websockets(folder: Path) -> None:
    heading("Serving: memory of an open WebSocket, kB (goal: at most 8)")
    with serve(folder, folder / "pushing.yaml") as server:
        row("3,000 WebSockets", [asyncio.run(_memory_per_websocket(server, 3000)) / 1000], "kB")


async def _memory_per_websocket(server: ServerProcess, count: int) -> float:
    before = server.memory()
    writers = [await _open_websocket(server.port) for _ in range(count)]
    await _wait_for_stable_memory(server)
    each = (server.memory() - before) / count
    for writer in writers:
        writer.close()
    return each


async def _open_websocket(port: int) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPGRADE)
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return writer


async def _wait_for_stable_memory(server: ServerProcess) -> None:
    """Wait until the memory stops growing."""
    end, last = time.monotonic() + PATIENCE, 0
    while time.monotonic() < end and (now := server.memory()) != last:
        last = now
        await asyncio.sleep(0.5)


def _growth(folder: Path) -> None:
    heading("Serving: growth, POSTs of one session per s of CPU time (1 is constant cost)")
    for name, count in (("few.yaml", 10), ("many.yaml", 10_000)):
        (folder / name).write_text(engine.scenario(count, events=False))
    with serve(folder, folder / "few.yaml") as few, serve(folder, folder / "many.yaml") as many:
        asyncio.run(_compare_growth(few, many))


async def _compare_growth(few: ServerProcess, many: ServerProcess) -> None:
    (one,), (other,) = await open_sessions(few.port, 1), await open_sessions(many.port, 1)
    pairs = [(await _cost(few, one), await _cost(many, other)) for _ in range(TURNS)]
    row("ratio 10 : 10,000 exchanges", [first / second for first, second in pairs])
    alone = [await _cost(few, one) for _ in range(TURNS)]
    crowd = await open_sessions(few.port, 10_000)
    for session in crowd:
        session.hold()
    await _wait_for_stable_memory(few)
    await send(one.reader, one.writer, one.request(PATH, BODY))  # the server has accepted all polls when it answers
    crowded = [await _cost(few, one) for _ in range(TURNS)]
    row("ratio 1 : 10,000 sessions", [first / second for first, second in zip(alone, crowded, strict=True)])
    for session in [one, other, *crowd]:
        session.writer.close()


async def _cost(server: ServerProcess, session: PollingSession) -> float:
    """Return this session's POSTs per second of the server's CPU time."""
    return (await asyncio.to_thread(_measured, server, session.cookie))[1]
