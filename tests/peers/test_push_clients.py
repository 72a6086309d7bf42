"""Libraries that bind requests by token and clientId instead of a cookie: faye, cometd over a WebSocket, and jsforce.

Two users work at once, against Faye's own server, through the recorder and with the replay. Faye's server sets no
cookie. The recorded tokens are not those of the replay.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypedDict

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import load
from demo import peers
from demo.processes import Process

LIBRARIES = ("faye-polling", "faye-websocket", "cometd-websocket", "jsforce")
BOARD = {"/tasks/alice": 3, "/tasks/bob": 3, "/news": 2, "/chat": 2}
SALESFORCE = {"Accounts-alice": 3, "Accounts-bob": 3}


class Seen(TypedDict):
    """The replies and the messages of each channel that one user received."""

    replies: list[JSON]
    messages: dict[str, list[JSON]]


Run: TypeAlias = dict[str, Seen]


class PushApplication:
    """The stand-in, and the commands that record and replay it."""

    def __init__(self, folder: Path, processes: list[Process], mitmdump: Callable[..., peers.PeerServer]) -> None:
        self.scenario = folder / "run.yaml"
        self._folder, self._processes, self._mitmdump = folder, processes, mitmdump

    def server(self) -> str:
        """Start the stand-in on Faye's server; return its URL."""
        process = Process("push-server", ["node", peers.NODE / "push_server.js"], self._folder)
        self._processes.append(process)
        return process.await_line(r"^listening on (http://\S+)")[1]

    def recorder(self) -> peers.PeerServer:
        """Start mitmdump with the recorder in front of a new stand-in."""
        journal = self._folder / "run.jsonl"
        return self._mitmdump(f"reverse:{self.server()}", "record", reel_out=journal, reel_filter="~all")

    def replay(self, server: str) -> str:
        """Start a replay without the stand-in; return its URL."""
        if server == "mitmdump":
            return self._mitmdump("reverse:http://unused.invalid", "replay", reel_scenario=self.scenario).url
        cometreel = Path(sys.executable).with_name("cometreel")
        process = Process("serve", [cometreel, "serve", self.scenario, "--port", "0"], self._folder)
        self._processes.append(process)
        return process.await_line(r"(http://127\.0\.0\.1:\d+)")[1]

    def client(self, library: str, url: str) -> Run:
        """Run both users; return their replies and messages."""
        name = f"client-{len(self._processes)}"
        process = Process(name, ["node", peers.NODE / "push_client.mjs", library, url], self._folder)
        self._processes.append(process)
        found: Run = json.loads(process.await_end())
        return found


@pytest.fixture
def application(tmp_path: Path, processes: list[Process], mitmdump: Callable[..., peers.PeerServer]) -> PushApplication:
    return PushApplication(tmp_path, processes, mitmdump)


def without_numbers(run: Run) -> JSON:
    """Replace the numbers that the server counts for both users, whose order differs from run to run."""
    text = json.dumps(run)
    text = re.sub(r'"(referenceId|replayId)": \d+', r'"\1": 0', text)
    found: JSON = json.loads(re.sub(r"001(alice|bob)\d+", r"001\1", text))
    return found


def counts(run: Run) -> dict[str, int]:
    """Return the number of messages by channel."""
    found: Counter[str] = Counter()
    for user in run.values():
        found.update({channel: len(messages) for channel, messages in user["messages"].items()})
    return dict(found)


@pytest.mark.parametrize("library", LIBRARIES)
def test_two_users_see_the_same_from_server_recorder_and_replay(library: str, application: PushApplication):
    direct = application.client(library, application.server())
    assert counts(direct) == (SALESFORCE if library == "jsforce" else BOARD)
    recorder = application.recorder()
    recorded = application.client(library, recorder.url)
    assert without_numbers(recorded) == without_numbers(direct)
    recorder.process.stop()
    assert load([application.scenario]).exchanges
    for server in ("mitmdump", "serve"):
        assert application.client(library, application.replay(server)) == recorded, server
