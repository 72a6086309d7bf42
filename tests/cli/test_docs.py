"""The pages of these commands say what is: their commands are run in order and print what is shown, to the letter.

Traffic differs from machine to machine in nothing that is shown. Rules, options and formats are all named.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.lint import FORMATS, RULES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {"import": 4, "export": 6, "lint": 3, "start": 4}
"""Each page, and how many commands it has."""

BAD = """\
cometreel: 1
exchanges:
  - name: login
    request: {method: POST, path: /login, body: {$partial: {user: ann}}}
    reply: {headers: {Last-Modified: 'Mon, 23 Nov 2026 10:00:00 GMT'}, body: {password: hunter2hunter2}}
  - name: login of ann
    request: {method: POST, path: /login, body: {user: ann, since: '2026-11-23T10:00:00Z'}}
"""


def steps(page: str) -> list[tuple[str, str]]:
    """Each command of a page, and what it prints."""
    blocks = re.findall(r"```console\n(.*?)```", (DOCS / f"{page}.md").read_text("utf-8"), re.DOTALL)
    pieces = [piece for block in blocks for piece in re.split(r"^\$ ", block, flags=re.MULTILINE) if piece]
    return [(piece.partition("\n")[0], piece.partition("\n")[2]) for piece in pieces]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the recording that ships, exports of it, and a scenario with something of everything wrong."""
    (tmp_path / "recordings").mkdir()
    sample = shutil.copy(ROOT / "recordings" / "workbin-desktop.yaml", tmp_path / "recordings")
    (tmp_path / "bad.yaml").write_text(BAD)
    return Path(sample).parents[1]


def printed(command: str, folder: Path) -> str:
    """Return the output of both streams, as a shell shows it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["/bin/bash", "-uc", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.stdout


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_is_shown(page: str, folder: Path):
    if page == "import":
        sample = str(folder / "recordings" / "workbin-desktop.yaml")
        assert run(["export", sample, "--har", "-o", str(folder / "desktop.har")]) == ExitCode.SUCCESS
        assert run(["export", sample, "--mitm", str(folder / "flows.mitm")]) == ExitCode.SUCCESS
    assert [(command, printed(command, folder)) for command, _ in steps(page)] == steps(page)


@pytest.mark.parametrize(("page", "commands"), PAGES.items())
def test_every_page_has_its_commands(page: str, commands: int):
    assert len(steps(page)) == commands


@pytest.mark.parametrize(("page", "module"), [("import", "import_"), ("export", "export"), ("lint", "lint")])
def test_every_option_is_explained(page: str, module: str):
    text = (ROOT / "cometreel" / "cli" / f"{module}.py").read_text()
    options = re.findall(r'"(--[a-z]+|-[a-z])"', text)
    shown = (DOCS / f"{page}.md").read_text()
    assert options
    assert [option for option in options if f"| `{option}` |" not in shown and option != "--out"] == []


def test_every_rule_has_a_section_and_every_section_is_a_rule():
    text = (DOCS / "lint.md").read_text()
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == list(RULES)
    for rule in RULES.values():
        section = text.partition(f"### {rule.id}\n\n*")[2]
        assert section.lower().startswith(f"{rule.level}.*")


def test_every_form_of_output_is_named():
    text = (DOCS / "lint.md").read_text()
    assert [form for form in FORMATS if f"`{form}`" not in text] == []
