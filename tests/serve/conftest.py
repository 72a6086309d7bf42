"""Fixtures of the server tests: servers in this process, and small clients."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from typing import Any, cast

import httpx
import pytest

from cometreel.engine import ReplaySettings
from cometreel.scenario import loads
from cometreel.serve import BackgroundServer, ListenOptions, ReplayApp, replay_app, serve_in_background
from tests.serve.memory_transport import EmbeddedApp

PATIENCE = 30.0  # seconds until a test fails because an expected event did not happen

SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /api/v2/notifications}
correlation: gws-v2
exchanges:
  - name: stats of place Place1
    request:
      method: POST
      path: /api/v2/workbins
      body: {operationName: RequestAgentStats, workbinType: Place, workbinOwner: Place1}
    reply: {body: {statusCode: 0, referenceId: 67}}
    events:
      - channel: /v2/me/workbins
        data: {messageType: WorkbinStatsMessage, referenceId: 67, workbinStats: {}}
  - name: a slow answer
    request: {method: GET, path: /api/v2/slow}
    reply: {after: 1h, body: {statusCode: 0}}
  - name: a page
    request: {method: GET, path: /api/v2/page}
    reply: {headers: {Content-Type: text/plain}, text: "a page"}
  - name: nothing
    request: {method: GET, path: /api/v2/nothing}
    reply: {status: 204}
"""
GIVES_UP = """
cometreel: 1
exchanges:
  - name: note
    request: {method: POST, path: /note}
    events: [{channel: /news, data: 1, deliver: subscribers}]
"""
ASKED = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place1"}

Serve = Callable[..., BackgroundServer[ReplayApp]]


def until(happened: Callable[[], Any], what: str) -> Any:
    """Wait until a condition is true, and return its value; fail the test after a timeout."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := happened():
            return found
        time.sleep(0.005)
    raise AssertionError(f"never happened: {what}")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve scenarios in this process: `serve(SCENARIO, speed=0)`; all stop with the test."""
    with ExitStack() as stack:

        def start(
            text: str = SCENARIO, listening: ListenOptions | None = None, *, direct: bool = True, **settings: Any
        ) -> BackgroundServer[ReplayApp]:
            @asynccontextmanager
            async def factory() -> AsyncIterator[ReplayApp]:
                async with replay_app(loads(text), ReplaySettings().under(settings))() as app:
                    yield app if direct else cast("ReplayApp", EmbeddedApp(app))

            return stack.enter_context(serve_in_background(factory, listening))

        yield start


@pytest.fixture
def http() -> Iterator[Callable[..., httpx.Client]]:
    """Make HTTP clients: `http(served.url)`."""
    with ExitStack() as stack:

        def make(url: str, **extra: Any) -> httpx.Client:
            return stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False, **extra))

        yield make


@pytest.fixture
def dial() -> Iterator[Callable[[str], socket.socket]]:
    """Open plain connections: `dial(served.url).sendall(b"…")`."""
    with ExitStack() as stack:

        def connect(url: str) -> socket.socket:
            host, _, port = url.removeprefix("http://").rpartition(":")
            return stack.enter_context(closing(socket.create_connection((host, int(port)), PATIENCE)))

        yield connect


def calls(served: BackgroundServer[ReplayApp]) -> list[tuple[str, str]]:
    """Return the calls of a server with their exchanges or outcomes."""
    found = served.call(lambda: served.backend.calls)
    return [(f"{call.method} {call.target}", call.exchange or call.outcome) for call in found]


class Desktop:
    """A CometD client that polls when the test calls `poll`."""

    def __init__(self, http: httpx.Client) -> None:
        self.http, self.client_id = http, ""

    def bayeux(self, **message: Any) -> list[dict[str, Any]]:
        reply = self.http.post("/api/v2/notifications", json=[{**message, **self._named()}])
        assert reply.status_code == 200, reply.text
        answer: list[dict[str, Any]] = reply.json()
        self.client_id = answer[-1].get("clientId", self.client_id)
        return answer

    def handshakes(self) -> Desktop:
        self.bayeux(channel="/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"])
        self.bayeux(channel="/meta/connect", connectionType="long-polling", advice={"timeout": 0})
        return self

    def poll(self) -> list[dict[str, Any]]:
        return self.bayeux(channel="/meta/connect", connectionType="long-polling")

    def poll_bytes(self) -> bytes:
        """The next poll as bytes, for a plain connection."""
        body = (
            b'[{"channel":"/meta/connect","connectionType":"long-polling","clientId":"%b"}]' % self.client_id.encode()
        )
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        head = f"POST /api/v2/notifications HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n"
        return head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def _named(self) -> dict[str, str]:
        return {"clientId": self.client_id} if self.client_id else {}
