"""A recording is replayed, and its requests are sent as load: to the replay, and to the server that was recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cometreel.recording.recording_session import RecordingSession
from cometreel.recording.upstream import Upstream
from cometreel.serve import serve_in_background
from demo import peers
from demo.processes import Process
from tests.load.conftest import SCENARIOS, Start

STATS = {"operationName": "RequestAgentStats"}
SIGN_IN: list[dict[str, Any]] = [
    {
        "step": "sign in",
        "post": "/api/v2/sign-in",
        "body": {"userName": peers.ANN.user, "password": peers.ANN.password},
    },
    {"step": "who am I", "get": "/api/v2/me"},
    {
        "step": "start",
        "post": "/api/v2/me",
        "body": {"operationName": "StartContactCenterSession", "channels": ["chat"]},
    },
    {"step": "handshake", "handshake": True},
    {"step": "subscribe", "subscribe": ["/v2/me/workbins"]},
    {"step": "version", "get": "/api/v2/diagnostics/version"},
    {"step": "stats", "post": "/api/v2/workbins", "body": STATS, "messages": 1},
    {
        "step": "stats of a place",
        "post": "/api/v2/workbins",
        "body": {**STATS, "workbinType": "Place", "workbinOwner": "Place1"},
        "messages": 1,
    },
    {"step": "disconnect", "disconnect": True},
]
USERS = "".join(f"{each.user},{each.password}\n" for each in (peers.ANN, peers.BEN))


@pytest.fixture
def stand_in(tmp_path: Path, processes: list[Process]) -> Callable[..., str]:
    """Start the stand-in for Genesys Web Services."""
    if missing := peers.missing_peers():
        pytest.fail(f"peers are not installed: {', '.join(missing)}; run `make setup`", pytrace=False)

    def start(*arguments: str) -> str:
        server = peers.stand_in(tmp_path, *arguments, name=f"stand-in-{len(processes)}")
        processes.append(server.process)
        return server.url

    return start


def record(url: str, folder: Path, workload: list[dict[str, Any]] | None = None) -> Path:
    """Record the desktop at this server; return the scenario."""
    steps = folder / "workload.json"
    steps.write_text(
        json.dumps([{**step, "anonymous": True} for step in workload]) if workload else peers.WORKLOAD.read_text()
    )
    session = RecordingSession(Upstream.at(url), folder / "desktop.yaml")
    with serve_in_background(session.proxy_factory(lambda *_: None)) as proxy:
        peers.client(folder, "cometd-3", proxy.url, workload=steps).await_end()
    scenario = session.finish().scenario
    assert scenario is not None
    return scenario


@pytest.fixture
def serve(tmp_path: Path, processes: list[Process]) -> Callable[..., str]:
    """Replay a scenario."""

    def start(scenario: Path, *arguments: str) -> str:
        command: list[str | Path] = [
            Path(sys.executable).with_name("cometreel"),
            "serve",
            scenario,
            "--no-admin",
            *arguments,
        ]
        processes.append(Process("serve", command, tmp_path))
        return processes[-1].await_line(r"^(http://\S+)")[1]

    return start


@pytest.fixture
def load(locust: Start, tmp_path: Path) -> Callable[..., tuple[dict[str, Any], list[str]]]:
    """Send a scenario with two agents; return the report and the notes on what is skipped. A failure fails the test."""

    def run(url: str, scenario: Path, *arguments: object) -> tuple[dict[str, Any], list[str]]:
        process = locust(
            *("--host", url, "--reel-scenario", scenario, "-u", 2, "-r", 2, "-t", "9s", "--reel-patience", "3s"),
            *("--reel-json", "run.json", "--reel-limit", "error == 0", "--reel-limit", "unexpected == 0", *arguments),
            file="from_scenario.py",
        )
        process.await_end()
        log = process.err.read_text()
        assert "Traceback" not in log
        report: dict[str, Any] = json.loads((tmp_path / "run.json").read_text())
        assert report["sent"] > 10
        return report, [line.rpartition("coordinator: ")[2] for line in log.splitlines() if "is skipped" in line]

    return run


Load = Callable[..., tuple[dict[str, Any], list[str]]]
SKIPPED_ANYWAY = ["'stats of workbin 5, failed' is skipped: the recorded reply is an error"]


def test_without_users_a_replay_of_the_recording_answers_everything(
    stand_in: Callable[..., str], serve: Callable[..., str], load: Load, tmp_path: Path
):
    scenario = record(stand_in(), tmp_path)
    report, skipped = load(serve(scenario), scenario)
    assert skipped == [
        "'me, refused' is skipped: the recorded reply is an error",
        "'me' is skipped: it needs a login; add --reel-users",
        *SKIPPED_ANYWAY,
        "'end contact center session' is skipped: it ends the session",
    ]
    assert "POST subscribe workbin 1" in report["entries"]


@pytest.mark.parametrize("mode", ["open", "session"])
def test_with_users_each_agent_sends_the_recorded_login(
    mode: str, stand_in: Callable[..., str], serve: Callable[..., str], load: Load, tmp_path: Path
):
    """The body of StartContactCenterSession is the recorded one. A desktop would start other channels."""
    scenario = record(stand_in(), tmp_path)
    (tmp_path / "users.csv").write_text(f"user,password\n{USERS}")
    report, skipped = load(serve(scenario, "--auth", mode), scenario, "--reel-users", "users.csv")
    assert skipped == SKIPPED_ANYWAY
    assert not [name for name in report["entries"] if "contact center session" in name or name == "GET me"]


def test_a_server_that_requires_a_sign_in_before_the_handshake(
    stand_in: Callable[..., str], serve: Callable[..., str], load: Load, tmp_path: Path
):
    """Each agent signs in with its own name and password at the redacted places of the recorded body."""
    url = stand_in("--sign-in")
    scenario = record(url, tmp_path, SIGN_IN)
    assert peers.ANN.password not in scenario.read_text()
    (tmp_path / "users.csv").write_text(f"user,password\n{USERS}")
    for target in (url, serve(scenario)):
        report, skipped = load(target, scenario, "--reel-users", "users.csv")
        assert skipped == []
        assert sorted(report["entries"]) == ["Agent", "All", "GET diagnostics version", "Place"]
        assert report["answered"] == report["expected"] > 0


def test_a_wrong_password_is_reported_with_the_name_of_the_recorded_request(
    stand_in: Callable[..., str], tmp_path: Path
):
    url = stand_in("--sign-in")
    scenario = record(url, tmp_path, SIGN_IN)
    (tmp_path / "users.csv").write_text("user,password\nann.archer,wrong\n")
    command: list[str | Path] = [
        Path(sys.executable).with_name("locust"),
        "-f",
        peers.ROOT / "loadtests" / "from_scenario.py",
        "--headless",
    ]
    command += ["--host", url, "--reel-scenario", scenario, "--reel-users", "users.csv", "-t", "1s"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("cometreel: ")]
    assert ended.returncode == 2
    assert line == (
        "cometreel: --reel-users: ann.archer: login failed: the server refused 'post sign-in' with HTTP 403 "
        "(statusCode 20); expected a user name and a password that the server accepts"
    )


def test_the_report_shows_the_near_miss_of_a_replay(serve: Callable[..., str], locust: Start, tmp_path: Path):
    url = serve(SCENARIOS / "request_agent_stats.yaml")
    arguments = ("--reel-mix", "place=100", "--reel-owners", "place=Unknown", "--reel-json", "run.json", "-t", "3s")
    out = locust("--host", url, *arguments).await_end(expected=1)
    messages = json.loads((tmp_path / "run.json").read_text())["entries"]["Place"]["messages"]
    assert list(messages) == ["HTTP 404"]
    assert "workbinOwner" in messages["HTTP 404"]
    assert "Place, HTTP 404 (" in out
