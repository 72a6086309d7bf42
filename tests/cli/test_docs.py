"""The pages of these commands: the commands are run in order and must print exactly the output that is shown.

All rules, options and formats must be documented.
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
from tests.docs.pages import Command, File, NotRun
from tests.docs.pages import steps as steps_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {"import": 4, "export": 6, "lint": 5, "start": 4}
"""The pages and their numbers of commands."""

BAD = """\
cometreel: 1
exchanges:
  - name: login
    request: {method: POST, path: /login, body: {$partial: {user: ann}}}
    reply: {headers: {Last-Modified: 'Mon, 23 Nov 2026 10:00:00 GMT'}, body: {password: hunter2hunter2}}
  - name: login of ann
    request: {method: POST, path: /login, body: {user: ann, since: '2026-11-23T10:00:00Z'}}
"""


def steps(page: str) -> list[Command | File]:
    """Return the commands of a page with their output, and its files."""
    return [step for step in steps_of((DOCS / f"{page}.md").read_text("utf-8")) if not isinstance(step, NotRun)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the included recording and a scenario with issues."""
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
    return ended.stdout.removesuffix("\n")


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_is_shown(page: str, folder: Path):
    if page == "import":
        sample = str(folder / "recordings" / "workbin-desktop.yaml")
        assert run(["export", sample, "--har", "-o", str(folder / "desktop.har")]) == ExitCode.SUCCESS
        assert run(["export", sample, "--mitm", str(folder / "flows.mitm")]) == ExitCode.SUCCESS
    for step in steps(page):
        if isinstance(step, File):
            (folder / step.name).write_text(step.text)
        else:
            assert (step.line, printed(step.line, folder)) == (step.line, step.printed)


@pytest.mark.parametrize(("page", "commands"), PAGES.items())
def test_every_page_has_its_commands(page: str, commands: int):
    assert sum(isinstance(step, Command) for step in steps(page)) == commands


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
