"""`cometreel.record`: records the traffic of a client to a real server, here to a replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

import cometreel
from tests.python_api.test_replay_server import STATS
from tests.replay.desktop import AgentApplication


def test_a_recording_is_replayed_without_the_server(tmp_path: Path):
    file = tmp_path / "desktop.yaml"
    with cometreel.replay(STATS, speed=0) as real, cometreel.record(real.url, file) as proxy:
        with AgentApplication(proxy.url) as application:
            application.request_stats(workbinType="Place", workbinOwner="Place1")
            application.poll()
        assert (proxy.upstream, proxy.result) == (real.url, None)
        assert [call.operation for call in proxy.calls] == ["RequestAgentStats"]
        recorded = application.messages
    result = proxy.result
    assert result is not None
    assert (result.scenario, result.journal) == (file, tmp_path / "desktop.jsonl")
    with cometreel.replay(file, speed=0, strict=True) as server, AgentApplication(server.url) as application:
        application.request_stats(workbinType="Place", workbinOwner="Place1")
        application.poll()
    assert application.messages == recorded


def test_an_existing_scenario_is_not_overwritten(tmp_path: Path):
    file = tmp_path / "version.yaml"
    versions = "cometreel: 1\nexchanges:\n  - {name: v, request: {method: GET, path: /v}, reply: {body: {v: 1}}}\n"
    file.write_text(versions)
    with cometreel.replay(versions.replace("v: 1", "v: 2")) as real, cometreel.record(real.url, file) as proxy:
        httpx.get(proxy.url + "/v")
    assert proxy.result is not None
    assert proxy.result.scenario == tmp_path / "version.new.yaml"
    assert "+" in proxy.result.difference
    assert file.read_text() == versions


def test_only_new_exchanges_are_added(tmp_path: Path):
    file = tmp_path / "version.yaml"
    one = "  - {name: one, request: {method: GET, path: /one}, reply: {body: {v: 1}}}\n"
    file.write_text(f"cometreel: 1\nexchanges:\n{one}")
    with (
        cometreel.replay(f"cometreel: 1\nexchanges:\n{one}{one.replace('one', 'two')}") as real,
        cometreel.record(real.url, file, only_new=True) as proxy,
    ):
        httpx.get(proxy.url + "/one")
        httpx.get(proxy.url + "/two")
    assert proxy.result is not None
    assert proxy.result.scenario is not None
    names = [exchange.name for exchange in cometreel.Scenario.load(proxy.result.scenario).exchanges or []]
    assert names == ["one", "two"]


def test_a_closed_recording_returns_its_result_again(tmp_path: Path):
    with cometreel.replay() as real:
        proxy = cometreel.record(real.url, tmp_path / "nothing.yaml")
        result = proxy.close()
        assert proxy.close() is result
    assert (result.scenario, result.lines[0]) == (None, "nothing was recorded; no scenario is written")
    assert repr(proxy) == f"<RecordingServer of {real.url} closed {proxy.url}>"


async def test_in_a_coroutine(tmp_path: Path):
    with cometreel.replay("cometreel: 1\nexchanges:\n  - {name: v, request: {method: GET, path: /v}}\n") as real:
        async with cometreel.record(real.url, tmp_path / "v.yaml") as proxy, httpx.AsyncClient() as client:
            assert (await client.get(proxy.url + "/v")).status_code == 200
    assert proxy.result is not None
    assert proxy.result.scenario == tmp_path / "v.yaml"


EXPECTED = "expected http://HOST:PORT or https://HOST:PORT"


@pytest.mark.parametrize(
    ("upstream", "text"),
    [
        ("gws.example", f"upstream: 'gws.example'; {EXPECTED}"),
        (None, f"upstream: 'None'; {EXPECTED}"),
        (
            "http://ann:secret@gws.example",
            f"upstream: the URL contains credentials; {EXPECTED} (the client sends its own credentials)",
        ),
    ],
)
def test_an_invalid_url_is_an_error(upstream: Any, text: str):
    with pytest.raises(cometreel.OptionInvalid) as caught:
        cometreel.record(upstream, "a.yaml")
    assert str(caught.value) == text


def test_an_empty_path_of_a_scenario_is_an_error():
    with pytest.raises(cometreel.OptionInvalid) as caught:
        cometreel.record("http://127.0.0.1:9", "")
    assert str(caught.value) == "scenario: ''; expected the path of a scenario, such as desktop.yaml"


@pytest.mark.parametrize(("option", "value"), [("policy", "none.yaml"), ("profile", "none")])
def test_an_unknown_policy_or_profile_is_an_error_and_writes_nothing(option: str, value: str, tmp_path: Path):
    with pytest.raises(cometreel.InputError):
        cometreel.record("http://127.0.0.1:9", tmp_path / "a.yaml", **{option: value})  # type: ignore[arg-type]  # the wrong argument is the subject
    assert [*tmp_path.iterdir()] == []
