"""Every reader of scenarios treats a value from a data file like a value in the scenario."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.locust_agents.scenario_script import read_script
from cometreel.scenario import load
from cometreel.verify import build_script

INLINE = """cometreel: 1
exchanges:
  - name: log in
    request: {method: POST, path: /x, body: {name: kate, code: [1, 2]}}
    reply: {after: 10ms, body: {statusCode: 0, users: [{name: kate}]}}
    events:
      - {after: 20ms, channel: /c, data: {kind: hello}}
"""
WITH_FILES = """cometreel: 1
exchanges:
  - name: log in
    request: {method: POST, path: /x, body: {$file: d/q.json}}
    reply: {after: 10ms, body: {statusCode: 0, users: {$file: d/users.json}}}
    events:
      - {after: 20ms, channel: /c, data: {$file: d/data.json}}
"""


def printed(*arguments: str) -> Callable[[Path, pytest.CaptureFixture[str]], object]:
    """Return a function that runs a command with the scenario and returns its output and files."""

    def call(path: Path, capsys: pytest.CaptureFixture[str]) -> object:
        assert run([each.replace("SCENARIO", path.name) for each in arguments]) == ExitCode.SUCCESS
        return capsys.readouterr().out, [file.read_text() for file in path.parent.glob("out*")]

    return call


READERS: dict[str, Callable[[Path, pytest.CaptureFixture[str]], object]] = {
    "show": printed("show", "SCENARIO", "--text"),
    "show as a page": printed("show", "SCENARIO", "-o", "out.html"),
    "export to HAR": printed("export", "SCENARIO", "--har", "-o", "out.har"),
    "export to OpenAPI": printed("export", "SCENARIO", "--openapi", "-o", "out.json"),
    "lint": printed("lint", "SCENARIO"),
    "load test": lambda path, _: read_script([path], 1.0),
    "verify": lambda path, _: [step.block for step in build_script(load([path])).steps],
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_a_scenario_with_data_files_is_read_like_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], read: Callable[..., object]
) -> None:
    results = []
    for name, text in (("inline", INLINE), ("files", WITH_FILES)):
        folder = tmp_path / name
        (folder / "d").mkdir(parents=True)
        monkeypatch.chdir(folder)
        (folder / "s.yaml").write_text(text)
        (folder / "d/q.json").write_text('{"name": "kate", "code": [1, 2]}')
        (folder / "d/users.json").write_text('[{"name": "kate"}]')
        (folder / "d/data.json").write_text('{"kind": "hello"}')
        results.append(read(folder / "s.yaml", capsys))
    assert results[0] == results[1]
