"""Measures `cometreel serve`: one POST against constants, other servers and stubs; sessions; memory; growth.

Rates are per second of the server's processor time, which other processes on the machine hardly affect. All servers run
at the same time and are measured in turn, and each ratio is computed within one turn. If `COMETREEL_OPTIMIZE=3 make
compiled` has built the compiled engine, pure Python and the compiled engine are measured side by side.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from benchmarks import engine, stubs, wrk
from benchmarks.engine_forms import EngineForm, engine_forms
from benchmarks.figures import heading, row
from benchmarks.http_load import send
from benchmarks.replaying import BODY, replay_addon
from benchmarks.server_processes import PATIENCE, ServerProcess, mitmdump, suspended
from benchmarks.servers import bare_protocol, fastpysgi, granian, serve, uvicorn
from benchmarks.sessions_load import PollingSession, exchanges, open_sessions
from cometreel.jsonvalue import encode

PATH = "/api/v2/workbins"
OFFSET = 0.02  # seconds from a POST to its notification in the scenario `pushing.yaml`
UPGRADE = (
    b"GET /api/v2/notifications HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TURNS = int(os.environ.get("BENCH_TURNS", "3"))
CROWD = int(os.environ.get("BENCH_SESSIONS", "10000"))  # sessions of the measurements with many
SESSION_SECONDS = 10
WARMEST = 120  # maximum seconds of warm-up load, for Java's compiler
STEADY = 1.03  # warm-up ends if the rate was not exceeded by this factor in the last seconds
SCENARIOS = {
    "scheduling.yaml": engine.scenario(10, after="15m"),  # the notification is scheduled, but not due in this benchmark
    "pushing.yaml": engine.scenario(10),
    "few.yaml": engine.scenario(10, after=None, timeout=600_000),
    "crowd.yaml": engine.scenario(10, after=None, timeout=600_000),  # polls are held during the whole benchmark
    "many.yaml": engine.scenario(10_000, after=None, timeout=600_000),
}

_Running: TypeAlias = AbstractContextManager[ServerProcess]


def bench(folder: Path) -> None:
    """Run all measurements, the comparison of servers first."""
    if lacks := wrk.missing():
        print(f"Serving is not measured: missing {', '.join(lacks)} (`make bench` installs it)")
        return
    for name, text in SCENARIOS.items():
        (folder / name).write_text(text)
    print(f"\nload average of the machine: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    forms = engine_forms()
    _compare(folder, forms)
    _first_requests(folder, forms)
    _startup(folder)
    _sessions(folder, forms)
    _memory(folder, forms)
    _websockets(folder, forms)
    _growth(folder, forms)


def _compare(folder: Path, forms: list[EngineForm]) -> None:
    heading("Serving: one workbin POST, requests per second of processor time (wrk, 8 connections)")
    with ExitStack() as stack:
        servers: dict[str, ServerProcess] = {}
        for name, start in _candidates(folder, forms).items():
            try:
                servers[name] = stack.enter_context(start())
            except (RuntimeError, OSError) as error:
                print(f"{name:<52}not measured: {str(error).strip().splitlines()[-1]}")
        rates = asyncio.run(_rates(servers))
    for name, samples in rates.items():
        row(name, samples, "requests per s of processor time")
        row("", [1e6 / rate for rate in samples], "µs of processor time per request")
    for form in forms:
        ours = rates[f"serve, {form.name}"]
        for name in rates:
            if not name.startswith("serve, "):
                row(
                    f"ratio serve, {form.name} : {name}",
                    [one / its for one, its in zip(ours, rates[name], strict=True)],
                )


def _candidates(folder: Path, forms: list[EngineForm]) -> dict[str, Callable[[], _Running]]:
    """Return the servers to compare. Those named `serve` and `replay` replay the scenario, for a session that polls."""
    scenario = folder / "scheduling.yaml"
    found: dict[str, Callable[[], _Running]] = {
        f"serve, {form.name}": partial(serve, folder, scenario, form) for form in forms
    }
    found["bare uvloop protocol"] = partial(bare_protocol, folder)
    found["uvicorn constant"] = partial(uvicorn, folder, "constant")
    found["granian constant, RSGI"] = partial(granian, folder, "constant:rsgi", "rsgi", scenario)
    found["granian constant, ASGI"] = partial(granian, folder, "constant:app", "asgi", scenario)
    found["replay in granian, RSGI"] = partial(granian, folder, "replay_rsgi:app", "rsgi", scenario)
    found["replay in granian, ASGI"] = partial(granian, folder, "replay_asgi:app", "asgi", scenario)
    if find_spec("fastpysgi") is None:
        print("fastpysgi is not installed, so it is not measured: pip install 'cometreel[dev]'")
    else:
        found["fastpysgi constant, ASGI"] = partial(fastpysgi, folder, "constant:app", scenario)
        found["fastpysgi constant, WSGI"] = partial(fastpysgi, folder, "constant:wsgi", scenario)
        found["replay in fastpysgi, ASGI"] = partial(fastpysgi, folder, "replay_asgi:app", scenario)
    reverse = ("--mode", "reverse:http://unused")
    found["replay in mitmdump"] = partial(mitmdump, folder / "mitmdump.log", *reverse, *replay_addon(scenario))
    if lacks := stubs.missing():
        print(f"The stub servers are not measured: missing {', '.join(lacks)} (`make bench` installs them)")
    else:
        found |= {name: partial(start, folder) for name, start in stubs.STUBS.items()}
    return found


async def _rates(servers: Mapping[str, ServerProcess]) -> dict[str, list[float]]:
    """Measure all servers in turn; return the rates per second of processor time."""
    sessions: dict[str, PollingSession] = {}
    for name, server in servers.items():
        if name.startswith(("serve, ", "replay in ")) and (session := await _session(name, server)) is not None:
            sessions[name] = session
    measured = {name: server for name, server in servers.items() if name in sessions or "replay in " not in name}
    polling = [asyncio.ensure_future(_keep_polling(session)) for session in sessions.values()]
    cookies = {name: session.cookie for name, session in sessions.items()}
    busy = {name: server for name, server in servers.items() if "fastpysgi" in name}  # its ASGI loop never sleeps long
    if "WireMock" in servers:
        with suspended(busy.values()):
            await asyncio.to_thread(_warm, servers["WireMock"])
    rates: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(TURNS + 1):
        for name, server in measured.items():
            with suspended(busy[other] for other in busy if other != name):
                rate = await asyncio.to_thread(_rate, server, cookies.get(name))
            if turn:  # the first turn only warms up
                rates[name].append(rate)
    for task in polling:
        task.cancel()
    await asyncio.gather(*polling, return_exceptions=True)
    for session in sessions.values():
        session.writer.close()
    return rates


async def _session(name: str, server: ServerProcess) -> PollingSession | None:
    """Open a CometD session; None, with a printed reason, if the server doesn't answer."""
    end = time.monotonic() + SESSION_SECONDS
    while True:
        try:
            (session,) = await asyncio.wait_for(open_sessions(server.port, 1), SESSION_SECONDS)
        except ConnectionRefusedError:  # the worker of granian has not loaded the application
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)
        except TimeoutError:
            print(f"{name:<52}not measured: no CometD session was opened within {SESSION_SECONDS} s")
            return None
        else:
            return session


