"""The pages match the program: each command is run by one test, and each block that isn't run has its reason."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.docs.pages import DOCS, ROOT, Command, File, NotRun, has_commands, steps
from tests.docs.shell import Ran, matches

PAGES = {path.name: path for path in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]}
TEXTS = {name: path.read_text("utf-8") for name, path in PAGES.items()}
COMMANDS = sorted(name for name, text in TEXTS.items() if has_commands(text))
NOT_RUN = {
    "README.md": 5,
    "clients.md": 1,
    "platforms.md": 1,
    "recipes.md": 4,
    "record.md": 2,
    "testing.md": 3,
    "tutorial.md": 1,
}
"""The number of blocks per page that aren't run. Each has its reason above it."""


RUNNERS = {
    "admin.md": "tests/serve/test_admin_page.py",
    "ci.md": "tests/docs/test_ci_page.py",
    "console.md": "tests/console/test_serving.py",
    "choice-of-server.md": "tests/serve/test_choice_of_server_page.py",
    "export.md": "tests/cli/test_docs.py",
    "import.md": "tests/cli/test_docs.py",
    "lint.md": "tests/cli/test_docs.py",
    "load.md": "tests/load/test_docs.py",
    "many-machines.md": "tests/serve/test_cluster.py",
    "pytest.md": "tests/pytest_plugin/test_page.py",
    "serve.md": "tests/serve/test_serve_command.py",
    "show.md": "tests/unit/show/test_docs_show.py",
    "start.md": "tests/cli/test_docs.py",
    "verify.md": "tests/verify/test_docs.py",
}
"""Pages whose commands need more than a shell, and the test that runs them. All others are run here."""
OURS = [name for name in COMMANDS if name not in RUNNERS]
RUN = [name for name in OURS if any(isinstance(step, Command) for step in steps(TEXTS[name]))]


PROGRAMS = {"mitmdump": ["mitmproxy"], "node": ["node", "chromium"], "java": ["java"]}
"""The marks of a page with a command that starts the program."""


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    """Return the marks of the programs that the commands of a page start."""
    started = {step.line.split()[0] for step in steps(TEXTS[name]) if isinstance(step, Command)}
    started |= {"node" for step in steps(TEXTS[name]) if isinstance(step, File) and '["node"' in step.text}
    return [getattr(pytest.mark, mark) for program in PROGRAMS if program in started for mark in PROGRAMS[program]]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(name)) for name in RUN])
def test_each_command_prints_what_is_shown(name: str, ran: Callable[[str, str], Ran]):
    results = ran(name, TEXTS[name])
    following = [*[command.line for command, _, _ in results[1:]], ""]
    wrong = [
        f"$ {command.line}\nprinted (code {code}):\n{printed}"
        for (command, printed, code), after in zip(results, following, strict=True)
        if (command.printed and not matches(command.printed, printed)) or (code and after != "echo $?")
    ]
    assert wrong == []


@pytest.mark.parametrize(("name", "runner"), RUNNERS.items(), ids=list(RUNNERS))
def test_a_page_with_its_own_runner_is_read_by_it(name: str, runner: str):
    assert name in COMMANDS
    assert re.search(rf'"{name.removesuffix(".md")}(\.md)?"', (ROOT / runner).read_text("utf-8"))


def test_blocks_that_are_not_run_are_counted():
    counted = {name: sum(isinstance(step, NotRun) for step in steps(TEXTS[name])) for name in OURS}
    assert {name: number for name, number in counted.items() if number} == NOT_RUN


@pytest.mark.parametrize("name", OURS)
def test_all_shell_blocks_are_run(name: str):
    assert set(re.findall(r"^```(\w+)", TEXTS[name], re.MULTILINE)).isdisjoint({"sh", "bash", "shell"})


@pytest.mark.parametrize("name", OURS)
def test_every_console_block_is_found(name: str):
    """Each console fence is found by the parser."""
    blocks = [block for block in TEXTS[name].split("\n```console\n")[1:] if block.startswith("$ ")]
    commands = sum(block.partition("\n```")[0].count("\n$ ") + 1 for block in blocks)
    unrun = re.findall(r"<!-- not run: [^\n]+ -->\n+```console\n(.*?)^```$", TEXTS[name], re.MULTILINE | re.DOTALL)
    skipped = sum(text.count("\n$ ") + 1 for text in unrun)
    assert sum(isinstance(step, Command) for step in steps(TEXTS[name])) == commands - skipped
    assert TEXTS[name].count("\n```console\n") == len(blocks)


def test_steps_of_a_sample_page():
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
