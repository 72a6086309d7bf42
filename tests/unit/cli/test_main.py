"""The command line as a whole: output, streams and exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cometreel import __version__, wire
from cometreel.cli import ExitCode, run
from cometreel.cli.main import COMMANDS, CommandEntry, main
from cometreel.errors import FileInvalid, OptionInvalid, Problem

README = Path(__file__).parents[3] / "README.md"

TWO_PROBLEMS = FileInvalid(
    [
        Problem("b.yaml", 9, 3, "unknown key 'replay'", "one of reply, request", "did you mean 'reply'?"),
        Problem("a.yaml", 1, 1, "the file is empty", "`cometreel: 1` on its first line"),
    ]
)

RAISED = {
    "every problem of a file has a line": (
        TWO_PROBLEMS,
        (
            "cometreel: a.yaml:1:1: the file is empty; expected `cometreel: 1` on its first line\n"
            "cometreel: b.yaml:9:3: unknown key 'replay'; expected one of reply, request (did you mean 'reply'?)\n"
        ),
    ),
    "an option": (
        OptionInvalid("--policy", "there is no policy 'strickt'", "default, strict or a file"),
        "cometreel: --policy: there is no policy 'strickt'; expected default, strict or a file\n",
    ),
    "the operating system": (
        FileNotFoundError(2, "No such file or directory", "run.jsonl"),
        "cometreel: run.jsonl: No such file or directory\n",
    ),
    "a disk that is full": (
        OSError(28, "No space left on device", "run.yaml"),
        "cometreel: run.yaml: No space left on device\n",
    ),
    "the user": (KeyboardInterrupt(), "cometreel: interrupted\n"),
}


@click.command()
def failing() -> None:
    """Raise `failing.error`, which the test sets."""
    raise failing.error  # type: ignore[attr-defined]  # set by the test


@pytest.mark.parametrize(("error", "expected"), RAISED.values(), ids=RAISED.keys())
def test_an_error_gives_a_line_on_stderr_and_exit_code_2(
    error: BaseException, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(COMMANDS, "failing", CommandEntry(f"{__name__}:failing", "Fail."))
    monkeypatch.setattr(failing, "error", error, raising=False)
    assert run(["failing"]) == ExitCode.ERROR
    captured = capsys.readouterr()
    assert (captured.out, captured.err.lstrip("\n")) == ("", expected)


MISUSED = {
    ("nonsense",): "cometreel: No such command 'nonsense' (see: cometreel --help)\n",
    ("addons", "--loud"): "cometreel: No such option '--loud' (see: cometreel addons --help)\n",
    ("export", "a.yaml", "--mitm"): "cometreel: Option '--mitm' requires an argument (see: cometreel export --help)\n",
    ("addons", "a", "b"): "cometreel: Got unexpected extra argument (b) (see: cometreel addons --help)\n",
}


@pytest.mark.parametrize(("arguments", "expected"), MISUSED.items(), ids=" ".join)
def test_a_usage_error_gives_a_line_and_exit_code_2(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
):
    assert run(arguments) == ExitCode.ERROR
    assert capsys.readouterr() == ("", expected)


def test_version(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == ExitCode.SUCCESS
    form = "pure Python" if wire.__file__.endswith(".py") else "compiled"
    assert capsys.readouterr() == (f"cometreel {__version__} (engine: {form})\n", "")


@pytest.mark.parametrize("name", ["", *sorted(COMMANDS)])
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]):
    assert run([*name.split(), "--help"]) == ExitCode.SUCCESS
    text = capsys.readouterr().out
    assert "Example:" in text
    assert f"cometreel {name}" in text.partition("Example:")[2]


def test_the_list_of_commands_has_the_first_sentence_of_each_help():
    """The list is printed without importing the commands; no sentence is cut."""
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert COMMANDS[name].summary == command.get_short_help_str(100)
        assert COMMANDS[name].summary.endswith(".")


def test_the_list_of_commands_has_the_sentences_of_the_readme():
    rows = re.findall(r"^\| `cometreel (\w+)[^|]*\| ([^|;]*)", README.read_text("utf-8"), re.MULTILINE)
    assert {name: COMMANDS[name].summary for name, _ in rows} == {
        name: f"{text.strip()[0].upper()}{text.strip()[1:]}." for name, text in rows
    }
    assert sorted(name for name, _ in rows) == sorted(COMMANDS)


def test_a_closed_pipe_is_no_error():
    """`cometreel schema | head -1` succeeds, without a traceback of Python at exit."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "cometreel", "addons"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (ExitCode.SUCCESS, b"")
