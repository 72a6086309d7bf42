"""WebSockets without cookies: the same session through `cometreel serve`, mitmdump with the addon, and plain ASGI."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Scope
from websockets.sync.client import ClientConnection, connect

from cometreel.jsonvalue import JSONObject
from cometreel.scenario import loads
from cometreel.serve import replay_app
from tests.serve.conftest import ASKED, SCENARIO
from tests.serve.test_both_servers import proxied, served

NO_COOKIE = SCENARIO + "session: {cookie: none}\n"
CHAT = f"""{SCENARIO}  - name: say
    request: {{publish: /service/chat, data: hi}}
    events: [{{after: 50ms, channel: /service/chat, data: heard}}]
"""
HANDSHAKE: JSONObject = {
    "channel": "/meta/handshake",
    "version": "1.0",
    "supportedConnectionTypes": ["websocket"],
}
CONNECT: JSONObject = {"channel": "/meta/connect", "connectionType": "websocket"}


@pytest.fixture(scope="module")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate authority for all proxies of this suite: creating one takes a second."""
    return tmp_path_factory.mktemp("mitmproxy")


class SocketClient:
    """A CometD client on a WebSocket that was opened without cookies."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.client_id = ""

    def says(self, message: JSONObject) -> JSONObject:
        named: JSONObject = {"clientId": self.client_id} if self.client_id else {}
        self._socket.send(json.dumps([{**message, **named}]))
        return self.hears()

    def hears(self) -> JSONObject:
        (message,) = json.loads(self._socket.recv(30))
        assert isinstance(message, dict)
        self.client_id = self.client_id or str(message.get("clientId", ""))
        return message


def conversation(url: str) -> list[object]:
    """Handshake and subscribe on a WebSocket without cookies, and send a request without cookies."""
    with connect(url.replace("http", "ws") + "/api/v2/notifications", proxy=None) as socket:
        client = SocketClient(socket)
        results: list[object] = [client.says(HANDSHAKE)["successful"]]
        results.append(client.says({"channel": "/meta/subscribe", "subscription": "/v2/me/*"})["successful"])
        results.append(client.says({**CONNECT, "advice": {"timeout": 0}})["successful"])
        results.append(httpx.post(f"{url}/api/v2/workbins", json=ASKED, trust_env=False).json())
        results.append(client.hears()["channel"])
    return results


EXPECTED = [True, True, True, {"statusCode": 0, "referenceId": 67}, "/v2/me/workbins"]


def test_serve_gives_a_websocket_without_cookies_a_session(tmp_path: Path):
    file = tmp_path / "scenario.yaml"
    file.write_text(NO_COOKIE)
    with served(file, tmp_path) as url:
        assert conversation(url) == EXPECTED


def test_mitmdump_gives_a_websocket_without_cookies_a_session(tmp_path: Path, confdir: Path):
    file = tmp_path / "scenario.yaml"
    file.write_text(NO_COOKIE)
    with proxied(file, tmp_path, confdir) as url:
        assert conversation(url) == EXPECTED


async def test_an_asgi_server_gives_a_websocket_without_cookies_a_session():
    async with replay_app(loads(NO_COOKIE))() as app:
        received: asyncio.Queue[Message] = asyncio.Queue()
        sent: asyncio.Queue[Message] = asyncio.Queue()
        task = asyncio.create_task(app(_upgrade(), received.get, sent.put))
        await received.put({"type": "websocket.connect"})
        assert (await sent.get())["type"] == "websocket.accept"
        await received.put({"type": "websocket.receive", "text": json.dumps([HANDSHAKE])})
        (reply,) = json.loads((await sent.get())["text"])
        assert reply["successful"] is True
        await received.put({"type": "websocket.disconnect", "code": 1000})
        await task


def _upgrade() -> Scope:
    return {
        "type": "websocket",
        "scheme": "ws",
        "path": "/api/v2/notifications",
        "raw_path": b"/api/v2/notifications",
        "query_string": b"",
        "headers": [(b"host", b"replay:1")],
        "server": ("replay", 1),
        "subprotocols": [],
    }


def test_a_publish_on_a_websocket_belongs_to_the_session_of_a_handshake_over_http(serve: Any):
    """The WebSocket is opened before the handshake, and without its cookies."""
    url = serve(CHAT).url
    with (
        connect(url.replace("http", "ws") + "/api/v2/notifications", proxy=None) as socket,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        handshake = {**HANDSHAKE, "supportedConnectionTypes": ["long-polling", "websocket"]}
        (reply,) = http.post("/api/v2/notifications", json=[handshake]).json()
        client = SocketClient(socket)
        client.client_id = reply["clientId"]
        subscribed: JSONObject = {"channel": "/meta/subscribe", "subscription": "/service/chat"}
        assert client.says({**CONNECT, "advice": {"timeout": 0}})["successful"] is True
        assert client.says(subscribed)["successful"] is True
        assert client.says({"channel": "/service/chat", "data": "hi"})["successful"] is True
        assert client.hears()["data"] == "heard"