async def _keep_polling(session: PollingSession) -> None:
    while True:
        await session.poll()


def _warm(server: ServerProcess) -> None:
    """Put load on a server until its rate has not grown for 15 seconds; print how long that took."""
    step, best, since, begin = 5, 0.0, 0, time.perf_counter()
    while since < 3 and time.perf_counter() - begin < WARMEST:
        rate = _rate(server, seconds=step)
        since = 0 if rate > STEADY * best else since + 1
        best = max(rate, best)
    print(f"{'WireMock, warmed until it gets no faster':<52}{time.perf_counter() - begin:.0f} s of load", flush=True)


def _rate(server: ServerProcess, cookie: str | None = None, seconds: int = 2) -> float:
    """Return the POSTs per second of the server's processor time."""
    cpu, begin = server.cpu(), time.perf_counter()
    rate = wrk.requests_per_second(server.port, PATH, BODY.decode(), cookie=cookie, seconds=seconds)
    return rate * (time.perf_counter() - begin) / max(server.cpu() - cpu, 0.01)


def _first_requests(folder: Path, forms: list[EngineForm]) -> None:
    heading("Serving: POSTs without a cookie (each begins a session) : with a cookie (goal: at least 0.75)")
    for form in forms:
        with serve(folder, folder / "few.yaml", form) as server:
            cookie = asyncio.run(_cookie(server))
            pairs = [(_rate(server), _rate(server, cookie)) for _ in range(TURNS)]
        row(f"{form.name}: without a cookie", [first for first, _ in pairs], "requests per s of processor time")
        row(f"{form.name}: with a cookie", [known for _, known in pairs], "requests per s of processor time")
        row(f"{form.name}: ratio without : with a cookie", [first / known for first, known in pairs])


async def _cookie(server: ServerProcess) -> str:
    (session,) = await open_sessions(server.port, 1)
    session.writer.close()
    return session.cookie


