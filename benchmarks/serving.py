"""What the fast door costs: against a constant behind the same server, against mitmdump, with sessions, with growth.

Figures per second of the server's processor time stand beside those per second of the clock: a busy machine spoils
the second and hardly the first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import engine, wrk
from benchmarks.doors import granian, serve, uvicorn
from benchmarks.figures import heading, row
from benchmarks.processes import PATIENCE, Server, mitmdump
from benchmarks.replaying import BODY, SCENARIO, replay_addon
from benchmarks.sessions_load import begin_all, exchanges
from cometreel.jsonvalue import encode

PATH = "/api/v2/workbins"
OFFSET = 0.02  # seconds after its POST at which the engine's scenario has its notification
TURNS = 3


def bench(folder: Path) -> None:
    """Print everything, the comparison of servers first."""
    for name in ("constant.yaml", "pushing.yaml", "large.yaml"):
        text = SCENARIO if name == "constant.yaml" else engine.scenario(10_000 if name == "large.yaml" else 10)
        (folder / name).write_text(text)
    _servers(folder)
    _startup(folder)
    _sessions(folder)
    _memory(folder)
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
            "serve (uvicorn, uvloop, httptools)": ours,
            "the same door in granian, ASGI": asgi,
            "the same driver in granian, RSGI": rsgi,
            "mitmdump with the replay addon": proxy,
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
        for _ in range(TURNS):
            for name, server in servers.items():
                found[name].append(_measured(server))
    for name, samples in found.items():
        row(name, [clock for clock, _ in samples], "requests/s")
        row("", [cpu for _, cpu in samples], "requests per s of processor time")
    first = found["serve (uvicorn, uvloop, httptools)"]
    for other in ("uvicorn answering a constant", "the same driver in granian, RSGI", "mitmdump with the replay addon"):
        pairs = zip(first, found[other], strict=True)
        row(f"ratio serve : {other}", [mine[1] / its[1] for mine, its in pairs])


def _measured(server: Server) -> tuple[float, float]:
    """Requests per second of the clock, and of the server's processor time."""
    cpu, begin = server.cpu(), time.perf_counter()
    rate = wrk.requests_per_second(server.port, PATH, BODY.decode(), seconds=2)
    requests = max(rate, 1.0) * (time.perf_counter() - begin)
    return rate, requests / max(server.cpu() - cpu, 0.01)


def _startup(folder: Path) -> None:
    heading("Serving: from the start of the process to the URL, ms (goal: well under 1,000)")
    samples = []
    for _ in range(2 * TURNS):
        begin = time.perf_counter()
        with serve(folder, folder / "constant.yaml"):
            samples.append(1000 * (time.perf_counter() - begin))
    row("cometreel serve", samples, "ms")


def _sessions(folder: Path) -> None:
    heading("Serving: exchanges complete with their notification, 1,000 sessions")
    with serve(folder, folder / "pushing.yaml") as server:
        per_second, per_cpu, late = asyncio.run(_exchanged(server))
    row("exchanges/s, as fast as they go", [per_second], "exchanges/s")
    row("the same per second of processor time", [per_cpu], "exchanges per s of processor time")
    row("lateness of the notification at 200/s, p50", [_percentile(late, 0.5)], "ms")
    row("lateness of the notification at 200/s, p99", [_percentile(late, 0.99)], "ms")


async def _exchanged(server: Server) -> tuple[float, float, list[float]]:
    sessions, body = await begin_all(server.port, 1000), encode({**engine.asked(0)})
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
            row(f"{count:,} sessions", [asyncio.run(_held(server, count)) / 1000], "kB")


async def _held(server: Server, count: int) -> float:
    before = server.memory()
    sessions = await begin_all(server.port, count)
    for session in sessions:
        session.hold()
    await _settled(server)
    each = (server.memory() - before) / count
    for session in sessions:
        session.writer.close()
    return each


async def _settled(server: Server) -> None:
    """Wait until the memory has stopped growing."""
    end, last = time.monotonic() + PATIENCE, 0
    while time.monotonic() < end and (now := server.memory()) != last:
        last = now
        await asyncio.sleep(0.5)


def _growth(folder: Path) -> None:
    heading("Serving: growth, requests per s of processor time (flat is 1)")
    cost: Callable[[Server], float] = lambda server: _measured(server)[1]  # noqa: E731  # named for the reader
    with serve(folder, folder / "pushing.yaml") as few, serve(folder, folder / "large.yaml") as many:
        pairs = [(cost(few), cost(many)) for _ in range(TURNS)]
        row("ratio 10 : 10,000 exchanges", [one / other for one, other in pairs])
        alone = [cost(few) for _ in range(TURNS)]
        crowded = asyncio.run(_crowded(few, cost))
        row("ratio 10 : 10,000 sessions", [one / other for one, other in zip(alone, crowded, strict=True)])


async def _crowded(server: Server, cost: Callable[[Server], float]) -> list[float]:
    """Measure while 10,000 sessions hold their polls."""
    sessions = await begin_all(server.port, 10_000)
    for session in sessions:
        session.hold()
    await _settled(server)
    found = [await asyncio.to_thread(cost, server) for _ in range(TURNS)]
    for session in sessions:
        session.writer.close()
    return found
