"""The cases of more_cases.py, asked of the real Node server again: it still answers as recorded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.more_cases import MORE_CASES

HERE = Path(__file__).parent
SERVER = HERE.parent / "peers" / "node" / "golden_server.js"


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of the Node server with the golden settings."""
    with subprocess.Popen(["node", str(SERVER)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def test_the_node_server_answers_the_additional_cases_as_recorded(url: str) -> None:
    names = [case.__name__ for case in MORE_CASES]
    command = [sys.executable, "-m", "tests.golden.more_cases", url, "--only", ",".join(names), "--jobs", "8"]
    compare = ["--core", "--compare", str(HERE / "more-node-1.2.1.json")]
    run = subprocess.run([*command, *compare], capture_output=True, text=True, check=False)
    differing = [line for line in run.stdout.splitlines() if not line.startswith("ok ")]
    assert (differing, run.returncode) == ([], 0), run.stderr
    assert f"{len(names)}/{len(names)} cases match" in run.stderr
