"""Runs pytest on test files that are written down here, as a user's project would."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cometreel.pytest_plugin import Reel
from cometreel.pytest_plugin.plugin_options import PluginOptions

DESK = """\
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
    """What a run of pytest printed, and how many tests had which outcome."""

    result: pytest.RunResult

    @property
    def outcomes(self) -> dict[str, int]:
        return self.result.parseoutcomes()

    @property
    def text(self) -> str:
        return str(self.result.stdout.str())

    def part(self, title: str) -> str:
        """What stands under a heading, without the line that follows it."""
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
    """Import everything that a run inside this process will.

    pytester takes out of `sys.modules` what its runs have put there. A library that imports its parts late, as httpx
    does, would get them twice, and not know its own exceptions again.
    """
    folder = tmp_path_factory.mktemp("warm")
    for options in (PluginOptions("http://127.0.0.1:1", "once", strict=False), PluginOptions("", "once", strict=False)):
        reel = Reel((folder,), options, lambda _: None, shown_from=folder)
        with httpx.Client(base_url=reel.play(folder / "warm.yaml").url) as client:
            client.get("/")
        reel.stop()
        (folder / "warm.yaml").write_text(DESK)


@pytest.fixture
def project(warm: None, pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a scenario `desk.yaml` and pytest's ini file."""
    pytester.makefile(".ini", pytest=INI)
    pytester.makefile(".yaml", desk=DESK)
    return pytester


@pytest.fixture
def run(project: pytest.Pytester) -> Callable[..., Ran]:
    """Write a test file and run pytest on it: `run(source, "--reel-strict")`."""

    def do(source: str, *arguments: str, subprocess: bool = False, **files: str) -> Ran:
        project.makepyfile(test_desk=source, **files)
        every: tuple[Any, ...] = ("-q", "-p", "no:logging", "-p", "no:cacheprovider", *arguments)
        return Ran(project.runpytest_subprocess(*every) if subprocess else project.runpytest_inprocess(*every))

    return do
