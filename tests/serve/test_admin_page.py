"""docs/admin.md: its commands are run in order in one shell, and print the output that the page shows.

`…` in the output matches anything.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cometreel.engine.request_journal import CallFilters
from cometreel.serve.admin import metrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "admin.md").read_text()
URL = "http://127.0.0.1:8080"
MARK = "--- the output of that command ends here ---"
START = """\
    rm -f url
    {command} > url &
    for attempt in $(seq 600); do [ -s url ] && break; sleep 0.05; done
    REEL_URL=$(cat url)
    trap 'kill %1; wait %1' EXIT
    echo $REEL_URL"""


@dataclass(frozen=True)
class Shown:
    """A command of the page, and its output on the page."""

    command: str
    output: str


def shown(page: str) -> list[Shown]:
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL))
    return [Shown(*part.rstrip().partition("\n")[::2]) for part in re.split(r"^\$ ", blocks, flags=re.MULTILINE)[1:]]


COMMANDS = shown(PAGE)


def runnable(command: str) -> str:
    """Return the command with a free port instead of the documented one."""
    if command.endswith("&"):
        return START.format(command=command.rstrip("& ").replace("--port 8080", "--port 0"))
    return command.replace(URL, "$REEL_URL")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all commands in one shell; return what each has printed."""
    script = "\n".join(f"{runnable(each.command)}\necho '{MARK}'" for each in COMMANDS)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    folder = tmp_path_factory.mktemp("shell")
    environment = {**os.environ, "PATH": path, "no_proxy": "127.0.0.1", "LC_ALL": "C.UTF-8"}
    run = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    outputs = run.stdout.split(f"{MARK}\n")
    assert len(outputs) == len(COMMANDS) + 1, run.stderr
    return outputs[:-1]


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=[each.command[:40] for each in COMMANDS])
def test_a_command_of_the_page_prints_what_the_page_shows(printed: list[str], number: int):
    expected, found = COMMANDS[number].output, printed[number].strip("\n").rstrip()
    if expected.startswith("{"):
        assert differences(json.loads(expected), json.loads(found)) == []
    else:
        assert matches(expected.replace(URL, "http://127.0.0.1:…"), found), found


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Return the positions at which two JSON values differ."""
    if isinstance(expected, str) and "…" in expected:
        alike = expected == "…" or (isinstance(found, str) and matches(expected, found))
    elif isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        return [each for key in expected for each in differences(expected[key], found[key], f"{where}/{key}")]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [each for number, (one, two) in pairs for each in differences(one, two, f"{where}/{number}")]
    else:
        alike = expected == found and type(expected) is type(found)
    return [] if alike else [f"{where}: the page shows {expected!r}, found {found!r}"]


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), text, re.DOTALL) is not None


def test_the_page_shows_every_path_of_the_api():
    source = (ROOT / "cometreel" / "serve" / "admin" / "api.py").read_text()
    assert "/unmatched/" in source
    paths = re.findall(r'\("[A-Z]+", "/([a-z]*)', source)
    commands = " ".join(each.command for each in COMMANDS)
    assert [path for path in paths if not re.search(rf"\breel '?{path}\b", commands)] == []


def test_the_page_names_every_option_metric_and_filter():
    names = re.findall(r'"(cometreel_[a-z_]+)"', Path(metrics.__file__).read_text())
    words = [*names, *CallFilters.__annotations__, "--no-admin", "--admin-from any", "COMETREEL_ADMIN_TOKEN"]
    assert [word for word in words if word not in PAGE] == []


def test_differences_between_page_and_output_are_found():
    """The comparison fails for different values."""
    expected = {"a": "…", "b": [1, "x…"], "c": 1}
    assert differences(expected, {"a": 3, "b": [1, "xy"], "c": 1}) == []
    assert differences(expected, {"a": 3, "b": [1, "y"], "c": 1.0}) == [
        "/b/1: the page shows 'x…', found 'y'",
        "/c: the page shows 1, found 1.0",
    ]
    assert differences(expected, {"a": 3}) == [f": the page shows {expected!r}, found {{'a': 3}}"]
