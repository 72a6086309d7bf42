"""Measures many held polls: the lateness of notifications over real sockets, and memory, in pure Python and compiled.

19,000 polls are held over loopback sockets while POSTs cause 2,000 notifications per second, each followed by the next
poll of its session. Then 100,000 sessions hold their polls over transports in memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks import engine
from benchmarks.engine_forms import EngineForm, engine_forms
from benchmarks.figures import heading, row
from benchmarks.server_processes import ServerProcess
from benchmarks.servers import serve

POLLS = int(os.environ.get("BENCH_POLLS", "19000"))
MEMORY_SESSIONS = int(os.environ.get("BENCH_MEMORY_SESSIONS", "100000"))
RATE = 2000  # notifications per second
SECONDS = 8
OFFSET = 20.0  # milliseconds from a POST to its notification in the scenario
SPARE_FILES = 200  # open files of a process that are not polls
PATIENCE = 110.0  # seconds


def bench(folder: Path) -> None:
    """Print lateness and memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = POLLS if hard == resource.RLIM_INFINITY else min(POLLS, hard - SPARE_FILES)
    forms = engine_forms()
    (folder / "polls.yaml").write_text(engine.scenario(10, timeout=600_000))
    heading(f"Polls: {count:,} held over sockets, {RATE:,} notifications/s; load average {os.getloadavg()[0]:.1f}")
    if count < POLLS:
        print(f"only {count:,} polls, because this machine allows {hard:,} open files per process (ulimit -Hn)")
    for form in forms:
        with serve(folder, folder / "polls.yaml", form) as server:
            _lateness(form, server, count)
    heading(f"Polls: {MEMORY_SESSIONS:,} sessions with held polls over transports in memory (goal: at most 700 MB)")
    for form in forms:
        found = _in_memory(form)
        row(f"{form.name}: the whole process", [found["after"] / 1e6], "MB")
        row(f"{form.name}: per session", [(found["after"] - found["before"]) / found["sessions"] / 1e3], "kB")


def _lateness(form: EngineForm, server: ServerProcess, count: int) -> None:
    """Hold polls, send POSTs, and print the lateness of the notifications."""
    before = server.memory()
    command = [sys.executable, "-m", "benchmarks.loads.poll_clients"]
    arguments = [str(server.port), str(count), str(RATE), str(SECONDS)]
    with ExitStack() as stack:
        client = stack.enter_context(
            subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(client.kill)
        assert client.stdout is not None
        held = int(client.stdout.readline().removeprefix("ready "))
        each, cpu = (server.memory() - before) / held, server.cpu()
        output, _ = client.communicate("go\n", timeout=PATIENCE)
        spent = server.cpu() - cpu
    found = json.loads(output)
    late = sorted(delay - OFFSET for delay in found["delays"])
    lost = found["sent"] - len(late)
    row(f"{form.name}: held polls", [held])
    row(f"{form.name}: lateness p50", [late[len(late) // 2]], "ms")
    row(f"{form.name}: lateness p99 (goal: at most 5)", [late[int(len(late) * 0.99)]], "ms")
    row(f"{form.name}: notifications per second", [len(late) / found["seconds"]], f"/s, {lost} lost")
    row(f"{form.name}: processor time of the server", [100 * spent / found["seconds"]], "% of one core")
    row(f"{form.name}: memory per session with its poll", [each / 1000], "kB")


def _in_memory(form: EngineForm) -> dict[str, int]:
    """Return the resident bytes without sessions and with them, measured in a process of its own."""
    command = [sys.executable, "-P", "-m", "benchmarks.memory_sessions", str(MEMORY_SESSIONS)]
    environment = {**os.environ, **form.environment()}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE)
    found: dict[str, int] = json.loads(done.stdout)
    return found
