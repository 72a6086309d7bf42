"""A replay verified with its own scenario has no differences; exchanges that cannot be sent are listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.scenario import load
from cometreel.serve import replay_app, serve_in_background
from demo import peers

SCENARIOS = peers.ROOT / "scenarios"

NOT_PLAYED: dict[str, list[str]] = {
    "add_and_pull": ["unsubscribe from changes", "subscribe for changes", "add a work item"],
    "chat_publish": [
        "ask for a chat",
        "a message without a key",
        "say something",
        "a notice of one's own",
        "leave the chat",
    ],
    "csrf": [],
    "failures": [
        "1, a parameter is missing",
        "2, a parameter is invalid for the current state",
        "3, the operation is forbidden",
        "4, an internal error",
        "5, no permission",
        "6, the workbin is not found",
        "18, it exists already",
        "19, it is in use",
        "20, not authenticated",
        "a pull that fails after it was accepted",
        "voice is down",
        "the device is not registered",
    ],
    "faults": [],
    "login_workload": [
        "settings of a device",
        "internal operation",
        "contact of a user",
        "not ready",
        "content of several workbins",
        "subscribe to each workbin",
    ],
    "not_logged_in": [],
    "request_agent_stats": [],
    "request_stats": [],
    "subscribe": ["subscribe to one workbin", "unsubscribe from one workbin"],
    "workspace_v3": [
        "content of one workbin of version 3",
        "details of an interaction in version 3",
        "subscribe to a workbin in version 3",
        "subscribe to several workbins in version 3",
        "unsubscribe from a workbin in version 3",
        "unsubscribe from several workbins in version 3",
        "add an interaction in version 3",
        "pull an interaction in version 3",
    ],
}
"""Exchanges whose values the scenario does not contain: `{$any: …}`, `{$regex: …}`, captures without a value."""

NAMED = {
    "add_and_pull": ["workbin=861640a2-7c64-4c0b-9d7e-1f6f0c5a0001"],
    "subscribe": ["workbin=861640a2-7c64-4c0b-9d7e-1f6f0c5a0001"],
    "workspace_v3": [
        "workbin=861640a2-7c64-4c0b-9d7e-1f6f0c5a0001",
        "workbins=861640a2-7c64-4c0b-9d7e-1f6f0c5a0001",
        "interaction=00016AB14RQD006M",
    ],
}


def test_every_shipped_scenario_is_listed() -> None:
    assert sorted(NOT_PLAYED) == sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


@pytest.mark.parametrize("name", sorted(NOT_PLAYED))
def test_replay_has_no_differences(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMETREEL_USER", "agent-1")
    monkeypatch.setenv("COMETREEL_PASSWORD", "any")
    path = SCENARIOS / f"{name}.yaml"
    with serve_in_background(replay_app(load([path]))) as served:
        code = run(["verify", str(path), "--against", served.url, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["counts"]["differences"] == 0
    not_played = [exchange["name"] for exchange in report["exchanges"] if exchange["outcome"] == "not played"]
    assert not_played == NOT_PLAYED[name]
    assert code == (ExitCode.ERROR if len(not_played) == len(report["exchanges"]) else ExitCode.SUCCESS)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_all_exchanges_are_played_with_values_for_captures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = SCENARIOS / f"{name}.yaml"
    values = [word for value in NAMED[name] for word in ("--value", value)]
    with serve_in_background(replay_app(load([path]))) as served:
        code = run(["verify", str(path), "--against", served.url, "--json", *values])
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (code, counts["differences"], counts["notPlayed"]) == (ExitCode.SUCCESS, 0, 0)


def test_replay_by_mitmdump(tmp_path: Path, login: None, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = peers.ROOT / "recordings" / "workbin-desktop.yaml"
    options: dict[str, object] = {"reel_scenario": recorded}
    server = peers.mitmdump(tmp_path, "reverse:http://unused.invalid", peers.ADDONS / "replay.py", options)
    with server.process:
        code = run(["verify", str(recorded), "--against", server.url, "--json"])
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (code, counts) == (ExitCode.SUCCESS, {"same": 24, "drift": 0, "notPlayed": 0, "differences": 0})
