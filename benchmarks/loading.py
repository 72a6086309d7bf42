"""Measures load generation: exchanges per second of one core, memory and start time of agents, error of latencies.

An exchange is a POST, its acknowledgement, its notification on the held poll, and the next poll. The server
(`gws_light.py`) runs on one core, each candidate in turn on the other. Exchanges per second of *CPU time* are compared,
so that neither the server nor other processes affect the result.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.engine_forms import engine_forms
from benchmarks.figures import heading, row
from benchmarks.server_processes import CLIENT_CORE, TWO_CORES, ServerProcess, running

LOADS = Path(__file__).parent / "loads"
ROOT = LOADS.parents[1]
TURNS = 3
AGENTS = 200
OURS = ("--reel-mix", "place=100", "--reel-owners", "place=Place1")

Figures = dict[str, float]


def measured(command: list[str], **settings: str) -> Figures:
    """Run a candidate on the client core and return the figures that it prints."""
    pinned = ["taskset", "-c", str(CLIENT_CORE), *command] if TWO_CORES else command
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    # Locust imports from the current folder first, which must not be that of the pure modules
    process = subprocess.run(
        pinned, cwd=LOADS, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    for line in process.stdout.splitlines():
        if line.startswith("MEASURED "):
            figures: Figures = json.loads(line.removeprefix("MEASURED "))
            return figures
    raise RuntimeError(f"{command} printed no MEASURED line:\n{process.stdout[-2000:]}\n{process.stderr[-2000:]}")


def locust(file: str, host: str, users: int, *arguments: str, **settings: str) -> Figures:
    """Run a locustfile of `benchmarks/loads`."""
    program = str(Path(sys.executable).with_name("locust"))
    command = [program, "-f", str(LOADS / file), "--headless", "--only-summary", "--host", host]
    return measured([*command, "-u", str(users), "-r", str(users), *arguments], **settings)


def light(folder: Path, *certificate: Path) -> AbstractContextManager[ServerProcess]:
    """Run `gws_light.py`, which pushes a notification 5 ms after its POST; with a certificate it uses TLS."""
    command = [sys.executable, str(LOADS.parent / "gws_light.py"), "5", *map(str, certificate)]
    return running(command, folder / "light.log", r"port (\d+)")


def throughput(folder: Path) -> float:
    """Print exchanges per second of CPU time of all candidates; return the median of our agents in pure Python."""
    forms = {f"our agents, {form.name}": form for form in engine_forms()}
    heading(f"Load of {AGENTS} agents: complete exchanges per second of CPU time")
    with light(folder) as server:
        host = f"http://127.0.0.1:{server.port}"
        node = ["node", str(LOADS / "cometd_agents.mjs"), host, str(AGENTS), "2", "5"]
        candidates: dict[str, Callable[[], Figures]] = {
            **{
                name: partial(locust, "reel_agents.py", host, AGENTS, *OURS, **form.environment())
                for name, form in forms.items()
            },
            "FastHttpUser, the same": lambda: locust("fast_agents.py", host, AGENTS),
            "FastHttpUser, POSTs alone": lambda: locust("fast_posts.py", host, AGENTS),
            "npm's cometd 3.1 on node": lambda: measured(node),
        }
        rounds = [{name: run() for name, run in candidates.items()} for _ in range(TURNS)]
    rates = {name: [each[name]["count"] / each[name]["cpu"] for each in rounds] for name in candidates}
    others = [name for name in candidates if name not in forms]
    for name in candidates:
        row(name, rates[name], "exchanges/s" if "alone" not in name else "POSTs/s")
    for ours in forms:
        for name in others:
            row(f"ratio {ours} : {name}", [one / other for one, other in zip(rates[ours], rates[name], strict=True)])
    return sorted(rates["our agents, pure"])[TURNS // 2]


def idle(folder: Path) -> None:
    """Print memory and start time of an agent that only holds its poll, plain and with TLS."""
    heading("Idle agents with a held poll: memory and start time per agent")
    pair = certificate(folder)
    for name, file, arguments, plain, secure in (
        ("our agents", "reel_agents.py", (*OURS, "--reel-rate", "0.001"), 3000, 1000),
        ("FastHttpUser", "fast_agents.py", (), 3000, 300),
    ):
        for users, files in ((plain, ()), (secure, pair)):
            with light(folder, *files) as server:
                host = f"{'https' if files else 'http'}://127.0.0.1:{server.port}"
                found = locust(file, host, users, *arguments, BENCH_IDLE="1", BENCH_SECONDS="1", BENCH_WARM="1")
            label = f"{name}, {users}{', TLS' if files else ''}"
            row(f"{label}: memory per agent", [found["memory"] / users / 1000], "kB")
            row(f"{label}: start time per agent", [found["ramp"] / users * 1000], "ms")


def accuracy(folder: Path, core: float) -> None:
    """Print the error of latencies at half of the capacity, and the CPU of many agents at a fixed rate."""
    heading("Measured latency minus the server's own figure; CPU at a fixed rate")
    with light(folder) as server:
        host = f"http://127.0.0.1:{server.port}"
        command = [sys.executable, str(LOADS / "latency_error.py"), host, str(AGENTS), f"{core / 2:.0f}", "5"]
        found = [measured(command) for _ in range(TURNS)]
        row(f"error at {core / 2:,.0f} exchanges/s, p50", [each["p50"] for each in found], "ms")
        row(f"error at {core / 2:,.0f} exchanges/s, p99", [each["p99"] for each in found], "ms")
        many = locust("reel_agents.py", host, 3000, *OURS, "--reel-rate", "1000")
        row("CPU of 3,000 agents at 1,000 requests/s", [100 * many["cpu"] / many["wall"]], "% of one core")
        row("exchanges per second in this run", [many["count"] / many["wall"]], "exchanges/s")


def certificate(folder: Path) -> tuple[Path, Path]:
    """Create a certificate for loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    one, other = folder / "cert.pem", folder / "key.pem"
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    one.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(encoding))
    other.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    return one, other


def bench(folder: Path) -> None:
    """Run all measurements."""
    core = throughput(folder)
    idle(folder)
    accuracy(folder, core)
