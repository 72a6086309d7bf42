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
    matrix = [sys.executable, str(HERE / "matrix.py"), url, "--core", "--jobs", "8"]
    compare = ["--compare", str(HERE / "golden-java-3.1.14.json")]
    run = subprocess.run([*matrix, *compare], capture_output=True, text=True, check=False)
    differing = [line for line in run.stdout.splitlines() if not line.startswith("ok ")]
    assert (differing, run.returncode) == ([], 0), run.stderr
    assert "137/137 cases match" in run.stderr
