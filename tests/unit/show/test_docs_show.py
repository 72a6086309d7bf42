"""docs/show.md is current: its commands print what it shows, its tables are complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGE = (DOCS / "show.md").read_text("utf-8")


def steps() -> list[tuple[str, str]]:
    """Return each command of the page and its output."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    pieces = [piece for block in blocks for piece in re.split(r"^\$ ", block, flags=re.MULTILINE) if piece]
    return [(piece.partition("\n")[0], piece.partition("\n")[2]) for piece in pieces]


@pytest.mark.parametrize(("command", "printed"), steps(), ids=[command for command, _ in steps()])
def test_a_command_prints_what_is_shown(command: str, printed: str, tmp_path: Path):
    (tmp_path / "recordings").mkdir()
    for kind in ("jsonl", "yaml"):
        shutil.copy(ROOT / "recordings" / f"workbin-desktop.{kind}", tmp_path / "recordings")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, printed, "")


def test_the_page_has_commands():
    assert len(steps()) == 4


def test_every_option_is_explained():
    text = (ROOT / "cometreel" / "cli" / "show.py").read_text()
    options = re.findall(r'"(--[a-z]+|-[a-z])"', text)
    assert options
    assert [option for option in options if f"`{option}`" not in PAGE and option != "--out"] == []


def test_every_key_of_the_page_is_in_the_table():
    program = (ROOT / "cometreel" / "show" / "page" / "main.js").read_text("utf-8")
    (anywhere,) = re.findall(r"const ANYWHERE = \{(.*?)\n\};", program, re.DOTALL)
    names = re.findall(r'^  "?([^":\s]+)"?: ', anywhere, re.MULTILINE)
    keys = {name for name in names if len(name) == 1} - {"="}  # `=` is `+` without Shift
    assert keys == {"/", "t", "?", "+", "-", "0"}
    assert [key for key in keys if f"`{key}`" not in PAGE] == []


def test_its_pictures_exist_and_are_small():
    names = re.findall(r"\]\((images/[^)]+)\)", PAGE)
    sizes = {name: (DOCS / name).stat().st_size for name in names}
    assert len(sizes) == 2
    assert max(sizes.values()) <= 200_000
