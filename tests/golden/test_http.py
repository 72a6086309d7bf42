"""The golden cases over HTTP: the recorded answers of real CometD servers, compared with the replay in a real mitmdump.

test_engine.py runs the same cases on the engine alone, in virtual time. Here they pass through mitmproxy, the addon and
the driver, with real timers, in about twenty seconds.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a replay with the golden settings."""
    with subprocess.Popen([sys.executable, str(HERE / "serve")], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.send_signal(signal.SIGTERM)


def test_every_golden_case_is_answered_over_http_as_the_java_server_did(url: str) -> None:
    """Cases that differ are run again alone: a busy machine can delay a reply past a time limit of the comparison."""
    differing = differing_cases(url, "--jobs", "8")
    assert [case for case in differing if differing_cases(url, "--jobs", "1", "--only", case)] == []


def differing_cases(url: str, *options: str) -> list[str]:
    """Run golden cases on a server, and return the names of those that it answers differently."""
    matrix = [sys.executable, str(HERE / "matrix.py"), url, "--core", *options]
    compare = ["--compare", str(HERE / "golden-java-3.1.14.json")]
    run = subprocess.run([*matrix, *compare], capture_output=True, text=True, check=False)
    lines = [line.split() for line in run.stdout.splitlines() if not line.startswith(" ")]
    assert lines, run.stderr
    assert {line[0] for line in lines} <= {"ok", "DIFF"}, run.stdout
    assert "--only" in options or len(lines) == 137
    return [line[1] for line in lines if line[0] == "DIFF"]
