"""The page docs/pytest.md: its scenario, tests, failure message and command are run."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from cometreel.pytest_plugin.plugin_options import MODES
from cometreel.serve import serve_in_background

PAGE = (Path(__file__).parents[2] / "docs" / "pytest.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def page(project: pytest.Pytester) -> None:
    """Write the scenario of the page into the project."""
    (scenario,) = blocks("yaml")
    (project.path / "desktop.yaml").write_text(scenario)


OUTCOMES = [{"passed": 1}, {"passed": 3}, {"failed": 1}, {"passed": 3}]


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("number", range(len(OUTCOMES)))
def test_python_blocks(run: Callable[..., Any], number: int):
    ran = run(blocks("python")[number])
    assert ran.outcomes == OUTCOMES[number]


@pytest.mark.usefixtures("page")
def test_text_block_is_the_failure_message(run: Callable[..., Any]):
    (text,) = blocks("text")
    assert run(blocks("python")[2]).part("test_another_place") == text.rstrip()


def test_console_block_records(project: pytest.Pytester):
    """Run the command with another server name, then replay the recorded scenario without the server."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[ASGIApp]:
        yield JSONResponse({"statusCode": 0, "referenceId": 7})

    (project.path / "desktop.yaml").unlink()
    project.makepyfile(blocks("python")[0])
    (command,) = [line.removeprefix("$ ") for line in blocks("console")[0].splitlines()]
    with serve_in_background(opened) as served:
        program, *arguments = command.replace("http://gws.example:8080", served.url).split()
        assert program == "pytest"
        project.runpytest_inprocess(*arguments).assert_outcomes(passed=1)
    assert "name: stats of place Place1\n" in (project.path / "desktop.yaml").read_text()
    project.runpytest_inprocess(*arguments).assert_outcomes(passed=1)


def test_every_block_is_tested():
    assert {language: len(blocks(language)) for language in ("yaml", "python", "text", "console")} == {
        "yaml": 1,
        "python": len(OUTCOMES),
        "text": 1,
        "console": 1,
    }
    assert len(re.findall(r"^```\w+$", PAGE, re.MULTILINE)) == len(OUTCOMES) + 3


@pytest.mark.parametrize("name", ["--reel-record=URL", "--reel-record-mode=MODE", "--reel-strict"])
def test_every_option_is_listed(name: str):
    assert re.search(rf"^\| `{name}` \| `{name.partition('=')[0][2:].replace('-', '_')}` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_listed(mode: str):
    assert re.search(rf"^\| `{mode}`", PAGE, re.MULTILINE)
