"""Completion: each shell gets its script, and what the script asks this program is answered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.cli.main import COMMANDS

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("bash", ("complete -o nosort -F", "_COMETREEL_COMPLETE=bash_complete")),
        ("zsh", ("#compdef cometreel", "_COMETREEL_COMPLETE=zsh_complete")),
        ("fish", ("complete --no-files --command cometreel", "_COMETREEL_COMPLETE=fish_complete")),
    ],
)
def test_each_shell_gets_its_own_script(shell: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert run(["completion", shell]) == ExitCode.SUCCESS
    script = capsys.readouterr().out
    assert [word for word in words if word not in script] == []


def asked(words: str, count: int) -> list[str]:
    """Return the program's answer to a bash that completes these words."""
    environment = {**os.environ, "COMP_WORDS": words, "COMP_CWORD": str(count), "_COMETREEL_COMPLETE": "bash_complete"}
    ended = subprocess.run([BIN / "cometreel"], env=environment, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in ended.stdout.splitlines()]


def test_commands_and_options_are_completed():
    assert asked("cometreel ", 1) == sorted(COMMANDS)
    assert asked("cometreel li", 1) == ["lint"]
    assert asked("cometreel lint --f", 2) == ["--fix", "--format"]
    assert asked("cometreel completion ", 2) == ["bash", "zsh", "fish"]


def test_a_real_bash_takes_the_script():
    program = 'eval "$(cometreel completion bash)" && complete -p cometreel'
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(["/bin/bash", "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "complete -o nosort -F _cometreel_completion cometreel\n"


def test_another_shell_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]):
    assert run(["completion", "tcsh"]) == ExitCode.ERROR
    assert capsys.readouterr().err == (
        "cometreel: Invalid value for '{bash|zsh|fish}': 'tcsh' is not one of 'bash', 'zsh', 'fish' "
        "(see: cometreel completion --help)\n"
    )
