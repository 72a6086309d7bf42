"""`cometreel show`: the output path, files that are never overwritten, and one clear line for errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.show import FIRST_LINE

FOLDER = Path(__file__).parents[3]
SAMPLE = FOLDER / "recordings" / "workbin-desktop.jsonl"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a journal and its scenario, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    for kind in ("jsonl", "yaml"):
        (tmp_path / f"a.{kind}").write_bytes(SAMPLE.with_suffix(f".{kind}").read_bytes())
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "page"),
    [
        (["a.jsonl"], "a.html"),
        (["a.yaml"], "a.html"),
        (["a.jsonl", "-o", "sub/page.html"], "sub/page.html"),
        (["--diff", "a.yaml", "a.jsonl"], "a.html"),
    ],
)
def test_the_page_is_written_next_to_the_file_or_to_out(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], page: str
):
    assert run(["show", *arguments]) == ExitCode.SUCCESS
    assert capsys.readouterr() == (f"{page}\n", "")
    assert (here / page).read_text("utf-8").startswith(FIRST_LINE)


def test_the_page_of_a_folder_is_written_next_to_it(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "set").mkdir()
    (here / "a.yaml").rename(here / "set" / "a.yaml")
    assert run(["show", "set"]) == ExitCode.SUCCESS
    assert capsys.readouterr().out == "set.html\n"


def test_the_same_conversation_is_the_same_page(here: Path):
    run(["show", "a.jsonl"])
    first = (here / "a.html").read_bytes()
    run(["show", "a.jsonl"])
    assert (here / "a.html").read_bytes() == first


def test_a_page_is_overwritten_and_no_other_file(here: Path, capsys: pytest.CaptureFixture[str]):
    page = here / "a.html"
    page.write_text(FIRST_LINE + "\nold")
    assert run(["show", "a.jsonl"]) == ExitCode.SUCCESS
    assert "old" not in page.read_text("utf-8").splitlines()
    page.write_text("<!doctype html>\nmine")
    capsys.readouterr()
    assert run(["show", "a.jsonl"]) == ExitCode.ERROR
    why = "the file exists; expected no file, or a page that `cometreel show` has drawn (choose a name with -o)"
    assert capsys.readouterr() == ("", f"cometreel: a.html: {why}\n")
    assert page.read_text() == "<!doctype html>\nmine"


def test_text_is_printed_and_nothing_is_written(here: Path, capsys: pytest.CaptureFixture[str]):
    before = contents(here)
    assert run(["show", "--text", "a.jsonl"]) == ExitCode.SUCCESS
    out, err = capsys.readouterr()
    assert out.startswith("a  journal of 3.6 s, 1 session, 25 exchanges, 20 notifications, 22 polls\n")
    assert (err, "\x1b" in out, contents(here)) == ("", False, before)


def test_differences_are_printed(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["show", "--text", "--diff", "a.jsonl", "a.yaml"]) == ExitCode.SUCCESS
    assert capsys.readouterr().out == (
        "a → workbin-desktop  24 same, 0 changed, 0 added, 1 removed\n"
        "\n"
        "- stats of place Place1  (removed, POST /api/v2/workbins)\n"
    )


EITHER = "expected a scenario (`cometreel: 1`) or a journal written by `record.py`"
WRONG = {
    "nothing": ([], "no files; expected one file, or two with --diff (see: cometreel show --help)"),
    "two": (["a.jsonl", "a.yaml"], "2 files; expected one file, or two with --diff (see: cometreel show --help)"),
    "one to compare": (["--diff", "a.yaml"], "1 file; expected two files with --diff (see: cometreel show --help)"),
    "text and a page": (
        ["--text", "-o", "x.html", "a.yaml"],
        "--text draws no page: omit -o and --open (see: cometreel show --help)",
    ),
    "missing": (
        ["none.jsonl"],
        "none.jsonl: can't be read: No such file or directory; expected a scenario or a journal",
    ),
    "missing scenario": (
        ["none.yaml"],
        "none.yaml: can't be read: No such file or directory; expected a scenario file or folder",
    ),
    "a folder without scenarios": (["empty"], "empty: the folder has no scenarios; expected *.yaml or *.yml files"),
    "HAR": (
        ["a.har"],
        f"a.har: neither a scenario nor a journal; {EITHER}",
    ),
    "below a file": (
        ["a.jsonl", "-o", "a.yaml/x.html"],
        "a.yaml/x.html: can't be written: File exists; expected a writable folder with free space",
    ),
    "onto a folder": (
        ["a.jsonl", "-o", "empty"],
        "empty: can't be written: Is a directory; expected a writable folder with free space",
    ),
    "over the journal": (
        ["a.jsonl", "-o", "a.jsonl"],
        "a.jsonl: the file exists; expected no file, or a page that `cometreel show` has drawn (choose a name with -o)",
    ),
}


@pytest.mark.parametrize(("arguments", "line"), WRONG.values(), ids=WRONG.keys())
def test_bad_input_is_one_line_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
):
    (here / "empty").mkdir()
    (here / "a.har").write_text('{"log": {}}')
    before = contents(here)
    assert run(["show", *arguments]) == ExitCode.ERROR
    assert capsys.readouterr() == ("", f"cometreel: {line}\n")
    assert contents(here) == before


def test_every_problem_of_a_scenario_is_a_line(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "bad.yaml").write_text("cometreel: 1\nexchange: []\nfaults: [{}]\n")
    assert run(["show", "bad.yaml"]) == ExitCode.ERROR
    places = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]
    assert places == ["bad.yaml:2:1", "bad.yaml:3:10", "bad.yaml:3:10"]


COMMAND = [sys.executable, "-m", "cometreel", "show"]


def test_on_a_full_disk_the_old_page_stays_and_no_half_of_a_new_one(here: Path):
    (here / "a.html").write_text(FIRST_LINE)
    before = contents(here)
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)); "
    code = limit + "from cometreel.cli import run; sys.exit(run(['show', 'a.jsonl']))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=here)
    assert (ended.returncode, ended.stdout) == (ExitCode.ERROR, "")
    assert ended.stderr.startswith("cometreel: a.html: can't be written: File too large;")
    assert contents(here) == before


def test_open_starts_the_browser_of_the_user(here: Path):
    browser = here / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{here}/opened"\n')
    browser.chmod(0o755)
    ended = subprocess.run(
        [*COMMAND, "a.jsonl", "--open"],
        env={**os.environ, "BROWSER": str(browser)},
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (ExitCode.SUCCESS, "a.html\n", "")
    assert (here / "opened").read_text() == (here / "a.html").as_uri()


def test_without_a_browser_the_page_is_written_and_the_exit_code_is_1(here: Path):
    ended = subprocess.run(
        [*COMMAND, "a.jsonl", "--open"],
        env={"PATH": str(here / "nothing"), "BROWSER": str(here / "missing %s")},
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
    )
    message = "cometreel: no browser could be started; open the page yourself\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (ExitCode.CHECK_FAILED, "a.html\n", message)
    assert (here / "a.html").exists()


def test_a_closed_pipe_is_no_error(here: Path):
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [*COMMAND, "--text", "a.jsonl"], stdout=writing, stderr=subprocess.PIPE, check=False, cwd=here
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (ExitCode.SUCCESS, b"")


def test_an_ascii_terminal_gets_ascii(here: Path):
    ended = subprocess.run(
        [*COMMAND, "--text", "a.jsonl"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
        cwd=here,
    )
    assert (ended.returncode, ended.stderr) == (ExitCode.SUCCESS, b"")
    assert ended.stdout.isascii()
    assert b"=*=====             200   143 ms  * 23 ms early   stats of place Place1" in ended.stdout
