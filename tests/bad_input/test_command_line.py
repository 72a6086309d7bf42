"""Bad input to the command line: one line on stderr, exit code 2, and no file is changed."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.errors import NEWER_VERSION

SAMPLE = Path(__file__).parents[2] / "recordings" / "workbin-desktop.jsonl"
JOURNAL = "expected a journal of version 1, written by the recorder"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the commands, with a valid journal `a.jsonl`, which they must not change."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(SAMPLE.read_bytes())
    return tmp_path


def contents(folder: Path) -> Mapping[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def bomb() -> str:
    """A few hundred bytes that expand to a billion values."""
    letters = "abcdefghij"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{one}: &{one} [{', '.join([f'*{last}'] * 10)}]" for last, one in itertools.pairwise(letters)]
    return "\n".join(lines) + "\n"


FILES: Mapping[str, bytes] = {
    "empty": b"",
    "header": json.dumps({"journal": 2, "started": 1.0, "profile": "gws-v2", "policy": "default"}).encode() + b"\n",
    "text": b"hello\n",
    "bytes": b"\x00\x01\xff\n",
    "array": b"[]\n",
    "har": b'{"log": {"version": "1.2", "entries": []}}',
}

JOURNALS = {
    "missing": (["distill", "none.jsonl"], "none.jsonl: can't be read: No such file or directory; expected a journal"),
    "a folder": (["distill", "."], ".: can't be read: Is a directory; expected a journal"),
    "another version": (["distill", "header"], f"header:1:1: a journal of version 2; {JOURNAL} ({NEWER_VERSION})"),
    "text": (["distill", "text"], f"text:1:1: not a Cometreel journal; {JOURNAL}"),
    "bytes": (["distill", "bytes"], f"bytes:1:1: not a Cometreel journal; {JOURNAL}"),
    "an array": (["distill", "array"], f"array:1:1: not a Cometreel journal; {JOURNAL}"),
    "HAR": (["distill", "har"], f"har:1:1: not a Cometreel journal; {JOURNAL}"),
}

MISUSE = {
    "no journal": (["distill"], "Missing argument 'JOURNAL' (see: cometreel distill --help)"),
    "two journals": (["distill", "a", "b"], "Got unexpected extra argument (b) (see: cometreel distill --help)"),
    "unknown option": (
        ["distill", "a.jsonl", "--polciy", "strict"],
        "No such option '--polciy'. Did you mean '--policy'? (see: cometreel distill --help)",
    ),
    "unknown command": (["distil", "a.jsonl"], "No such command 'distil' (see: cometreel --help)"),
    "unknown profile": (
        ["distill", "a.jsonl", "--profile", "gws-v3"],
        "--profile: 'gws-v3'; expected detect, gws-v2, workspace-v3, or a YAML file with a profile",
    ),
    "unknown addon": (
        ["addons", "recrod"],
        (
            "addons: there is no addon 'recrod'; "
            "expected bayeux_view or record or replay or agent_stats or from_scenario or scenarios"
        ),
    ),
}

PLACES = {
    "a folder": (
        ["distill", "a.jsonl", "-o", "."],
        ".: not a file; expected the path of a scenario, for example recordings/login.yaml",
    ),
    "below a file": (
        ["distill", "a.jsonl", "-o", "a.jsonl/x.yaml"],
        "a.jsonl/x.yaml: can't be written: File exists",
    ),
    "nowhere": (["distill", "a.jsonl", "-o", "/proc/none/x.yaml"], "/proc/none/x.yaml: can't be written: "),
}


@pytest.mark.parametrize(("arguments", "line"), [*JOURNALS.values(), *MISUSE.values()], ids=[*JOURNALS, *MISUSE])
def test_invalid_input_is_reported_in_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    for name, content in FILES.items():
        (here / name).write_bytes(content)
    before = contents(here)
    assert run(arguments) == ExitCode.ERROR
    assert capsys.readouterr() == ("", f"cometreel: {line}\n")
    assert contents(here) == before


@pytest.mark.parametrize(("arguments", "line"), PLACES.values(), ids=PLACES.keys())
def test_a_path_that_cannot_be_written_is_reported_on_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    before = contents(here)
    assert run(arguments) == ExitCode.ERROR
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"cometreel: {line}")
    assert err.count("\n") == 1
    assert contents(here) == before


POLICIES = {
    "missing": (None, "p.yaml: can't be read: No such file or directory; expected a policy in YAML"),
    "empty": (b"", "p.yaml: the file is empty; expected a policy (start with 'policy: 1')\n"),
    "not YAML": (b"policy: [\n", "p.yaml:2:1: not YAML: "),
    "bytes": (b"\xff\x00", "p.yaml: not UTF-8 text; expected a policy in YAML\n"),
    "control characters": (b"policy: 1\x00\n", "p.yaml:1:10: the character U+0000 isn't allowed in YAML; "),
    "an object": (
        b"policy: !!python/object/apply:os.system [id]\n",
        ("p.yaml:1:9: the tag !!python/object/apply:os.system isn't allowed; expected plain data (remove the tag)\n"),
    ),
    "a recursive anchor": (
        b"policy: &a [*a]\n",
        "p.yaml:1:13: the alias *a is inside its own anchor; expected no recursion\n",
    ),
    "a tag bomb": (bomb().encode(), "p.yaml:6:36: aliases expand to more than 1000000 values; expected fewer "),
    "a pit": (
        b"policy:\n" + b"".join(b" " * depth + b"-\n" for depth in range(200)),
        "p.yaml:101:100: nested more than 100 levels deep; expected fewer levels\n",
    ),
}


@pytest.mark.parametrize(("content", "line"), POLICIES.values(), ids=POLICIES.keys())
def test_an_invalid_policy_is_reported_in_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, line: str
) -> None:
    if content is not None:
        (here / "p.yaml").write_bytes(content)
    before = contents(here)
    assert run(["distill", "a.jsonl", "--policy", "p.yaml"]) == ExitCode.ERROR
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"cometreel: {line}")
    assert err.count("\n") == 1
    assert contents(here) == before


def test_a_truncated_journal_loses_only_its_last_event(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The scenario is written, and the summary names the lost parts."""
    lines = SAMPLE.read_bytes().splitlines(keepends=True)
    torn = b"".join(lines[:7]) + lines[7][:20]
    (here / "torn.jsonl").write_bytes(torn)
    assert run(["distill", "torn.jsonl"]) == ExitCode.SUCCESS
    out, err = capsys.readouterr()
    assert out == "torn.yaml\n"
    assert (
        "left out: torn.jsonl:8:1: the last line is truncated; expected one JSON object (this event is lost)\n" in err
    )
    assert (here / "torn.yaml").read_text().startswith("# yaml-language-server")
    assert (here / "torn.jsonl").read_bytes() == torn


