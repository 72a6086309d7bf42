"""No page drifts from the program: each command is run by exactly one test, each block that isn't has its reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, Command, File, NotRun, has_commands, steps
from tests.docs.shell import Ran, matches

PAGES = {path.name: path for path in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]}
TEXTS = {name: path.read_text("utf-8") for name, path in PAGES.items()}
COMMANDS = sorted(name for name, text in TEXTS.items() if has_commands(text))
NOT_RUN = {"README.md": 0}
"""How many blocks of a page aren't run. Each has its reason above it, on the page."""


def runners(page: str) -> list[str]:
    """The test files elsewhere that name a page."""
    folder = Path(__file__).parent
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path.parent != folder]
    named = re.compile(rf'["/]{re.escape(page)}"')
    return [str(path.relative_to(ROOT)) for path in tests if named.search(path.read_text("utf-8"))]


OTHERS = {name: found for name in COMMANDS if name != "README.md" and (found := runners(name))}
OURS = [name for name in COMMANDS if name not in OTHERS]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", OURS)
def test_each_command_prints_what_is_shown(name: str, ran: Callable[[str, str], Ran]):
    results = ran(name, TEXTS[name])
    following = [*[command.line for command, _, _ in results[1:]], ""]
    wrong = [
        f"$ {command.line}\nprinted (code {code}):\n{printed}"
        for (command, printed, code), after in zip(results, following, strict=True)
        if (command.printed and not matches(command.printed, printed)) or (code and after != "echo $?")
    ]
    assert wrong == []


def test_a_page_with_commands_has_exactly_one_runner():
    assert {name: found for name, found in OTHERS.items() if len(found) != 1} == {}


def test_what_is_not_run_is_counted():
    counted = {name: sum(isinstance(step, NotRun) for step in steps(TEXTS[name])) for name in OURS}
    assert {name: number for name, number in counted.items() if number} == NOT_RUN


@pytest.mark.parametrize("name", OURS)
def test_every_block_for_a_shell_follows_the_convention(name: str):
    """A block in another language of a shell would not be run."""
    languages = Counter(re.findall(r"^```(\w+)", TEXTS[name], re.MULTILINE))
    assert languages.keys().isdisjoint({"sh", "bash", "shell"})
    assert all(line for step in steps(TEXTS[name]) if isinstance(step, Command) for line in [step.line])


def test_the_convention_itself():
    text = (
        '```yaml title="a.yaml"\nb: 1\n```\n```console\n$ one \\\n    two\nout\n\nmore\n$ three\n```\n'
        "<!-- not run: no hands -->\n```console\n$ four\n```\n```text\n$ five\n```\n"
    )
    assert steps(text) == [
        File("a.yaml", "b: 1\n"),
        Command("one \\\n    two", "out\n\nmore"),
        Command("three", ""),
        NotRun("no hands"),
    ]
    assert matches("a…c", "abbc\n")
    assert not matches("a…c", "abb")
