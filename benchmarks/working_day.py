"""Measures a manual clock: a working day through real HTTP, with our Bayeux client and with npm's `cometd`.

The day has 8 hours and 1,000 notifications. Two more sessions expire: the client of one closes its connection, that of
the other keeps it open and never polls again, so that `advance` waits for it once.
Server and client share all cores: they take turns, and a fixed core for each would measure the change of cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.figures import heading, row
from benchmarks.http_load import MeasuredExchange, handshake_message, post, send
from benchmarks.server_processes import PATIENCE, ServerProcess, on_all_cores, running
from benchmarks.servers import PROGRAMS
from cometreel.bayeux import BayeuxClient, Connected, Received, Send, parse_messages
from cometreel.jsonvalue import encode

DAYS = 5
NOTIFICATIONS = 1_000
CLIENT = Path(__file__).parent / "loads" / "cometd_day.mjs"
SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /cometd, advice: {timeout: 30000, interval: 0}, max_interval: 10s, require_cookie: false}
session: {cookie: none}
exchanges:
  - name: work
    request: {method: POST, path: /work}
    reply: {body: {started: true}}
    events:
      - {after: 1s, channel: /work, deliver: subscribers, data: {queue: one}, count: 500, gap: 57s}
      - {after: 6s, channel: /work, deliver: subscribers, data: {queue: two}, count: 500, gap: 57s}
"""
"""Two notifications within 5 s, then a poll that times out and one that is held for 22 s."""
_POLLS = 1_500
"""The number of polls of such a day; the pace of a client is measured with as many that are answered at once."""


@dataclass(frozen=True, slots=True)
class MeasuredDay:
    """The result of `clock/advance`, and what it took."""

    notifications: int
    polls: int
    """The number of polls that were answered: with a notification, or because they timed out."""
    expired: int
    seconds: float
    """Real time from the request for the advance to its reply."""
    server_seconds: float
    """Processor time of the server meanwhile."""
    client_seconds: float = 0.0
    """Processor time of the client meanwhile."""


def bench(folder: Path) -> None:
    """Print the time of a working day, and the processor time of server and client."""
    heading(f"Clock: a working day (8 h, {NOTIFICATIONS:,} notifications, two expiries); load {os.getloadavg()[0]:.1f}")
    os.environ["COMETREEL_ADMIN_TOKEN"] = secrets.token_urlsafe()
    with on_all_cores(), _server(folder, "manual") as server, _server(folder, "real") as at_once:
        ours = [asyncio.run(_day_of_our_client(server)) for _ in range(DAYS)]
        npm, alone = [], []
        for _ in range(DAYS):
            npm.append(_day_of_npm_cometd(server))
            alone.append(_pace_of_npm_cometd(at_once))
    _print_day("our client", ours, " (goal: at most 2)", "")
    _print_day("npm cometd", npm, "", " (goal: at most 1)")
    row(f"npm cometd: {_POLLS:,} polls that are answered at once", alone, "s")


def _print_day(name: str, days: Sequence[MeasuredDay], goal: str, server_goal: str) -> None:
    row(f"{name}: notifications", [day.notifications for day in days])
    row(f"{name}: answered polls", [day.polls for day in days])
    row(f"{name}: expired sessions", [day.expired for day in days])
    row(f"{name}: the day{goal}", [day.seconds for day in days], "s")
    row(f"{name}: server processor time{server_goal}", [day.server_seconds for day in days], "s")
    row(f"{name}: client processor time", [day.client_seconds for day in days], "s")


@contextmanager
def _server(folder: Path, clock: str) -> Iterator[ServerProcess]:
    """Run `cometreel serve`; with the real clock, it answers each poll at once."""
    scenario = folder / f"working-day-{clock}.yaml"
    scenario.write_text(SCENARIO if clock == "manual" else SCENARIO.replace("timeout: 30000", "timeout: 0"))
    command = [str(PROGRAMS / "cometreel"), "serve", str(scenario), "--no-watch", "--clock", clock]
    with running(command, folder / f"working-day-{clock}.log", r"^http://127\.0\.0\.1:(\d+)", pinned=False) as server:
        yield server


