"""Long-running commands show a progress bar on a terminal and nothing in a log."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal import seen_on_a_terminal

ROOT = Path(__file__).parents[3]

COMMANDS = pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["distill", "workbin-desktop.jsonl", "-o", "again.yaml"], "distilling workbin-desktop.jsonl"),
        (["show", "workbin-desktop.jsonl"], "drawing workbin-desktop.html"),
        (["show", "--text", "workbin-desktop.yaml"], "reading workbin-desktop.yaml"),
        (["export", "workbin-desktop.yaml", "--har"], "exporting workbin-desktop.yaml"),
        (["lint", "workbin-desktop.yaml"], "checking"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in (ROOT / "recordings").glob("workbin-desktop.*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "cometreel", *words]


@COMMANDS
def test_a_terminal_shows_the_progress(folder: Path, words: list[str], shown: str):
    assert shown in seen_on_a_terminal(command(words), folder)


@COMMANDS
def test_a_log_shows_no_progress(folder: Path, words: list[str], shown: str):
    ended = subprocess.run(command(words), cwd=folder, capture_output=True, check=True, timeout=60)
    assert shown not in (ended.stdout + ended.stderr).decode()
