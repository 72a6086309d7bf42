"""The SDK of the Workspace API version 3, npm genesys-workspace-client-js, on the shipped scenario and three ways."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import load
from demo import peers
from demo.processes import Process

SHIPPED = peers.ROOT / "scenarios" / "workspace_v3.yaml"
STEPS = {
    "initialize": None,
    "get workbins": "EventWorkbins",
    "get contents": "EventWorkbinsContent",
    "get content": "EventWorkbinContent",
    "get details": "EventGetInteractionDetails",
    "subscribe": "EventAck",
    "subscribe to several": "EventAck",
    "add": "EventWorkbinContentChanged",
    "remove": "EventWorkbinContentChanged",
    "unsubscribe from several": "EventAck",
    "unsubscribe": "EventAck",
    "log out": None,
}


class WorkspaceApplication:
    """The SDK, its stand-in, and replays."""

    def __init__(self, folder: Path, processes: list[Process]) -> None:
        self._folder, self._processes = folder, processes

    def _start(self, name: str, command: list[str | Path]) -> Process:
        process = Process(f"{name}-{len(self._processes)}", command, self._folder)
        self._processes.append(process)
        return process

    def server(self) -> str:
        """Start the stand-in; return its URL."""
        process = self._start("workspace-server", ["node", peers.NODE / "workspace_server.js"])
        return process.await_line(r"^listening on (http://\S+)")[1]

    def replay(self, scenario: Path) -> str:
        """Replay a scenario; return its URL."""
        cometreel = Path(sys.executable).with_name("cometreel")
        return self._start("serve", [cometreel, "serve", scenario, "--port", "0"]).await_line(r"^(http://\S+)$")[1]

    def client(self, url: str) -> list[dict[str, JSON]]:
        """Run the SDK; return the reply and the notification of each step."""
        printed = self._start("sdk", ["node", peers.NODE / "workspace_client.mjs", url]).await_end()
        found: list[dict[str, JSON]] = json.loads(printed)
        return found


@pytest.fixture
def application(tmp_path: Path, processes: list[Process]) -> WorkspaceApplication:
    return WorkspaceApplication(tmp_path, processes)


def followed(run: list[dict[str, JSON]]) -> dict[str, JSON]:
    """Return the name of the notification of each step."""
    names: dict[str, JSON] = {}
    for step in run:
        event = step.get("followed")
        names[str(step["step"])] = event.get("name") if isinstance(event, dict) else None
    return names


def without_ids(run: list[dict[str, JSON]]) -> list[dict[str, JSON]]:
    """Return a run without its operation ids, which the server counts, and the names that a recording replaces."""
    found: list[dict[str, JSON]] = []
    for step in run:
        event = step.get("followed")
        found.append(
            {**step, "followed": {**event, "operationId": ""} if isinstance(event, dict) else None, "user": ""}
        )
    return found


def test_the_shipped_scenario_carries_the_sdk(application: WorkspaceApplication):
    assert followed(application.client(application.replay(SHIPPED))) == STEPS


def test_the_sdk_sees_the_same_from_server_recorder_and_replay(
    tmp_path: Path, application: WorkspaceApplication, mitmdump: Callable[..., peers.PeerServer]
):
    direct = application.client(application.server())
    assert followed(direct) == STEPS
    journal, scenario = tmp_path / "run.jsonl", tmp_path / "run.yaml"
    recorder = mitmdump(f"reverse:{application.server()}", "record", reel_out=journal, reel_filter="~all")
    assert without_ids(application.client(recorder.url)) == without_ids(direct)
    recorder.process.stop()
    assert load([scenario]).profile.name == "workspace-v3"
    assert without_ids(application.client(application.replay(scenario))) == without_ids(direct)
