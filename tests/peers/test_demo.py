"""`make demo` runs to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from demo import peers
from demo.processes import Process


def test_demo(processes: list[Process]):
    ended = subprocess.run([sys.executable, "-m", "demo"], cwd=peers.ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "RequestAgentStats" in ended.stdout
    assert "WorkbinStatsMessage" in ended.stdout
    assert "Nothing differs." in ended.stdout
    assert "passed  lost == 0  0" in ended.stdout
    for line, begins in zip(ended.stdout.splitlines()[-2:], ("<!doctype html>", "<!doctype html>"), strict=True):
        assert Path(line.strip()).read_text().lower().startswith(begins)
