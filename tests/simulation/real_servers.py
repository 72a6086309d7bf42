"""Starts each way to serve on real sockets: `cometreel serve`, the ASGI application in two servers, and mitmdump.

Each server has a manual clock and the seed of the plan, so its bytes depend on nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest

from benchmarks.stubs import free_port
from cometreel.engine.driver import Driver
from cometreel.jsonvalue import JSON
from cometreel.scenario import loads
from cometreel.serve import replay_app, serve_in_background, settings_for
from cometreel.serve.admin.auth import AdminAuth
from cometreel.serve.admin.on_demand import admin_factory
from cometreel.wire import Effect, Frame, Reply, Request
from demo import peers
from demo.processes import Process
from tests.simulation import socket_run
from tests.simulation.clients import Client
from tests.simulation.generation import plan_of
from tests.simulation.history import Delivered, Meaning
from tests.simulation.plan import Options, Plan
from tests.simulation.served.driver_reports import VARIABLE, reporting_methods
from tests.simulation.shrinking import SMALLER_PLANS, Shrinker
from tests.simulation.socket_run import AllowedDifferences, ServedReplay, address_of, difference
from tests.simulation.transcript import transcript
from tests.simulation.world import World

__all__ = [
    "LEFT_OUT",
    "SERVERS",
    "ServerProgram",
    "broken_bytes",
    "check_servers",
    "compared",
    "played_in_memory",
    "report_failure",
    "servable",
    "serving_here",
    "socket_plan",
]

ROOT = Path(__file__).parents[2]
TOKEN = "the-token-of-the-simulation"
SEED = "7"
MAX_RUNS = 300
"""How often a plan that differs on a server is played to shrink it: a run takes about a second."""
PATIENCE_OF_SHRINKING = 5.0
"""`PATIENCE` of these runs."""

LEFT_OUT: Mapping[str, str] = {
    "fail": "a write that fails while the client is connected can't be caused from outside",
    "restart": "a restarted server has another seed, so that it gives out other ids",
    "crash": "as `restart`",
    "head": "the servers send the length of the body instead of the body, which only the engine shows",
    "edit": "the servers have the original scenario in a file; `reload` reads it again",
}
"""The steps that are left out, each with a reason."""


def socket_plan(seed: int, length: int = 150) -> Plan:
    """Return the plan of a seed as it can be repeated on sockets."""
    return servable(plan_of(seed, length=length))


def servable(plan: Plan) -> Plan:
    """Return a plan without the steps that can't be repeated on a socket, for one server with a seed.

    It needs no login, because servers refuse a WebSocket in different ways.
    """
    return replace(
        plan,
        steps=tuple(step for step in plan.steps if step.do not in LEFT_OUT),
        clients=tuple(replace(client, node=0, address="") for client in plan.clients),
        options=replace(
            plan.options, nodes=1, seed=SEED, max_waiting=Options().max_waiting, auth="open", manual_clock=True
        ),
    )


class WritingWorld(World):
    """A world whose servers count a reply or a frame as written at once, as those on sockets do.

    The kernel takes the bytes of a client that reads late. So a slow client receives late, and the server goes on.
    """

    def send(self, client: Client, request: Request, meaning: Meaning) -> None:
        """Let a request reach the server from the address of its client."""
        super().send(client, replace(request, address=address_of(client.plan.name)), meaning)

    def do(self, node: int, effects: list[Effect]) -> None:
        """Perform effects, and those of their confirmation."""
        waiting, backend = deque(effects), self.nodes[node]
        while waiting:
            effect = waiting.popleft()
            super().do(node, [effect])
            if isinstance(effect, Reply | Frame) and backend.awaits_confirmation(effect.request_id):
                waiting += backend.delivered(effect.request_id, self.now)

    def deliver(self, client: Client, request_id: int, content: JSON) -> None:
        """Record that a client has received a reply or a frame."""
        self.history.append(Delivered(self.now, client.plan.node, client.plan.name, request_id, content))


def played_in_memory(plan: Plan, scenario: Path) -> World:
    """Write the scenario of a plan to a file, and play the plan with this file in memory."""
    scenario.write_text(plan.scenario().dump(), "utf-8")
    world = WritingWorld(plan, scenario=loads(scenario.read_text("utf-8"), scenario.name))
    world.play()
    return world


# ------------------------------------------------------------------ servers
_FRAMING = {
    "content-length": "the length of the body, which is compared",
    "connection": "a part of each upgrade",
    "upgrade": "a part of each upgrade",
    "sec-websocket-accept": "depends on the random key of the client",
}
_BY_ASGI_SERVER = {**_FRAMING, "date": "the time", "server": "the name of the program"}
_ASGI_ERROR = b"HTTP/1.1 500 "
"""ASGI has no way to close a connection without a reply, so the application raises an error."""
_ASGI_APP = "tests.simulation.served.asgi_replay:app"
_LOG_TO_STDOUT = ("sh", "-c", 'exec "$@" 2>&1', "sh")
_MANUAL_MITMPROXY = ROOT / "tests" / "simulation" / "served" / "manual_mitmproxy.py"


def settings_of(plan: Plan) -> dict[str, JSON]:
    """Return the settings of a plan that each server takes."""
    return {"seed": SEED, "speed": plan.options.speed, "repeat": plan.options.repeat}


@dataclass(frozen=True)
class ServerProgram:
    """A program that serves a replay, and how to start it. It logs its URL, and then possibly that it is ready."""

    name: str
    command: Callable[[Mapping[str, JSON], str], list[str | Path]]
    """Returns the command for settings and the name of a file; other programs read them in the environment."""
    url: str
    """The pattern of the line with the URL."""
    ready: str = ""
    """The pattern of a later line; if it has a group, that is the URL of the admin API."""
    allowed: AllowedDifferences = field(default_factory=lambda: AllowedDifferences(_FRAMING))

    @contextmanager
    def serving(self, plan: Plan, scenario: Path) -> Iterator[ServedReplay]:
        """Serve the scenario of a plan, in a file. Logs are written next to it."""
        settings = settings_of(plan)
        command = self.command(settings, scenario.name)
        path = scenario.with_name(f"{self.name}.pipe")
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PYTHONPATH", os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]))
                patch.setenv(VARIABLE, str(path))
                patch.setenv("COMETREEL_ADMIN_TOKEN", TOKEN)
                patch.setenv("REEL_SCENARIO", scenario.name)
                patch.setenv("REEL_SETTINGS", json.dumps(settings))
                process = Process(self.name, command, scenario.parent)
            with process:
                url = process.await_line(self.url)[1]
                ready = process.await_line(self.ready).groups() if self.ready else ()
                yield ServedReplay(self.name, url, ready[0] if ready else url, TOKEN, pipe, self.allowed)
        finally:
            os.close(pipe)


def _serve(settings: Mapping[str, JSON], scenario: str) -> list[str | Path]:
    command = [sys.executable, "-m", "tests.simulation.served.observed_command", "serve", scenario]
    return [*command, "--clock=manual", "--no-watch", *(f"--{name}={value}" for name, value in settings.items())]


def _uvicorn(_settings: Mapping[str, JSON], _scenario: str) -> list[str | Path]:
    options = ("--port=0", "--timeout-keep-alive=60", "--no-access-log")
    return [*_LOG_TO_STDOUT, sys.executable, "-m", "uvicorn", _ASGI_APP, *options]


def _granian(_settings: Mapping[str, JSON], _scenario: str) -> list[str | Path]:
    program = Path(sys.executable).with_name("granian")
    return [*_LOG_TO_STDOUT, program, _ASGI_APP, "--interface=asgi", f"--port={free_port()}", "--workers=1"]


def _mitmdump(settings: Mapping[str, JSON], scenario: str) -> list[str | Path]:
    command: list[str | Path] = [Path(sys.executable).with_name("mitmdump"), "--mode=reverse:http://unused.invalid"]
    command += ["--listen-host=127.0.0.1", "--listen-port=0", "-s", _MANUAL_MITMPROXY, "-s", peers.ADDONS / "replay.py"]
    options = {"confdir": "mitmproxy", "flow_detail": 0, "reel_scenario": scenario}
    options |= {f"reel_{name}": value for name, value in settings.items()}
    return [*command, *(f"--set={name}={value}" for name, value in options.items())]


SERVERS: Mapping[str, ServerProgram] = {
    each.name: each
    for each in (
        ServerProgram("serve", _serve, r"^(http://127\.0\.0\.1:\d+)$"),
        ServerProgram(
            "uvicorn",
            _uvicorn,
            r"running on (http://127\.0\.0\.1:\d+)",
            allowed=AllowedDifferences(_BY_ASGI_SERVER, broken=_ASGI_ERROR),
        ),
        ServerProgram(
            "granian",
            _granian,
            r"Listening at: (http://\S+)",
            r"Started worker",
            AllowedDifferences(_BY_ASGI_SERVER, upgrade_fields=False, broken=_ASGI_ERROR),
        ),
        ServerProgram(
            "mitmdump",
            _mitmdump,
            r"listening at (127\.0\.0\.1:\d+)",
            r"admin API at (http://\S+)",
            AllowedDifferences({**_FRAMING, "date": "the time of an upgrade, which the WebSocket listener adds"}),
        ),
    )
}
"""The ways to serve a replay on sockets."""


@contextmanager
def serving_here(plan: Plan, scenario: Path) -> Iterator[ServedReplay]:
    """Serve the scenario of a plan in a thread of this process, as `cometreel.replay` does."""
    reader, writer = os.pipe()
    found = loads(scenario.read_text("utf-8"), scenario.name)
    admin = admin_factory(AdminAuth(TOKEN))
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, method in reporting_methods(writer):
                patch.setattr(Driver, name, method)
            factory = replay_app(found, settings_for(found, settings_of(plan)), admin=admin, clock="manual")
            with serve_in_background(factory) as served:
                yield ServedReplay("this process", served.url, served.url, TOKEN, reader, AllowedDifferences(_FRAMING))
    finally:
        os.close(reader)
        os.close(writer)


# ------------------------------------------------------------------ comparing
Serving: TypeAlias = Callable[[Plan, Path], AbstractContextManager[ServedReplay]]


def compared(serving: Serving, plan: Plan, folder: Path) -> tuple[str, int]:
    """Play a plan in memory and on a server; return the first difference, or "", and the number of equal outputs."""
    scenario = folder / "scenario.yaml"
    history = played_in_memory(plan, scenario).history
    with serving(plan, scenario) as served:
        return difference(served, history, scenario.read_text("utf-8"))


def broken_bytes(plan: Plan, server: str) -> list[str]:
    """Return the lines of the first difference between a plan that is `servable` in memory and on a server."""
    with TemporaryDirectory() as folder:
        return compared(SERVERS[server].serving, plan, Path(folder))[0].splitlines()


def report_failure(seed: int, server: str) -> str:
    """Return the smallest plan of a seed that differs on a server, as a unit test."""
    plan = socket_plan(seed)
    if not broken_bytes(plan, server):
        return "The next run had no difference, so it depends on more than the seed."

    def find(plan: Plan) -> list[str]:
        return broken_bytes(servable(plan), server)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket_run, "PATIENCE", PATIENCE_OF_SHRINKING)
        plan = servable(Shrinker(plan, find, SMALLER_PLANS, max_runs=MAX_RUNS).shrink())
        return transcript(plan, seed, broken_bytes, server=server)


def check_servers(seeds: Iterable[int]) -> bool:
    """Play seeds on each server, and print the numbers of equal outputs, or the first difference; True if all equal."""
    totals = dict.fromkeys(SERVERS, 0)
    for seed in seeds:
        for name, program in SERVERS.items():
            with TemporaryDirectory() as folder:
                found, count = compared(program.serving, socket_plan(seed), Path(folder))
            if found:
                print(f"seed {seed} on {name}, after {count} equal outputs: {found}")
                print(
                    f"SEED={seed} SOCKETS=1 repeats it. The smallest plan that is found in {MAX_RUNS} runs:\n",
                    flush=True,
                )
                print(report_failure(seed, name))
                return False
            totals[name] += count
    print("on sockets:", ", ".join(f"{count} equal outputs of {name}" for name, count in totals.items()))
    return True