async def _day_of_our_client(server: ServerProcess) -> MeasuredDay:
    """Advance the clock by 8 hours while a `BayeuxClient` polls."""
    await _reset(server)
    client = _PollingClient(server.port)
    polling = asyncio.ensure_future(client.run())
    await client.is_ready.wait()
    before = time.process_time()
    day = replace(await _day(server), client_seconds=time.process_time() - before)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    assert client.received == NOTIFICATIONS, f"the client received {client.received} notifications"
    return day


def _day_of_npm_cometd(server: ServerProcess) -> MeasuredDay:
    asyncio.run(_reset(server))
    with _npm_cometd(server, "day", NOTIFICATIONS) as process:
        day = asyncio.run(_day(server))
        output, _ = process.communicate("end\n", timeout=PATIENCE)
    return replace(day, client_seconds=float(output))


def _pace_of_npm_cometd(server: ServerProcess) -> float:
    """Return the seconds that the client takes for the polls of a day, if each one is answered at once."""
    with _npm_cometd(server, "pace", _POLLS) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    return float(output)


@contextmanager
def _npm_cometd(server: ServerProcess, what: str, count: int) -> Iterator[subprocess.Popen[str]]:
    command = ["node", str(CLIENT), f"http://127.0.0.1:{server.port}/cometd", what, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


async def _reset(server: ServerProcess) -> None:
    streams = await asyncio.open_connection("127.0.0.1", server.port)
    await send(*streams, replace(_admin_request("reset"), status=204))
    streams[1].close()


def _admin_request(command: str, body: bytes = b"") -> MeasuredExchange:
    token = os.environ["COMETREEL_ADMIN_TOKEN"]
    return post(f"/__reel__/{command}", body, Authorization=f"Bearer {token}")


async def _day(server: ServerProcess) -> MeasuredDay:
    """Start the notifications and the two sessions that expire; then advance the clock."""
    streams = await asyncio.open_connection("127.0.0.1", server.port)
    await send(*streams, post("/work", b""))
    leaving, silent = [await _session_without_polls(server.port) for _ in range(2)]
    leaving.close()
    eight_hours = _admin_request("clock/advance", b'{"by": "8h"}')
    processor, begin = server.cpu(), time.perf_counter()
    reply = await send(*streams, eight_hours)
    seconds, processor = time.perf_counter() - begin, server.cpu() - processor
    silent.close()
    streams[1].close()
    found = json.loads(reply.partition(b"\r\n\r\n")[2])
    polls = found["notifications"] + found["polls_timed_out"]
    return MeasuredDay(found["notifications"], polls, found["sessions_expired"], seconds, processor)


async def _session_without_polls(port: int) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    handshake = handshake_message()
    await send(reader, writer, post("/cometd", json.dumps([handshake]).encode()))
    return writer


class _PollingClient:
    """A `BayeuxClient` that polls on one connection, and sends its other messages on another one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._client = BayeuxClient()
        self.is_ready = asyncio.Event()
        """Set when the client polls and has its subscription."""
        self.received = 0

    async def run(self) -> None:
        """Poll until the task is cancelled."""
        polls = await asyncio.open_connection("127.0.0.1", self._port)
        others = await asyncio.open_connection("127.0.0.1", self._port)
        loop = asyncio.get_running_loop()
        try:
            events = [*self._client.subscribe("/work"), *self._client.handshake(loop.time())]
            while True:
                sent = [event for event in events if isinstance(event, Send)]
                self.received += sum(isinstance(event, Received) for event in events)
                if all(self._client.subscriptions.values()) and any(isinstance(event, Connected) for event in events):
                    self.is_ready.set()
                events = []
                for each in sorted(sent, key=_is_poll):
                    request = post("/cometd", encode(list(each.messages)))
                    reply = await send(*(polls if _is_poll(each) else others), request)
                    messages = parse_messages(reply.partition(b"\r\n\r\n")[2])
                    events += self._client.receive(messages, loop.time(), number=each.number)
                events += self._client.advance(loop.time())
        finally:
            polls[1].close()
            others[1].close()


def _is_poll(sent: Send) -> bool:
    return sent.messages[0]["channel"] == "/meta/connect"
