"""Bayeux over WebSocket through the record addon: frames are forwarded unchanged, and recorded if they are CometD."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import Server, ServerConnection, serve

HANDSHAKE = [{"channel": "/meta/handshake", "id": "1", "version": "1.0", "supportedConnectionTypes": ["websocket"]}]
HANDSHAKE_REPLY = [{"channel": "/meta/handshake", "id": "1", "clientId": "secret0", "successful": True}]
EVENT = [{"channel": "/v2/me/workbins", "data": {"messageType": "WorkbinStatsMessage", "referenceId": 66}}]


def serve_cometd(connection: ServerConnection) -> None:
    """Answer a handshake and push a notification; echo everything else; `break` breaks the connection."""
    for frame in connection:
        if frame == "break":
            connection.socket.close()
            return
        if isinstance(frame, str) and "/meta/handshake" in frame:
            connection.send(json.dumps(HANDSHAKE_REPLY))
            connection.send(json.dumps(EVENT))
        else:
            connection.send(frame)


@pytest.fixture
def upstream() -> Iterator[Server]:
    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(403, "no") if request.path == "/refused" else None

    with serve(serve_cometd, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def record(start: Any, upstream: Server, tmp_path: Path) -> Callable[..., Any]:
    """Start mitmdump with the record addon before the WebSocket server."""
    mode = f"reverse:http://127.0.0.1:{upstream.socket.getsockname()[1]}"
    return partial(start, "mitmdump", "--mode", mode, script="record.py", reel_out=tmp_path / "a.jsonl")


@pytest.fixture
def proxy(record: Callable[..., Any]) -> Any:
    return record()


def transcript(journal: Path) -> list[str]:
    """Return a line for each event of a journal."""
    lines = []
    for line in journal.read_text().splitlines()[1:]:
        event = json.loads(line)
        head = [event["kind"], *(str(event[key]) for key in ("path", "from", "status") if key in event)]
        lines.append(" ".join([*head, *(message["channel"] for message in event.get("bayeux", []))]))
    return lines


def test_a_cometd_session(proxy: Any, tmp_path: Path) -> None:
    journal = tmp_path / "a.jsonl"
    with connect(proxy.url.replace("http", "ws") + "/cometd", proxy=None) as client:
        client.send(json.dumps(HANDSHAKE))
        assert [json.loads(client.recv()) for _ in range(2)] == [HANDSHAKE_REPLY, EVENT]
        assert transcript(journal) == [
            "open /cometd",
            "frame client /meta/handshake",
            "frame server /meta/handshake",
            "frame server /v2/me/workbins",
        ]
    log = proxy.stop()
    assert transcript(journal)[4:] == ["close 1000"]
    assert "secret0" not in journal.read_text() + log
    assert f"scenario in {tmp_path / 'a.yaml'}" in log


def test_a_connection_that_breaks_is_closed_with_1006(proxy: Any, tmp_path: Path, eventually: Any) -> None:
    with connect(proxy.url.replace("http", "ws") + "/cometd", proxy=None) as client:
        client.send(json.dumps(HANDSHAKE))
        client.recv()
        client.recv()
        client.send("break")
        with pytest.raises(ConnectionClosed):
            client.recv()
    eventually(lambda: "close" in transcript(tmp_path / "a.jsonl")[-1], "the end of the connection")
    assert transcript(tmp_path / "a.jsonl")[-1] == "close 1006"


def test_a_websocket_without_cometd_is_not_recorded(record: Callable[..., Any], tmp_path: Path) -> None:
    """Frames of text and of bytes, small and large; with a filter that doesn't want them, only their end is noted."""
    proxy = record(reel_filter="~u none")
    with connect(proxy.url.replace("http", "ws") + "/other", proxy=None) as client:
        for frame in ("hello", b"\x00\xff", json.dumps({"a": 1}), "x" * 100_000):
            client.send(frame)
            assert client.recv() == frame
    log = proxy.stop()
    assert transcript(tmp_path / "a.jsonl") == ["unwanted"]
    assert "left out: a WebSocket without CometD messages\n" in log


def test_a_rejected_upgrade_is_recorded_as_an_http_call(proxy: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidStatus, match="403"), connect(proxy.url.replace("http", "ws") + "/refused", proxy=None):
        pass
    assert transcript(tmp_path / "a.jsonl") == ["request /refused", "reply 403"]
