"""Our own replay is verified by the scenario that it plays: nothing differs, and what can't be asked is listed."""

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
    "workspace_v3": ["subscribe in version 3", "unsubscribe in version 3", "add an interaction in version 3"],
}
"""What holds values that a scenario doesn't: `{$any: …}`, `{$regex: …}`, and captures that nobody has named."""

NAMED = {
    "add_and_pull": ["workbin=861640a2-7c64-4c0b-9d7e-1f6f0c5a0001"],
    "subscribe": ["workbin=861640a2-7c64-4c0b-9d7e-1f6f0c5a0001"],
    "workspace_v3": ["workbin=861640a2-7c64-4c0b-9d7e-1f6f0c5a0001", "interaction=00016AB14RQD006M"],
}


def test_every_scenario_that_ships_is_in_the_table() -> None:
    assert sorted(NOT_PLAYED) == sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


@pytest.mark.parametrize("name", sorted(NOT_PLAYED))
def test_nothing_differs_and_what_cannot_be_asked_is_listed(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMETREEL_USER", "agent-1")
    monkeypatch.setenv("COMETREEL_PASSWORD", "any")
    path = SCENARIOS / f"{name}.yaml"
    with serve_in_background(replay_app(load([path]))) as served:
        code = run(["verify", str(path), "--against", served.url, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["differences"] == 0
    left = [exchange["name"] for exchange in told["exchanges"] if exchange["outcome"] == "not played"]
    assert left == NOT_PLAYED[name]
    assert code == (ExitCode.CANNOT if len(left) == len(told["exchanges"]) else ExitCode.DONE)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_with_values_for_its_captures_all_of_it_is_played(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = SCENARIOS / f"{name}.yaml"
    values = [word for value in NAMED[name] for word in ("--value", value)]
    with serve_in_background(replay_app(load([path]))) as served:
        code = run(["verify", str(path), "--against", served.url, "--json", *values])
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (code, counts["differences"], counts["notPlayed"]) == (ExitCode.DONE, 0, 0)


def test_through_mitmdump_too(tmp_path: Path, login: None, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = peers.ROOT / "recordings" / "workbin-desktop.yaml"
    options: dict[str, object] = {"reel_scenario": recorded}
    server = peers.mitmdump(tmp_path, "reverse:http://unused.invalid", peers.ADDONS / "replay.py", options)
    with server.process:
        code = run(["verify", str(recorded), "--against", server.url, "--json"])
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (code, counts) == (ExitCode.DONE, {"same": 24, "drift": 0, "notPlayed": 0, "differences": 0})
