"""Starts and stops the measured processes on the server core; reads their memory and CPU time from the kernel."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120.0  # seconds to wait for a process to start; 10,000 exchanges take a while to load
SERVER_CORE, CLIENT_CORE = 0, 1
TWO_CORES = {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0)


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server: its process id and its loopback port."""

    pid: int
    port: int

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024

    def descriptors(self) -> int:
        """Return the number of open file descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208  # the server opens and closes some meanwhile

    def cpu(self) -> float:
        """Return the CPU time of the process and its children, in seconds."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(map(_cpu, [str(self.pid), *children]))


@contextmanager
def suspended(servers: Iterable[ServerProcess]) -> Iterator[None]:
    """Suspend processes until the block ends; for servers that use processor time without requests."""
    found = [*servers]
    for server in found:
        os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for server in found:
            os.kill(server.pid, signal.SIGCONT)


def _cpu(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def on_client_core() -> None:
    """Pin this process to the client core, if the machine has two cores."""
    if TWO_CORES:
        os.sched_setaffinity(0, {CLIENT_CORE})


@contextmanager
def on_all_cores() -> Iterator[None]:
    """Let this process and its children use every core until the block ends, as a user's programs do."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def mitmdump(log: Path, *arguments: str) -> Iterator[ServerProcess]:
    """Run mitmdump on the server core, on a free loopback port, until the block ends."""
    program = str(Path(sys.executable).with_name("mitmdump"))
    command = [program, "--listen-host", "127.0.0.1", "--listen-port", "0", "--set", "flow_detail=0"]
    with running(
        [*command, "--set", f"confdir={log.parent}", *arguments], log, r"listening at 127\.0\.0\.1:(\d+)"
    ) as one:
        yield one


@contextmanager
def running(command: list[str], log: Path, announces: str, *, pinned: bool = True) -> Iterator[ServerProcess]:
    """Run a server until the block ends, on the server core or, not `pinned`, on the cores of this process.

    The pattern `announces` finds its port in its output.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *command] if TWO_CORES and pinned else command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
        )
    try:
        yield ServerProcess(process.pid, _port(process, log, announces))
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path, announces: str) -> int:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(announces, log.read_text(errors="replace")):
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')}")
