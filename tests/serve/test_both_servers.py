"""Same scenario, seed and calls give the same bytes from both servers: mitmdump with the addon, and `cometreel serve`.

The requests are those of each shipped file: all its exchanges in order, by one client that polls after each.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

import brotli  # type: ignore[import-untyped]  # it comes without types
import httpx
import pytest
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from demo import peers
from demo.processes import Process
from tests.scenarios.asking import example, read
from tests.serve.conftest import ASKED, SCENARIO

FILES = [*sorted((peers.ROOT / "scenarios").glob("*.yaml")), *sorted((peers.ROOT / "recordings").glob("*.yaml"))]
HOST = "gws.test:8080"
"""The Host that the client sends to both servers, so that URLs in replies are equal."""

Heard: TypeAlias = tuple[str, object]


BY_CHANCE = ("date", "sec-websocket-accept")
"""Fields of an upgrade that depend on the time and the random key of the client."""
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


class Asker:
    """A client that records everything: status, header fields and bytes of each reply, and each notification."""

    def __init__(self, url: str, endpoint: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False, headers={"Host": HOST})
        self.endpoint = endpoint
        self.client_id = ""
        self.heard: list[Heard] = []

    def send(self, what: str, method: str, path: str, **request: Any) -> httpx.Response | None:
        try:
            reply = self.http.request(method, path, **request)
        except httpx.RemoteProtocolError:
            self.heard.append((what, "the connection was cut"))
            return None
        if token := reply.headers.get("X-CSRF-TOKEN"):
            self.http.headers["X-CSRF-TOKEN"] = token
        fields = sorted((name, value) for name, value in reply.headers.multi_items())
        self.heard.append((what, (reply.status_code, fields, reply.content)))
        return reply

    def says(self, **message: Any) -> None:
        """Send one Bayeux message; repeat the handshake if the server asks for it."""
        named = {"clientId": self.client_id} if self.client_id else {}
        reply = self.send(str(message["channel"]), "POST", self.endpoint, json=[{**message, **named}])
        answers = reply.json() if reply is not None and reply.status_code == 200 else []
        for answer in answers:
            if answer["channel"] == "/meta/handshake":
                self.client_id = answer.get("clientId", "")
            elif answer.get("advice", {}).get("reconnect") == "handshake":
                self.client_id = ""

    def polls(self) -> None:
        if not self.client_id:
            self.says(channel="/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"])
        self.says(channel="/meta/connect", connectionType="long-polling", advice={"timeout": 0})

    def asks(self, exchange: dict[str, Any]) -> None:
        request = exchange["request"]
        if "publish" in request:
            self.says(channel=request["publish"], data=example(request.get("data")))
            return
        fields = {} if request.get("authenticated") is False else {"Authorization": "Basic YWdlbnQtMTp4"}
        path, query = example(request["path"]), example(request.get("query") or {})
        target = "/" + "/".join(path) if isinstance(path, list) else path
        body = {"json": example(request["body"])} if "body" in request else {}
        self.send(exchange["name"], request["method"], f"{target}?{urlencode(query)}", headers=fields, **body)


def transcript(url: str, file: Path) -> list[Heard]:
    """Send every request of a file twice, and an unmatched one; return what was received."""
    document = read(str(file))
    asker = Asker(url, document.get("bayeux", {}).get("endpoint", "/cometd"))
    with asker.http:
        asker.polls()
        asker.says(channel="/meta/subscribe", subscription="/**")
        for exchange in document["exchanges"] * 2:
            asker.asks(exchange)
            asker.polls()
        asker.send("a miss", "GET", "/nowhere?a=1", headers={"Authorization": "Basic YWdlbnQtMTp4"})
        asker.send("not JSON", "POST", "/api/v2/workbins", content=b"{", headers={"Content-Type": "application/json"})
        asker.says(channel="/meta/disconnect")
    return asker.heard


@contextmanager
def proxied(file: Path, folder: Path, confdir: Path) -> Iterator[str]:
    """Play a file in mitmdump."""
    options: dict[str, object] = {"reel_scenario": file, "reel_seed": "1", "reel_speed": 0, "confdir": confdir}
    server = peers.mitmdump(folder, "reverse:http://unused.invalid", peers.ADDONS / "replay.py", options)
    with server.process:
        yield server.url


@contextmanager
def served(file: Path, folder: Path) -> Iterator[str]:
    """Replay a file with `cometreel serve`."""
    command: list[str | Path] = [Path(sys.executable).with_name("cometreel"), "serve", file]
    with Process("serve", [*command, "--seed", "1", "--speed", "0"], folder) as process:
        yield process.await_line(r"^(http://127\.0\.0\.1:\d+)$")[1]


@pytest.fixture(scope="module")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate authority for all proxies of this suite: creating one takes a second."""
    return tmp_path_factory.mktemp("mitmproxy")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_both_servers_send_the_same_bytes(file: Path, tmp_path: Path, confdir: Path):
    with proxied(file, tmp_path, confdir) as url:
        through_mitmdump = transcript(url, file)
    with served(file, tmp_path) as url:
        through_serve = transcript(url, file)
    assert through_serve == through_mitmdump
    assert _answered(through_serve) & _asked_for(file)