COMMAND = "import sys; from cometreel.cli import run; sys.exit(run())"
NO_ROOM = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1])); "
)
"""Limits files to one kilobyte, which has the effect of a full disk."""


def started(*arguments: str, folder: Path, before: str = "", out: int = subprocess.PIPE) -> str:
    """Run a command that must end with exit code 2, and return its stderr."""
    command = [sys.executable, "-c", before + COMMAND, *arguments]
    ended = subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.PIPE, check=False, text=True)
    assert ended.returncode == ExitCode.ERROR, ended
    return ended.stderr


@pytest.mark.parametrize("options", [[], ["--force"], ["-o", "b.yaml"]], ids=" ".join)
def test_on_a_full_disk_the_old_scenario_is_kept_and_no_partial_file_is_left(here: Path, options: list[str]) -> None:
    (here / "a.yaml").write_text("mine\n")
    before = contents(here)
    told = started("distill", "a.jsonl", *options, folder=here, before=NO_ROOM)
    name = "b.yaml" if "-o" in options else "a.yaml"
    place = f"cometreel: {name}: can't be written: File too large; expected a writable folder with free space\n"
    assert told == place
    assert contents(here) == before


def test_a_full_standard_output_is_reported_in_one_line(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert started("schema", folder=tmp_path, out=full) == "cometreel: No space left on device\n"
    finally:
        os.close(full)
