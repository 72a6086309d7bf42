"""Java's HttpClient with its default settings against `serve`: it offers an upgrade to h2c with its requests."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from cometreel.jsonvalue import JSON
from demo import peers
from demo.processes import Process

CLIENT = peers.PEERS / "java" / "HttpClientDesktop.java"
SCENARIO = peers.ROOT / "scenarios" / "request_agent_stats.yaml"


@pytest.fixture
def java_desktop(tmp_path: Path) -> dict[str, tuple[str, int | None, JSON]]:
    """Run the client, and return what it got in each step: the HTTP version, the status and the body."""
    if shutil.which("javac") is None:
        pytest.fail("a peer is not installed: the program javac (a JDK); run `make setup`", pytrace=False)
    command: list[str | Path] = [Path(sys.executable).with_name("cometreel"), "serve", SCENARIO]
    with Process("serve", [*command, "--speed", "0"], tmp_path) as server:
        url = server.await_line(r"^(http://\S+)$")[1]
        with Process("java", ["java", CLIENT, url], tmp_path) as client:
            lines = client.await_end().splitlines()
    found: dict[str, tuple[str, int | None, JSON]] = {}
    for line in lines:
        step, rest = line.split(" ", 1)
        if step == "websocket":
            found[step] = ("", None, json.loads(rest))
        else:
            version, status, *body = rest.split(" ", 2)
            found[step] = (version, int(status), json.loads(body[0]) if body else None)
    return found


def test_java_http_client_is_answered(java_desktop: dict[str, tuple[str, int | None, JSON]]):
    statuses = {step: (version, status) for step, (version, status, _) in java_desktop.items()}
    assert statuses == {
        "unmatched": ("HTTP_1_1", 404),
        "handshake": ("HTTP_1_1", 200),
        "subscribe": ("HTTP_1_1", 200),
        "connect": ("HTTP_1_1", 200),
        "stats": ("HTTP_1_1", 200),
        "poll": ("HTTP_1_1", 200),
        "get": ("HTTP_1_1", 404),
        "websocket": ("", None),
    }
    assert java_desktop["stats"][2] == {"statusCode": 0, "referenceId": 2}
    for step in ("handshake", "subscribe", "connect", "websocket"):
        message = java_desktop[step][2]
        assert isinstance(message, list)
        assert isinstance(message[0], dict)
        assert message[0]["successful"] is True
    notification = json.dumps(java_desktop["poll"][2])
    assert "WorkbinStatsMessage" in notification
