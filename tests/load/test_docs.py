"""The page on load tests: each command runs, and each option is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.stubs import free_port
from tests.load.conftest import ROOT

PAGE = (ROOT / "docs" / "load.md").read_text()
BLOCKS = [block.replace("\\\n", " ") for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)]
RUNS = [block for block in BLOCKS if "locust" in block]


def shorter(block: str, url: str) -> str:
    """Return the commands for a test server, with a short run and the master on a free port."""
    port = free_port()
    block = block.replace("--processes 2", f"--processes 2 --master-bind-port {port} --master-port {port}")
    block = block.replace("https://gws.example", url).replace("loadtests/", f"{ROOT}/loadtests/")
    block = block.replace("scenarios/", f"{ROOT}/scenarios/").replace("--reel-find-capacity", "")
    return re.sub(r"-t \S+", "-t 4s --reel-patience 2s --only-summary", block)


@pytest.mark.parametrize("block", RUNS, ids=[re.sub(r"\W+", "-", block)[-40:] for block in RUNS])
def test_each_command_runs(block: str, faulty: Callable[..., str], tmp_path: Path):
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    ended = subprocess.run(
        ["bash", "-ec", shorter(block, faulty())],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "expected notifications came" in ended.stdout, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.returncode in {0, 1}


def test_the_only_other_command_installs():
    assert [block for block in BLOCKS if block not in RUNS] == ["pip install 'cometreel[load]'\n"]


def test_every_option_is_on_the_page():
    source = (ROOT / "cometreel" / "locust_agents" / "run_options.py").read_text()
    assert sorted(set(re.findall(r'"(--reel-[a-z-]+)"', source)) - set(re.findall(r"--reel-[a-z-]+", PAGE))) == []
