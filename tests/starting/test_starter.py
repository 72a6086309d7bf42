"""The starter's own test, run by a pytest of its own against a replay in a real mitmdump."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometreel.cli import Exit, run
from demo import peers
from demo.processes import Process

REEL = """
import pytest

class Reel:
    url = {url!r}
    def play(self, name):
        assert name == "workbins.yaml"

@pytest.fixture
def reel():
    return Reel()
"""
"""What the starter's test needs of the fixture `reel`; a fixture in a conftest goes before a plugin's."""


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[str]:
    """The URL of a replay of the starter's scenario."""
    assert run(["init", str(tmp_path)]) == Exit.DONE
    options: dict[str, object] = {"reel_scenario": tmp_path / "workbins.yaml"}
    server = peers.mitmdump(tmp_path, "reverse:http://unused", peers.ADDONS / "replay.py", options)
    with server.process as process:
        assert isinstance(process, Process)
        yield server.url


def test_it_passes(replay: str, tmp_path: Path):
    (tmp_path / "conftest.py").write_text(REEL.format(url=replay))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "-W",
        "ignore",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "1 passed"), ended.stdout
