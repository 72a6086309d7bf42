"""Files and folders: how they are found and combined, and their problems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cometreel.errors import FileInvalid
from cometreel.scenario import ExchangeBlock, RequestBlock, ScenarioBlock, dump, load, parse

ROOT = Path(__file__).parents[3]


def exchange(name: str) -> str:
    return f"cometreel: 1\nexchanges:\n  - name: {name}\n    request: {{method: GET, path: /{name}}}\n"


def messages(caught: pytest.ExceptionInfo[FileInvalid], folder: Path) -> list[str]:
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "folder").split("\n")


def test_the_files_of_a_folder_are_combined_in_alphabetical_order(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(exchange("second"))
    (tmp_path / "a.yaml").write_text(exchange("first"))
    (tmp_path / "a.new.yaml").write_text("a proposal that nobody has accepted yet")
    (tmp_path / "notes.txt").write_text("not a scenario")
    scenario = load([tmp_path])
    assert [(one.index, one.name, one.position.line) for one in scenario.exchanges] == [
        (0, "first", 3),
        (1, "second", 3),
    ]
    assert [file.name for file in scenario.files] == ["a.yaml", "b.yml"]


def test_names_may_be_defined_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(exchange("first"))
    faults = tmp_path / "b.yaml"
    faults.write_text("cometreel: 1\nfaults:\n  - {exchange: first, broken: true}\n")
    assert [fault.exchanges for fault in load([tmp_path]).faults] == [frozenset({"first"})]
    assert parse(faults).faults is not None
    with pytest.raises(FileInvalid, match="unknown exchange 'first'"):
        load([faults])


def test_different_values_in_two_files_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("cometreel: 1\nbayeux: {endpoint: /a}\ncorrelation: gws-v2\nroles: {r: {id: a}}\n")
    (tmp_path / "b.yaml").write_text("cometreel: 1\nbayeux: {endpoint: /b}\ncorrelation: gws-v2\nroles: {r: {id: b}}\n")
    with pytest.raises(FileInvalid) as caught:
        load([tmp_path])
    assert messages(caught, tmp_path) == [
        "b.yaml:2:1: bayeux differs from a.yaml:2:1; expected the same value in all files",
        "b.yaml:4:9: the role 'r' differs from the one in another file; expected the same value in all files",
    ]


def test_the_problems_of_all_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("cometreel: [\n")
    (tmp_path / "b.yaml").write_text(exchange("x").replace("GET", "7"))
    (tmp_path / "c.yaml").write_bytes(b"\xff")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileInvalid) as caught:
        load([tmp_path, tmp_path / "empty", tmp_path / "missing.yaml"])
    assert messages(caught, tmp_path) == [
        "a.yaml:2:1: not YAML: did not find expected node content while parsing a flow node; expected YAML 1.2",
        "b.yaml:4:23: the number 7; expected text",
        "c.yaml:1:1: the byte 0xff is not UTF-8; expected UTF-8 text (save the file as UTF-8)",
        "empty: the folder has no scenarios; expected *.yaml or *.yml files",
        "missing.yaml: can't be read: No such file or directory; expected a scenario file or folder",
    ]


def test_a_single_path_is_one_file_or_folder(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(exchange("first"))
    for paths in (file, str(file), tmp_path, str(tmp_path), iter([file]), [str(file)]):
        assert load(paths).files == (file,)


def test_a_single_str_is_one_path() -> None:
    with pytest.raises(FileInvalid) as caught:
        load("missing.yaml")
    assert [problem.file for problem in caught.value.problems] == ["missing.yaml"]


def test_no_file_at_all_is_a_problem() -> None:
    with pytest.raises(FileInvalid, match="no file was given; expected at least one file or folder"):
        load([])


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_scenario_loads_and_can_be_written_again(path: Path) -> None:
    assert load([path]).exchanges
    written = dump(parse(path))
    assert written.startswith("# yaml-language-server: $schema=")


def test_dump_separates_exchanges_with_empty_lines() -> None:
    request = RequestBlock(method="POST", path="/api/v2/workbins", body={"operationName": "RequestAgentStats"})
    file = ScenarioBlock(title="t", exchanges=[ExchangeBlock(name=name, request=request) for name in ("own", "again")])
    assert (
        dump(file, "s.json")
        == """\
# yaml-language-server: $schema=s.json
cometreel: 1
title: t

exchanges:
  - name: own
    request:
      method: POST
      path: /api/v2/workbins
      body:
        operationName: RequestAgentStats

  - name: again
    request:
      method: POST
      path: /api/v2/workbins
      body:
        operationName: RequestAgentStats
"""
    )


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe or a device may never end; a symbolic link to a file is a file."""
    pipe, link = tmp_path / "pipe.yaml", tmp_path / "link.yaml"
    os.mkfifo(pipe)
    (tmp_path / "file.yaml").write_text("cometreel: 1\nexchanges: []\n")
    link.symlink_to(tmp_path / "file.yaml")
    assert load(link).exchanges == ()
    for path in (pipe, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(FileInvalid) as failure:
            load(path)
        assert str(failure.value) == (
            f"{path}: is not a regular file, but a pipe or a device; expected a scenario file"
        )
