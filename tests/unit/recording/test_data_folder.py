"""Large bodies and data are written to data files, equal ones once; existing data files are never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cometreel.cli import ExitCode, run
from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON, decode
from cometreel.recording import write_scenario
from cometreel.recording.extending import extend_scenario
from cometreel.scenario import ScenarioBlock, load, parse

LONG: JSON = {"rows": [{"id": number, "rate": 1.5} for number in range(300)]}
OTHER: JSON = {"rows": ["x" * 5000]}
LITERAL = decode('{"rate": 1.50, "rows": "' + "x" * 5000 + '"}')


def scenario(*data: JSON, **reply: JSON) -> ScenarioBlock:
    """A scenario with one exchange, this reply, and a notification for each of `data`."""
    events: list[JSON] = [{"channel": "/v2/me/Initialization", "data": each} for each in data]
    exchange: JSON = {"name": "get Users", "request": {"method": "GET", "path": "/u"}, "reply": reply, "events": events}
    return ScenarioBlock.model_validate({"exchanges": [exchange]})


def files(folder: Path) -> dict[str, int]:
    """The data files with their numbers of lines."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.parent != folder)
    return {str(path.relative_to(folder)): path.read_bytes().count(b"\n") for path in found}


def test_equal_data_is_written_once_in_lines_and_read_back(tmp_path: Path) -> None:
    file = scenario(LONG, OTHER, LONG, {"small": 1}, body=LITERAL)
    path = write_scenario(file, tmp_path / "Desk top.yaml").path
    assert files(tmp_path) == {
        "desk-top/get-users-1.json": 4,
        "desk-top/initialization-1.json": 1204,
        "desk-top/initialization-2.json": 5,
    }
    assert path.read_text().count("data: {$file: desk-top/initialization-1.json}") == 2
    assert "small: 1" in path.read_text()
    assert '"rate": 1.50' in (tmp_path / "desk-top/get-users-1.json").read_text()
    assert parse(path).exchanges == file.exchanges


@pytest.mark.parametrize(
    ("reply", "name", "content"),
    [
        ({"text": "é" * 3000, "headers": {"Content-Type": "text/html; charset=utf-8"}}, "get-users-1.html", "é" * 3000),
        ({"text": "a\r\n" * 3000}, "get-users-1.txt", "a\r\n" * 3000),
        ({"base64": "AAAA" * 3000, "headers": {"content-type": "image/png"}}, "get-users-1.png", "\0" * 9000),
    ],
)
def test_text_and_bytes_keep_their_format(tmp_path: Path, reply: dict[str, JSON], name: str, content: str) -> None:
    file = scenario(**reply)
    path = write_scenario(file, tmp_path / "a.yaml").path
    assert (tmp_path / "a" / name).read_bytes() == content.encode()
    assert parse(path).exchanges == file.exchanges


def test_the_limit_decides_and_0_keeps_everything_in_the_scenario(tmp_path: Path) -> None:
    write_scenario(scenario({"a": 1}), tmp_path / "a.yaml", inline_limit=6)
    assert files(tmp_path) == {"a/initialization-1.json": 3}
    write_scenario(scenario(LONG), tmp_path / "b.yaml", inline_limit=0)
    assert "b" not in {path.name for path in tmp_path.iterdir()}


def test_the_same_scenario_again_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.yaml"
    write_scenario(scenario(LONG), target)
    data = tmp_path / "a/initialization-1.json"
    data.write_text(data.read_text().replace("\n", ""))  # another layout of the same value
    assert write_scenario(scenario(LONG), target).path == target
    assert files(tmp_path) == {"a/initialization-1.json": 0}


@pytest.mark.parametrize("force", [True, False])
def test_a_data_file_with_other_content_is_kept(tmp_path: Path, force: bool) -> None:
    target = tmp_path / "a.yaml"
    write_scenario(scenario(LONG), target)
    before = (tmp_path / "a/initialization-1.json").read_bytes()
    written = write_scenario(scenario(OTHER), target, force=force)
    assert "+        data: {$file: a/initialization-2.json}" in written.difference.splitlines()
    assert (tmp_path / "a/initialization-1.json").read_bytes() == before
    assert parse(written.path).exchanges == scenario(OTHER).exchanges


def test_values_from_data_files_stay_in_them(tmp_path: Path) -> None:
    """Also small ones, and ones inside of a value; the exchanges that a recording adds get files of their own."""
    target = tmp_path / "a.yaml"
    (tmp_path / "small.json").write_text('{"b": 1}')
    target.write_text(
        "cometreel: 1\nexchanges:\n  - name: one\n    request: {method: GET, path: /one}\n"
        "    reply: {body: {a: {$file: small.json}}}\n"
    )
    extended = extend_scenario(parse(target), load(target), scenario(LONG))
    assert extended is not None
    text = write_scenario(extended, target).path.read_text()
    assert "a: {$file: small.json}" in text
    assert "data: {$file: a/initialization-1.json}" in text


def test_an_error_leaves_no_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file in place of the folder")
    with pytest.raises(FileInvalid, match="can't be written"):
        write_scenario(scenario(LONG), tmp_path / "a.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_distill_moves_what_is_over_the_limit(wire: Any, capsys: pytest.CaptureFixture[str]) -> None:
    wire.login(0, "s1", "c1", "kate.smith")
    wire.call(1, "GET", "/api/v2/groups", None, {"groups": ["g" * 30] * 300}, session="s1")
    wire.recorder.close()
    journal: Path = wire.path
    assert run(["distill", str(journal), "--inline-limit", "20000"]) == ExitCode.SUCCESS
    assert files(journal.parent) == {}
    assert run(["distill", str(journal), "--force"]) == ExitCode.SUCCESS
    assert list(files(journal.parent)) == [f"{journal.stem}/groups-1.json"]
    capsys.readouterr()
    assert run(["distill", str(journal), "--inline-limit", "-1"]) == ExitCode.ERROR
    assert "-1 is not in the range x>=0" in capsys.readouterr().err
