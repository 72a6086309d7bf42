"""The options of the plugin; an invalid one ends the run before the first test, with one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

USAGE_ERROR = 4  # pytest's exit code

BAD = [
    (["--reel-record", "gws.example"], "--reel-record: 'gws.example'; expected http://HOST:PORT or https://HOST:PORT"),
    (
        ["--reel-record-mode", "all"],
        "--reel-record-mode: 'all' without a server to record; expected --reel-record=URL as well",
    ),
    (
        ["-o", "reel_record_mode=sometimes"],
        "reel_record_mode: 'sometimes'; expected one of once, new, all, none",
    ),
    (
        ["-o", "reel_record=http://gws.example/x"],
        (
            "--reel-record: 'http://gws.example/x' has a path; expected http://HOST:PORT or https://HOST:PORT "
            "(leave out the path; the client sends the paths)"
        ),
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_invalid_option_is_reported_in_one_line(run: Callable[..., Any], arguments: list[str], sentence: str):
    ran = run("def test_it(): pass", *arguments)
    assert ran.result.ret == USAGE_ERROR
    assert ran.result.stderr.str().strip() == f"ERROR: {sentence}"


def test_help_lists_every_option(run: Callable[..., Any]):
    text = run("", "--help").text
    for name in ("--reel-record=URL", "--reel-record-mode={once,new,all,none}", "--reel-strict"):
        assert name in text
    for name in ("reel_record (string):", "reel_record_mode (string):", "reel_strict (bool):"):
        assert name in text


def test_run_without_a_reel_imports_no_server(project: Any):
    """Every pytest run on the machine loads the plugin."""
    project.makepyfile(
        """
import sys

def test_it():
    heavy = {"asyncio", "httpx", "httptools", "uvloop", "pydantic", "yaml", "cometreel.engine", "cometreel.scenario"}
    assert heavy & {*sys.modules} == set()
"""
    )
    (project.path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "cometreel.pytest_plugin"]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=project.path)
    assert ended.returncode == 0, ended.stdout


def test_importing_reel_type_keeps_the_fixture():
    code = (
        "import inspect, cometreel.pytest_plugin as plugin; from cometreel.pytest_plugin import Reel; "
        "print(Reel.__name__, inspect.ismodule(plugin.reel), inspect.ismodule(plugin.reel_session))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "Reel False False\n"
