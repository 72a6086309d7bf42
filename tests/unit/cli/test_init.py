"""`cometreel init`: everything that a first hour needs, and never over a file that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.lint import lint
from cometreel.scenario import load, schema_text

MADE = ["README.md", "workbins.yaml", "test_workbins.py", ".gitignore", "scenario.schema.json"]


def test_it_makes_a_folder_and_prints_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert run(["init", "a/b"]) == ExitCode.SUCCESS
    assert capsys.readouterr() == ("".join(f"a/b/{name}\n" for name in MADE), "")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == sorted(MADE)


def test_without_a_name_it_is_the_folder_in_which_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == ExitCode.SUCCESS
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(MADE)


def test_a_file_that_is_there_stays_and_the_rest_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "README.md").write_text("mine")
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    out, err = capsys.readouterr()
    assert err == f"{tmp_path}/README.md exists and was not changed\n"
    assert out.count("\n") == len(MADE) - 1
    assert (tmp_path / "README.md").read_text() == "mine"
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    assert capsys.readouterr().out == ""


def test_its_scenario_loads_and_is_clean_and_its_schema_is_todays(tmp_path: Path):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    assert [exchange.name for exchange in load([tmp_path / "workbins.yaml"]).exchanges] == ["stats of place Place1"]
    assert lint(tmp_path / "workbins.yaml") == []
    assert (tmp_path / "scenario.schema.json").read_text() == schema_text()


def test_its_repository_ignores_recordings_and_keys(tmp_path: Path):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    assert {"*.jsonl", "*.key", "*.har", "*.mitm"} <= {*(tmp_path / ".gitignore").read_text().splitlines()}


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    assert run(["init", str(tmp_path / "file")]) == ExitCode.ERROR
    assert capsys.readouterr().err == (
        f"cometreel: {tmp_path}/file: can't be written: File exists; expected a writable folder with free space\n"
    )
