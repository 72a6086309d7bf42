"""`cometreel init`: the files of the starter project; existing files are never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.lint import lint
from cometreel.scenario import load, schema_text

FILES = ["README.md", "workbins.yaml", "test_workbins.py", ".gitignore", "scenario.schema.json"]


def test_init_creates_a_folder_and_prints_the_written_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert run(["init", "a/b"]) == ExitCode.SUCCESS
    assert capsys.readouterr() == ("".join(f"a/b/{name}\n" for name in FILES), "")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == sorted(FILES)


def test_init_without_a_name_uses_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == ExitCode.SUCCESS
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


def test_existing_files_are_kept_and_missing_ones_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "README.md").write_text("mine")
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    out, err = capsys.readouterr()
    assert err == f"{tmp_path}/README.md exists and was not changed\n"
    assert out.count("\n") == len(FILES) - 1
    assert (tmp_path / "README.md").read_text() == "mine"
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    assert capsys.readouterr().out == ""


def test_the_starter_scenario_passes_lint_and_its_schema_is_current(tmp_path: Path):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    assert [exchange.name for exchange in load([tmp_path / "workbins.yaml"]).exchanges] == ["stats of place Place1"]
    assert lint(tmp_path / "workbins.yaml") == []
    assert (tmp_path / "scenario.schema.json").read_text() == schema_text()


def test_the_gitignore_of_the_starter_lists_recordings_and_keys(tmp_path: Path):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    assert {"*.jsonl", "*.key", "*.har", "*.mitm"} <= {*(tmp_path / ".gitignore").read_text().splitlines()}


def test_a_folder_that_cannot_be_created_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    assert run(["init", str(tmp_path / "file")]) == ExitCode.ERROR
    assert capsys.readouterr().err == (
        f"cometreel: {tmp_path}/file: can't be written: File exists; expected a writable folder with free space\n"
    )
