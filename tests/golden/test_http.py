"""The golden cases over HTTP: what real CometD servers answered, asked of the replay behind a real mitmdump.

The same cases run on the engine alone, in no time, in test_engine.py. Here the way through the driver, the addon
and mitmproxy is what is tested; the real timers make it take about twenty seconds.
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
