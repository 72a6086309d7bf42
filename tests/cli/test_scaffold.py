"""The starter's own test, run by a pytest of its own as whoever made the folder would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cometreel.cli import ExitCode, run


def test_it_passes(tmp_path: Path):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "1 passed"), ended.stdout
