"""Scenarios are written atomically, never over another one, and with a schema for editors."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.errors import FileInvalid
from cometreel.recording import write_scenario
from cometreel.recording.scenario_files import WrittenScenario
from cometreel.scenario import ScenarioBlock, schema_text

ONE, OTHER = ScenarioBlock(title="One"), ScenarioBlock(title="Other")


def test_the_schema_that_the_first_line_names_is_written_next_to_it(tmp_path: Path):
    path = write_scenario(ONE, tmp_path / "deep" / "run.yaml").path
    named = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).read_text() == schema_text()


def test_a_new_schema_is_announced(tmp_path: Path):
    schema = tmp_path / "scenario.schema.json"
    notes = [write_scenario(one, tmp_path / "run.yaml").notes for one in (ONE, ONE, OTHER)]
    assert notes == [(f"JSON Schema for editors in {schema}",), (), ()]


def test_an_existing_schema_is_kept_and_not_announced(tmp_path: Path):
    (tmp_path / "scenario.schema.json").write_text("{}")
    assert write_scenario(ONE, tmp_path / "run.yaml").notes == ()
    assert (tmp_path / "scenario.schema.json").read_text() == "{}"


def test_an_existing_scenario_is_kept_and_the_difference_is_returned(tmp_path: Path):
    target = write_scenario(ONE, tmp_path / "run.yaml").path
    written = write_scenario(OTHER, target)
    assert written.path == tmp_path / "run.new.yaml"
    assert "-title: One" in written.difference.splitlines()
    assert "+title: Other" in written.difference.splitlines()
    assert "title: One" in target.read_text()


def test_a_third_scenario_gets_another_name(tmp_path: Path):
    names = [write_scenario(one, tmp_path / "run.yaml").path.name for one in (ONE, OTHER, OTHER)]
    assert names == ["run.yaml", "run.new.yaml", "run.new2.yaml"]


def test_force_overwrites_the_scenario(tmp_path: Path):
    target = write_scenario(ONE, tmp_path / "run.yaml").path
    assert write_scenario(OTHER, target, force=True).path == target
    assert "title: Other" in target.read_text()


def test_the_same_scenario_again_changes_nothing(tmp_path: Path):
    target = write_scenario(ONE, tmp_path / "run.yaml").path
    assert write_scenario(ONE, target) == WrittenScenario(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.yaml", "scenario.schema.json"]


def test_a_file_in_place_of_the_folder_is_reported_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileInvalid) as caught:
        write_scenario(ONE, tmp_path / "file" / "run.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/file/run.yaml: can't be written: File exists; expected a writable folder with free space"
    )
