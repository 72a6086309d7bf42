"""A server for these tests and a recording proxy in front of it, on threads of this process."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.recording.recording_session import RecordingSession
from cometreel.recording.upstream import Upstream
from cometreel.serve import ListenOptions, serve_in_background
from cometreel.serve.certificate import Certificate
from cometreel.serve.recording_server import unlimited

PATIENCE = 30.0
"""Timeout in seconds; long enough for a busy machine."""


@dataclass
class Server:
    """Answers every request with the same reply; with `hold`, it waits for the disconnect of the client."""

    status: int = 200
    fields: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=lambda: [b"{}"])
    hold: bool = False
    asked: SimpleQueue[dict[str, Any]] = field(default_factory=SimpleQueue)
    left: SimpleQueue[str] = field(default_factory=SimpleQueue)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, message = b"", {"more_body": True}
        while message.get("more_body"):
            message = await receive()  # type: ignore[assignment]  # ASGI's own type is wider
            body += bytes(message.get("body", b""))
        target = scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
        self.asked.put({"method": scope["method"], "target": target, "headers": headers, "body": body})
        if self.hold:
            self.left.put((await receive())["type"])
            return
        fields = [(name.encode(), value.encode()) for name, value in self.fields]
        await send({"type": "http.response.start", "status": self.status, "headers": fields})
        for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@dataclass
class RunningProxy:
    """A recording proxy: its URL, its session, and the observed calls."""

    url: str
    recording: RecordingSession
    calls: list[tuple[str, str, bytes, int | None]]

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the journal, without its header."""
        return [json.loads(line) for line in self.recording.journal.read_text().splitlines()][1:]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events()]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def serve(stack: ExitStack) -> Callable[..., str]:
    """Serve an application until the test ends; return its URL."""

    def start(app: ASGIApp, certificate: Certificate | None = None) -> str:
        @asynccontextmanager
        async def opened() -> AsyncIterator[ASGIApp]:
            yield app

        return stack.enter_context(
            serve_in_background(opened, ListenOptions(certificate=certificate, limits=unlimited()))
        ).url

    return start


@pytest.fixture
def record(stack: ExitStack, tmp_path: Path) -> Callable[[str], RunningProxy]:
    """Start a recording proxy for a URL."""

    def start(url: str) -> RunningProxy:
        recording = RecordingSession(Upstream.at(url), tmp_path / "run.yaml")
        calls: list[tuple[str, str, bytes, int | None]] = []
        served = stack.enter_context(
            serve_in_background(
                recording.proxy_factory(lambda *call: calls.append(call)), ListenOptions(limits=unlimited())
            )
        )
        return RunningProxy(served.url, recording, calls)

    return start


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def recording_proxy(serve: Callable[..., str], record: Callable[[str], RunningProxy], server: Server) -> RunningProxy:
    """A recording proxy in front of `server`."""
    return record(serve(server))


@pytest.fixture
def unreachable() -> Iterator[str]:
    """The URL of a reserved port that accepts no connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[tuple[str, socket.socket]]:
    """The URL of a listening socket that sends no replies."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(PATIENCE)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening
