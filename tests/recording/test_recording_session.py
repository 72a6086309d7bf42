"""The files of a recording session: journals are kept, scenarios are never overwritten, pseudonyms are stable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cometreel.errors import FileInvalid
from cometreel.recording.recording_session import RecordingSession
from cometreel.recording.upstream import Upstream
from cometreel.scenario import load, parse
from cometreel.serve import serve_in_background


@pytest.fixture
def take(tmp_path: Path, serve: Callable[..., str], server: Any) -> Callable[..., Any]:
    """Record GET requests of these paths into `desktop.yaml`."""
    server.fields = [("Content-Type", "application/json")]
    upstream = Upstream.at(serve(server))

    def run(*paths: str, body: bytes = b'{"statusCode":0}', only_new: bool = False) -> Any:
        server.chunks = [body]
        recording = RecordingSession(upstream, tmp_path / "desktop.yaml")
        with serve_in_background(recording.proxy_factory(lambda *_: None)) as served:
            for path in paths:
                httpx.get(served.url + path)
        return recording.finish(only_new=only_new)

    return run


def test_the_first_recording_writes_the_scenario(take: Callable[..., Any], tmp_path: Path):
    made = take("/api/v2/me")
    assert (made.scenario, made.difference) == (tmp_path / "desktop.yaml", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "desktop.jsonl",
        "desktop.key",
        "desktop.yaml",
        "scenario.schema.json",
    ]
    scenario = load([made.scenario])
    assert (scenario.title, [exchange.name for exchange in scenario.exchanges]) == ("desktop", ["me"])


def test_another_recording_keeps_the_scenario_and_all_journals(take: Callable[..., Any], tmp_path: Path):
    take("/api/v2/me")
    before = (tmp_path / "desktop.yaml").read_text()
    made = take("/api/v2/me", "/api/v2/workbins")
    assert made.scenario == tmp_path / "desktop.new.yaml"
    assert "+      path: /api/v2/workbins" in made.difference
    assert (tmp_path / "desktop.yaml").read_text() == before
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["desktop.2.jsonl", "desktop.jsonl"]


def test_only_what_is_new_is_added(take: Callable[..., Any], tmp_path: Path):
    take("/api/v2/me")
    edited = (tmp_path / "desktop.yaml").read_text().replace("statusCode: 0", "statusCode: 7")
    (tmp_path / "desktop.yaml").write_text(edited)
    made = take("/api/v2/me", "/api/v2/workbins", only_new=True)
    assert made.scenario == tmp_path / "desktop.new.yaml"
    assert [exchange.name for exchange in load([made.scenario]).exchanges] == ["me", "workbins"]
    assert "statusCode: 7" in made.scenario.read_text()


@pytest.mark.parametrize(
    ("correlation", "expected"),
    [
        ("correlation: {reply: [/number], event: [/number]}\n", "correlation:\n  reply:\n    - /number\n"),
        ("correlation: workspace-v3\n", "correlation: workspace-v3\n"),
        ("", "correlation: gws-v2\n"),
    ],
)
def test_a_new_recording_uses_the_profile_of_the_scenario(
    take: Callable[..., Any], tmp_path: Path, correlation: str, expected: str
):
    (tmp_path / "desktop.yaml").write_text(f"cometreel: 1\n{correlation}exchanges: []\n")
    made = take("/api/v2/me")
    assert expected in made.scenario.read_text()
    assert [exchange.name for exchange in load([made.scenario]).exchanges] == ["me"]


def test_without_new_requests_no_scenario_is_written(take: Callable[..., Any], tmp_path: Path):
    take("/api/v2/me")
    made = take("/api/v2/me", only_new=True)
    assert (made.scenario, made.lines[0]) == (
        None,
        "desktop.yaml answers all recorded requests; no scenario is written",
    )
    assert not (tmp_path / "desktop.new.yaml").exists()


def test_without_requests_no_scenario_is_written(take: Callable[..., Any], tmp_path: Path):
    made = take()
    assert (made.scenario, made.lines[0]) == (None, "nothing was recorded; no scenario is written")
    assert not (tmp_path / "desktop.yaml").exists()
    assert made.journal.exists()


def _first_body(made: Any) -> object:
    exchanges = parse(made.scenario).exchanges
    assert exchanges is not None
    assert exchanges[0].reply is not None
    return exchanges[0].reply.body


def test_a_value_has_the_same_pseudonym_in_every_recording(take: Callable[..., Any], tmp_path: Path):
    body = b'{"statusCode":0,"user":{"userName":"canary.person"}}'
    first = _first_body(take("/api/v2/me", body=body))
    assert first == _first_body(take("/api/v2/me", "/api/v2/other", body=body))
    assert "canary" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_an_invalid_scenario_is_reported_before_the_recording(tmp_path: Path):
    (tmp_path / "desktop.yaml").write_text("cometreel: 1\nexchanges: 7\n")
    with pytest.raises(FileInvalid):
        RecordingSession(Upstream.at("http://127.0.0.1:1"), tmp_path / "desktop.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["desktop.yaml"]


def test_a_folder_that_is_not_writable_is_reported(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileInvalid) as refused:
        RecordingSession(Upstream.at("http://127.0.0.1:1"), tmp_path / "file" / "in" / "desktop.yaml")
    target = tmp_path / "file" / "in" / "desktop.yaml"
    assert str(refused.value) == (
        f"{target}: can't be written: Not a directory; expected a writable folder with free space"
    )
