"""The soak: its slopes, and a run of seconds."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

import pytest

from benchmarks.loads.soak_clients import ClientFailed, SoakClients
from benchmarks.server_processes import ServerProcess
from benchmarks.soak import slope, soak

ROOT = Path(__file__).parents[2]


def noisy(growth: float) -> list[tuple[float, float]]:
    """Return values of an hour, with noise, that grow by so much per hour."""
    random = Random(1)
    return [(float(at), 50 + growth * at / 3600 + random.gauss(0, 0.5)) for at in range(0, 3600, 10)]


def test_noise_is_no_growth():
    assert slope(noisy(0)).is_zero


def test_a_small_growth_is_found_in_the_noise():
    assert not slope(noisy(1)).is_zero


def test_steps_are_growth_and_a_fall_is_not():
    steps = [(float(at), float(at // 600)) for at in range(3600)]
    assert not slope(steps).is_zero
    assert slope([(at, -value) for at, value in steps]).is_zero


def test_a_step_up_after_a_step_down_is_no_growth():
    """Memory of a run of an hour without a leak: the allocator returned a part of it for a while."""
    steps = [(float(at), 75.4 if at < 700 else 75.0 if at < 1700 else 75.6) for at in range(0, 2700, 10)]
    assert slope(steps).is_zero


def test_too_few_samples_have_no_slope():
    assert slope([(0, 1), (1, 2)]).is_zero


def failure(answer: bytes) -> str:
    """Return how a client fails whose requests get this answer."""

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await reader.read()

    async def scene() -> None:
        async with await asyncio.start_server(answers, "127.0.0.1", 0) as server:
            await SoakClients(server.sockets[0].getsockname()[1], 1, rate=1000).run(0)

    with pytest.raises(ClientFailed) as failed:
        asyncio.run(scene())
    return str(failed.value)


def test_a_client_fails_if_a_request_is_not_answered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.loads.soak_clients.PATIENCE", 0.2)
    awaited = r"(the connection|the reply to POST /api/v2/workbins HTTP/1\.1)"  # a busy machine may connect slowly
    assert re.fullmatch(rf"client 0, long-polling: TimeoutError: {awaited} didn't come in 0\.2 s", failure(b""))


def test_a_client_fails_if_an_answer_is_wrong():
    not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    assert failure(not_found) == "client 0, long-polling: AssertionError: 404 instead of 200: b''"


def test_a_server_that_is_silent_in_the_end_fails_the_run(monkeypatch: pytest.MonkeyPatch):
    """The clients would wait longer than the rest of the time."""
    monkeypatch.setattr("benchmarks.soak.CLIENTS", 3)
    monkeypatch.setattr("benchmarks.loads.soak_clients.PATIENCE", 0.5)

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await reader.read()

    async def scene() -> None:
        async with await asyncio.start_server(never_answers, "127.0.0.1", 0) as server:
            await soak(ServerProcess(os.getpid(), server.sockets[0].getsockname()[1]), 0.1)

    with pytest.raises(ClientFailed, match=r"client \d, .*: TimeoutError: .* didn't come in 0\.5 s"):
        asyncio.run(scene())


def test_a_short_run_plays_exchanges_over_every_transport_and_writes_samples_and_a_plot(tmp_path: Path):
    """In so short a time, memory and descriptors still grow, so the exit code may be 1."""
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.15", "--out", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert (run.stderr, run.returncode in (0, 1)) == ("", True)
    played = dict(re.findall(r"(?m)^([a-z-]+) +([\d,]+) exchanges, [1-9]", run.stdout))
    assert played.keys() == {"long-polling", "callback-polling", "websocket"}
    assert "0" not in played.values()
    assert "Traceback" not in run.stdout
    lines = (tmp_path / "samples.tsv").read_text().splitlines()
    assert lines[0] == "seconds\tmemory\tdescriptors\trate\tprocessor"
    assert len(lines) > 20
    assert len(ET.parse(tmp_path / "soak.svg").findall("{*}polyline")) == 3