def _startup(folder: Path) -> None:
    heading("Serving: time from process start to printed URL, ms (goal: well under 1,000)")
    samples = []
    for _ in range(2 * TURNS):
        begin = time.perf_counter()
        with serve(folder, folder / "few.yaml"):
            samples.append(1000 * (time.perf_counter() - begin))
    row("cometreel serve", samples, "ms")


def _sessions(folder: Path, forms: list[EngineForm]) -> None:
    heading("Serving: complete exchanges (POST, reply, notification, next poll), 1,000 sessions")
    rates: dict[str, list[float]] = {}
    for form in forms:
        with serve(folder, folder / "pushing.yaml", form) as server:
            rates[form.name], late = asyncio.run(_run_exchanges(server))
        row(f"{form.name}: complete exchanges", rates[form.name], "exchanges per s of processor time")
        row(f"{form.name}: lateness of the notification at 200/s, p50", [_percentile(late, 0.5)], "ms")
        row(f"{form.name}: lateness of the notification at 200/s, p99", [_percentile(late, 0.99)], "ms")
    if len(forms) > 1:
        pairs = zip(rates["compiled"], rates["pure"], strict=True)
        row("ratio compiled : pure", [compiled / pure for compiled, pure in pairs])


async def _run_exchanges(server: ServerProcess) -> tuple[list[float], list[float]]:
    """Return exchanges per second of processor time, and the sorted milliseconds of lateness at a low rate."""
    sessions, body, rates = await open_sessions(server.port, 1000), encode({**engine.request_body(0)}), []
    paced = await exchanges(sessions, PATH, body, seconds=4, rate=200)
    for _ in range(TURNS):
        cpu = server.cpu()
        fast = await exchanges(sessions, PATH, body, seconds=3, rate=None)
        rates.append(len(fast) / (server.cpu() - cpu))
    return rates, [1000 * (delay - OFFSET) for delay in paced]


def _percentile(samples: list[float], share: float) -> float:
    return samples[min(len(samples) - 1, int(len(samples) * share))]


def _memory(folder: Path, forms: list[EngineForm]) -> None:
    heading("Serving: memory of an idle session with its held poll, kB (goal: at most 6)")
    for form in forms:
        for count in (1000, CROWD):
            with serve(folder, folder / "pushing.yaml", form) as server:
                row(f"{form.name}: {count:,} sessions", [asyncio.run(_memory_per_session(server, count)) / 1000], "kB")


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


def _websockets(folder: Path, forms: list[EngineForm]) -> None:
    heading("Serving: memory of an open WebSocket, kB (goal: at most 8)")
    for form in forms:
        with serve(folder, folder / "pushing.yaml", form) as server:
            row(f"{form.name}: 3,000 WebSockets", [asyncio.run(_memory_per_websocket(server, 3000)) / 1000], "kB")


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


def _growth(folder: Path, forms: list[EngineForm]) -> None:
    heading("Serving: growth of the cost of a POST (goals: exchanges at least 0.95, sessions at least 0.9)")
    for form in forms:
        with ExitStack() as stack:
            servers = [
                stack.enter_context(serve(folder, folder / f"{name}.yaml", form)) for name in ("few", "many", "crowd")
            ]
            asyncio.run(_compare_growth(form.name, *servers))


async def _compare_growth(name: str, few: ServerProcess, many: ServerProcess, crowded: ServerProcess) -> None:
    """Measure the servers in turn: with 10 exchanges, with many, and with 10 exchanges and many sessions."""
    crowd = await open_sessions(crowded.port, CROWD)
    for session in crowd:
        session.hold()
    await _wait_for_stable_memory(crowded)
    sessions = {server: (await open_sessions(server.port, 1))[0] for server in (few, many, crowded)}
    # a server has accepted all polls when it answers
    await send(sessions[crowded].reader, sessions[crowded].writer, sessions[crowded].request(PATH, BODY))
    turns = [
        {server: await _session_rate(server, session) for server, session in sessions.items()} for _ in range(TURNS + 1)
    ][1:]  # the first turn only warms up
    row(f"{name}: ratio 10,000 : 10 exchanges", [turn[many] / turn[few] for turn in turns])
    row(f"{name}: ratio {CROWD:,} : 1 sessions", [turn[crowded] / turn[few] for turn in turns])
    for session in [*sessions.values(), *crowd]:
        session.writer.close()


async def _session_rate(server: ServerProcess, session: PollingSession) -> float:
    """Return this session's POSTs per second of the server's processor time."""
    return await asyncio.to_thread(_rate, server, session.cookie)
