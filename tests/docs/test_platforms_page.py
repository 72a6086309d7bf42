"""The page about platforms: a part runs on Windows at best if it needs no module that only Unix has."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS

ROWS = {
    cells[0]: cells[1:]
    for line in (DOCS / "platforms.md").read_text("utf-8").splitlines()
    if (cells := [cell.strip() for cell in line.strip("|").split("|")]) and len(cells) == 4 and "---" not in line
}
MODULES = {
    "`serve`, the pytest fixtures, the recording proxy": [
        "cometreel.serve",
        "cometreel.pytest_plugin.reel_fixture",
        "cometreel.serve.recording_server",
    ],
    "`serve --nodes` (HAProxy)": ["cometreel.serve.cluster"],
    "recording and replay in mitmproxy": ["cometreel.proxy_addons.record", "cometreel.proxy_addons.replay"],
    "`distill`, `import`, `export`, `lint`, `show`, `schema`, `init`": [
        f"cometreel.cli.{name}" for name in ("distill", "import_", "export", "lint", "show", "schema", "init")
    ],
    "`verify`": ["cometreel.cli.verify"],
    "`doctor`, load tests (Locust)": ["cometreel.cli.doctor", "cometreel.locust_agents.locust_listeners"],
}
WITHOUT_UNIX = "import sys; sys.modules.update(uvloop=None, resource=None, fcntl=None); import "


@pytest.mark.parametrize("part", MODULES)
def test_the_page_says_which_parts_need_modules_that_windows_does_not_have(part: str):
    """The modules are imported without those of Unix."""
    imported = {}
    for module in MODULES[part]:
        ended = subprocess.run(
            [sys.executable, "-c", f"{WITHOUT_UNIX}{module}"], capture_output=True, text=True, check=False, timeout=60
        )
        missing = re.search(r"import of (uvloop|resource|fcntl) halted", ended.stderr)
        assert (ended.returncode == 0) is (missing is None), ended.stderr
        imported[module] = missing is None
    assert set(imported.values()) == {ROWS[part][2] != "does not run"}


def test_nothing_but_linux_is_called_tested():
    systems = ROWS.pop("part")
    assert systems == ["Linux", "macOS", "Windows"]
    assert {mac for _, mac, _ in ROWS.values()} == {"not tested"}
    assert {windows for _, _, windows in ROWS.values()} == {"not tested", "does not run"}
