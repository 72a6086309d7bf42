"""Runs pytest on test files that the tests contain, as in a user's project."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cometreel.pytest_plugin import Reel
from cometreel.pytest_plugin.plugin_options import PluginOptions

SCENARIO = """\
cometreel: 1
correlation: gws-v2
bayeux: {endpoint: /api/v2/notifications}
exchanges:
  - name: stats of place Place1
    request:
      method: POST
      path: /api/v2/workbins
      body: {operationName: RequestAgentStats, workbinType: Place, workbinOwner: Place1}
    reply: {after: 0ms, body: {statusCode: 0, referenceId: 67}}
  - name: version
    request: {method: GET, path: /api/v2/diagnostics/version}
    reply: {body: {statusCode: 0, version: "8.5"}}
"""

INI = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@dataclass
class Ran:
    """The result of a pytest run: its output, and the number of tests by outcome."""

    result: pytest.RunResult

    @property
    def outcomes(self) -> dict[str, int]:
        return self.result.parseoutcomes()

    @property
    def text(self) -> str:
        return str(self.result.stdout.str())

    def part(self, title: str) -> str:
        """Return the output under a heading, up to the next one."""
        lines = iter(self.text.splitlines())
        found = []
        for line in lines:
            if re.fullmatch(rf"[_=-]+ {re.escape(title)} [_=-]+", line):
                for below in lines:
                    if re.fullmatch(r"[_=-]{3,} .* [_=-]{3,}|=+|\d+ (passed|failed).* in .*s", below):
                        break
                    found.append(below)
                break
        return "\n".join(found).rstrip()


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import all modules that an in-process run imports.

    pytester removes the modules that its runs have imported from `sys.modules`. A library that imports its parts late,
    such as httpx, would import them twice and no longer recognize its own exceptions.
    """
    folder = tmp_path_factory.mktemp("warm")
    for options in (PluginOptions("http://127.0.0.1:1", "once", strict=False), PluginOptions("", "once", strict=False)):
        reel = Reel((folder,), options, lambda _: None, shown_from=folder)
        with httpx.Client(base_url=reel.play(folder / "warm.yaml").url) as client:
            client.get("/")
        reel.close()
        (folder / "warm.yaml").write_text(SCENARIO)


@pytest.fixture
def project(warm: None, pytester: pytest.Pytester) -> pytest.Pytester:
    """Create a project with a scenario `desktop.yaml` and an ini file of pytest."""
    pytester.makefile(".ini", pytest=INI)
    pytester.makefile(".yaml", desktop=SCENARIO)
    return pytester


@pytest.fixture
def run(project: pytest.Pytester) -> Callable[..., Ran]:
    """Write a test file and run pytest on it: `run(source, "--reel-strict")`."""

    def do(source: str, *arguments: str, subprocess: bool = False, **files: str) -> Ran:
        project.makepyfile(test_desktop=source, **files)
        every: tuple[Any, ...] = ("-q", "-p", "no:logging", "-p", "no:cacheprovider", *arguments)
        return Ran(project.runpytest_subprocess(*every) if subprocess else project.runpytest_inprocess(*every))

    return do