class Listener:
    """A CometD client on a WebSocket that records the upgrade and every frame, and sends HTTP requests too."""

    def __init__(self, socket: ClientConnection, http: httpx.Client) -> None:
        upgrade = socket.response
        assert upgrade is not None
        fields = sorted((name.lower(), value) for name, value in upgrade.headers.raw_items())
        kept = [field for field in fields if field[0] not in BY_CHANCE]
        self.heard: list[Heard] = [("the upgrade", (upgrade.status_code, kept))]
        self.client_id = ""
        self._socket, self._http = socket, http
        http.headers["Cookie"] = upgrade.headers["Set-Cookie"].partition(";")[0]

    def hears(self) -> None:
        self.heard.append(("a frame", self._socket.recv(30)))

    def says(self, **message: Any) -> None:
        """Send one message, and receive its reply."""
        named = {"clientId": self.client_id} if self.client_id else {}
        self._socket.send(json.dumps([{**message, **named}]))
        self.hears()

    def handshakes(self) -> None:
        self.says(channel="/meta/handshake", version="1.0", supportedConnectionTypes=["websocket"], id="1")
        self.client_id = json.loads(str(self.heard[-1][1]))[0]["clientId"]

    def posts(self, coding: str, packed: Callable[[bytes], bytes]) -> None:
        """Send an HTTP request with a Content-Encoding."""
        fields = {"Content-Type": "application/json", "Content-Encoding": coding}
        reply = self._http.post("/api/v2/workbins", content=packed(json.dumps(ASKED).encode()), headers=fields)
        self.heard.append(
            (f"a POST in {coding}", (reply.status_code, sorted(reply.headers.multi_items()), reply.content))
        )

    def ends(self) -> None:
        """Disconnect, and send a binary message, which closes the WebSocket."""
        self.says(channel="/meta/disconnect", id="9")
        self._socket.send(b"\0")
        with pytest.raises(ConnectionClosed) as closed:
            self._socket.recv(30)
        end = closed.value.rcvd
        self.heard.append(("the end", (end.code, end.reason) if end else None))


def conversation(url: str) -> list[Heard]:
    """Use CometD on a WebSocket: each POST of the session causes a notification, in any Content-Encoding."""
    login = {"Authorization": "Basic YWdlbnQtMTp4"}
    address = url.replace("http", "ws") + "/api/v2/notifications"
    with (
        connect(address, additional_headers=login, subprotocols=[Subprotocol("cometd")], proxy=None) as socket,
        httpx.Client(base_url=url, timeout=30, trust_env=False, headers=login) as http,
    ):
        client = Listener(socket, http)
        client.handshakes()
        client.says(channel="/meta/subscribe", subscription="/v2/me/workbins", id="2")
        client.says(channel="/meta/connect", connectionType="websocket", advice={"timeout": 0}, id="3")
        for coding, packed in PACKED.items():
            client.posts(coding, packed)
            client.hears()
        client.says(channel="/nowhere", data={"n": 1}, id="4")
        client.ends()
    return client.heard


def test_both_servers_send_the_same_on_a_websocket(tmp_path: Path, confdir: Path):
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO)
    with proxied(file, tmp_path, confdir) as url:
        through_mitmdump = conversation(url)
    with served(file, tmp_path) as url:
        through_serve = conversation(url)
    assert through_serve == through_mitmdump
    frames = [str(got) for what, got in through_serve if what == "a frame"]
    assert len([frame for frame in frames if "WorkbinStatsMessage" in frame]) == len(PACKED)


def of_a_page(url: str) -> list[Heard]:
    """Use a replay as a page of another origin: a preflight, a POST, a miss and a handshake."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False, headers={"Origin": "http://page.example"}) as http:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        shakes = [{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["x"]}]
        replies = [
            http.options("/api/v2/workbins", headers=asked),
            http.post("/api/v2/workbins", json=ASKED),
            http.get("/nowhere"),
            http.post("/api/v2/notifications", json=shakes),
        ]
    return [
        (str(reply.request.url.path), (reply.status_code, sorted(reply.headers.multi_items()))) for reply in replies
    ]


def test_both_servers_send_the_same_to_a_page_of_another_origin(tmp_path: Path, confdir: Path):
    file = tmp_path / "scenario.yaml"
    file.write_text("settings: {cors: http://page.example}\n" + SCENARIO)
    with proxied(file, tmp_path, confdir) as url:
        through_mitmdump = of_a_page(url)
    with served(file, tmp_path) as url:
        through_serve = of_a_page(url)
    assert through_serve == through_mitmdump
    assert all("('access-control-allow-origin', 'http://page.example')" in str(got) for _, got in through_serve)


def _answered(heard: list[Heard]) -> set[str]:
    return {what for what, got in heard if isinstance(got, tuple) and got[0] < 400}


def _asked_for(file: Path) -> set[str]:
    exchanges = read(str(file))["exchanges"]
    return {exchange["request"].get("publish", exchange["name"]) for exchange in exchanges}
