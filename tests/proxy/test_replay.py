"""The replay addon in a real mitmproxy: a client gets its replies and notifications, and no server is there.

A test waits for what happens (a reply, a line in the log), never for a time.
"""

from __future__ import annotations

import json
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.proxy.conftest import PATIENCE, Application, Desktop, Proxy

REVERSE = ("--mode", "reverse:http://unused")
PUSHED = {"channel": "/v2/me/workbins", "data": {"messageType": "WorkbinStatsMessage", "referenceId": 67}}
SCENARIO = """\
cometreel: 1
title: a workbin desktop
bayeux:
  endpoint: /api/v2/notifications
  advice: {timeout: 60000, interval: 0}
  max_interval: 60s
correlation: gws-v2
exchanges:
  - name: stats of place Place1
    request:
      method: POST
      path: /api/v2/workbins
      body: {operationName: RequestAgentStats, workbinType: Place, workbinOwner: Place1}
    reply:
      status: 200
      body: {statusCode: 0, referenceId: 67}
    events:
      - after: 100ms
        channel: /v2/me/workbins
        data: {messageType: WorkbinStatsMessage, referenceId: 67}
  - name: my workbins
    request: {method: GET, path: /api/v2/me/workbins}
    reply: {status: 200, body: {statusCode: 0, workbins: []}}
  - name: a slow one
    request: {method: GET, path: /api/v2/slow}
    reply: {after: 60s, status: 200, body: {statusCode: 0}}
  - name: a broken one
    request: {method: GET, path: /api/v2/broken}
    reply: {status: 200, body: {statusCode: 0}}
faults:
  - {exchange: a broken one, broken: true}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "desktop.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture
def replay(start: Callable[..., Proxy], scenario: Path) -> Callable[..., Proxy]:
    """Start mitmdump with the replay addon: `replay("--mode", "regular", reel_speed=0)`."""

    def run(*arguments: str, program: str = "mitmdump", **settings: object) -> Proxy:
        given = {"reel_scenario": scenario, **settings}
        return start(program, *(arguments or REVERSE), script="replay.py", **given)

    return run


class Offering(ssl.SSLContext):
    """A client's TLS that trusts everybody and offers one HTTP version."""

    offer = "h2"

    def set_alpn_protocols(self, _: object) -> None:
        super().set_alpn_protocols([self.offer])


def trusting(offer: str = "h2") -> ssl.SSLContext:
    context = Offering(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode, context.offer = False, ssl.CERT_NONE, offer
    context.set_alpn_protocols([offer])
    return context


@pytest.mark.parametrize(
    ("mode", "url", "version"),
    [
        ("reverse:http://unused", "http", "HTTP/1.1"),
        ("reverse:http://unused", "https", "HTTP/1.1"),
        ("reverse:http://unused", "https", "HTTP/2"),
        ("reverse:https://unused", "https", "HTTP/2"),
        ("regular", "http", "HTTP/1.1"),
        ("regular", "https", "HTTP/1.1"),
        ("regular", "https", "HTTP/2"),
    ],
)
def test_the_notification_arrives_on_the_held_poll(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop], mode: str, url: str, version: str
) -> None:
    proxy = replay("--mode", mode)
    regular = mode == "regular"
    target = f"{url}://gws.invalid" if regular else f"{url}://127.0.0.1:{proxy.port}"
    client = desktop(
        target,
        http2=version == "HTTP/2",
        verify=trusting("h2" if version == "HTTP/2" else "http/1.1"),
        **({"proxy": proxy.url} if regular else {}),
    )
    client.log_in()
    client.poll()
    sent = threading.Event()
    with ThreadPoolExecutor() as pool:
        held = pool.submit(client.poll, extensions=telling(sent))
        assert sent.wait(PATIENCE)
        assert client.ask("Place1") == {"statusCode": 0, "referenceId": 67}
        pushed, connected = held.result(PATIENCE)
    assert pushed == PUSHED
    assert (connected["channel"], connected["successful"]) == ("/meta/connect", True)
    assert client.http.get("/api/v2/me/workbins").http_version == version


def telling(sent: threading.Event) -> dict[str, Any]:
    """Have httpx tell when a request was sent: it may give two that begin at once the same stream of HTTP/2."""

    def trace(step: str, _facts: object) -> None:
        if step.endswith("send_request_body.complete"):
            sent.set()

    return {"trace": trace}


def test_it_works_in_mitmweb(replay: Callable[..., Proxy], desktop: Callable[..., Desktop]) -> None:
    proxy = replay(*REVERSE, program="mitmweb", web_open_browser="false", web_port=0)
    assert desktop(proxy.url).http.get("/api/v2/me/workbins").json() == {"statusCode": 0, "workbins": []}


def test_a_hundred_polls_are_held_while_others_are_answered(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop]
) -> None:
    proxy = replay()
    clients = [desktop(proxy.url) for _ in range(100)]
    with ThreadPoolExecutor(100) as pool:
        list(pool.map(Desktop.log_in, clients))
        list(pool.map(Desktop.poll, clients))
        held = [pool.submit(client.poll) for client in clients[1:]]
        clients[0].ask("Place1")
        assert clients[0].poll()[0] == PUSHED
        assert not any(poll.done() for poll in held)
        proxy.stop()
        assert all(poll.result(PATIENCE)[-1]["channel"] == "/meta/connect" for poll in held)


def send_and_leave(proxy: Proxy, request: httpx.Request) -> socket.socket:
    """Send a request without reading its reply."""
    client = socket.create_connection(("127.0.0.1", proxy.port))
    fields = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    client.sendall(f"{request.method} {request.url.path} HTTP/1.1\r\n{fields}\r\n".encode() + request.read())
    return client


def poll_request(client: Desktop) -> httpx.Request:
    message = client.complete({"channel": "/meta/connect", "connectionType": "long-polling"})
    return client.http.build_request("POST", "/api/v2/notifications", json=[message])


def test_a_notification_after_a_disconnect_is_delivered_with_the_next_poll(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop]
) -> None:
    proxy = replay()
    client = desktop(proxy.url)
    client.log_in()
    client.poll()
    left = send_and_leave(proxy, poll_request(client))
    port = left.getsockname()[1]
    proxy.says(f"127.0.0.1:{port}] client connect")
    left.close()
    proxy.says(f"127.0.0.1:{port}] client disconnect")
    client.ask("Place1")
    assert client.poll()[0] == PUSHED


SLOW = """\
import asyncio, pathlib

async def response(flow):
    while pathlib.Path("held back").exists() and flow.request.path.endswith("notifications"):
        await asyncio.sleep(0.01)
"""


def test_a_reply_that_another_addon_delays_until_the_client_disconnects_is_not_delivered(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop], tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    proxy = replay(*REVERSE, "-s", "slow.py", reel_speed=0)
    client = desktop(proxy.url)
    client.log_in()
    client.poll()
    client.ask("Place1")
    (tmp_path / "held back").touch()
    left = send_and_leave(proxy, poll_request(client))
    port = left.getsockname()[1]
    proxy.says(f"127.0.0.1:{port}] client connect")
    left.close()
    proxy.says(f"127.0.0.1:{port}] client disconnect")
    (tmp_path / "held back").unlink()
    assert client.poll()[0] == PUSHED


def test_messages_of_a_reset_http2_stream_are_delivered_with_the_next_poll(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop]
) -> None:
    proxy = replay()
    client = desktop(f"https://127.0.0.1:{proxy.port}", verify=trusting(), http2=True)
    client.log_in()
    client.poll()
    request = poll_request(client)
    with trusting().wrap_socket(socket.create_connection(("127.0.0.1", proxy.port))) as stream:
        stream.settimeout(PATIENCE)
        http2 = h2.connection.H2Connection(h2.config.H2Configuration())
        http2.initiate_connection()
        fields = {":method": "POST", ":path": request.url.path, ":scheme": "https", ":authority": "127.0.0.1"}
        fields |= {name: value for name, value in request.headers.items() if name in ("cookie", "content-type")}
        http2.send_headers(1, list(fields.items()))
        http2.send_data(1, request.read(), end_stream=True)
        http2.ping(b"received")
        exchange_until(h2.events.PingAckReceived, http2, stream)
        http2.reset_stream(1)
        http2.ping(b"received")
        exchange_until(h2.events.PingAckReceived, http2, stream)
        client.ask("Place1")
        assert client.poll()[0] == PUSHED
        fields |= {":method": "GET", ":path": "/api/v2/me/workbins"}
        http2.send_headers(3, list(fields.items()), end_stream=True)
        exchange_until(h2.events.DataReceived, http2, stream)


def exchange_until(event: type, http2: h2.connection.H2Connection, stream: ssl.SSLSocket) -> None:
    """Send what is to be sent, and receive until a certain event came."""
    stream.sendall(http2.data_to_send())
    while received := stream.recv(65536):
        if any(isinstance(seen, event) for seen in http2.receive_data(received)):
            return
    raise AssertionError("the connection was closed")


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_a_dropped_connection_gets_no_reply(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop], version: str
) -> None:
    proxy = replay()
    http2 = version == "HTTP/2"
    client = desktop(f"https://127.0.0.1:{proxy.port}", verify=trusting("h2" if http2 else "http/1.1"), http2=http2)
    with pytest.raises(httpx.RemoteProtocolError):
        client.http.get("/api/v2/broken")
    assert client.http.get("/api/v2/me/workbins").status_code == 200


@pytest.mark.parametrize("mode", ["reverse", "regular"])
def test_no_request_reaches_a_server(
    replay: Callable[..., Proxy], application: Application, desktop: Callable[..., Desktop], mode: str
) -> None:
    proxy = replay("--mode", f"reverse:{application.url}" if mode == "reverse" else mode)
    client = desktop(proxy.url) if mode == "reverse" else desktop(application.url, proxy=proxy.url)
    assert client.http.get("/api/v2/unknown").status_code == 404
    assert client.http.post("/api/v2/workbins", json={"operationName": "Other"}).status_code == 404
    assert client.http.get("/api/v2/unknown", headers={"Upgrade": "h2c"}).status_code == 404
    assert application.seen == []
    assert "stats of place Place1" in proxy.output()


def test_bytes_that_are_not_http_reach_no_server(replay: Callable[..., Proxy], application: Application) -> None:
    proxy = replay("--mode", "regular")
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.settimeout(PATIENCE)
        client.sendall(f"CONNECT 127.0.0.1:{application.server_address[1]} HTTP/1.1\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        client.sendall(b"SSH-2.0-OpenSSH\r\n")
        assert client.recv(1000) == b""
    proxy.says("a replay contacts no server")
    assert application.seen == []


def test_forward_sends_only_unmatched_get_requests(
    replay: Callable[..., Proxy], application: Application, desktop: Callable[..., Desktop]
) -> None:
    proxy = replay("--mode", f"reverse:{application.url}", reel_unmatched="forward")
    client = desktop(proxy.url).http
    assert client.get("/api/v2/version?x=1").json() == {"statusCode": 0, "path": "/api/v2/version"}
    assert client.get("/api/v2/me/workbins").json() == {"statusCode": 0, "workbins": []}
    assert client.post("/api/v2/version").status_code == 404
    assert application.seen == ["GET /api/v2/version?x=1"]


def test_a_forward_to_a_server_that_is_down_gets_502_and_the_replay_continues(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    proxy = replay("--mode", f"reverse:http://127.0.0.1:{port}", reel_unmatched="forward")
    client = desktop(proxy.url).http
    assert client.get("/api/v2/version").status_code == 502
    assert client.get("/api/v2/me/workbins").status_code == 200
    assert "Traceback" not in proxy.output()


def test_bayeux_over_a_websocket(replay: Callable[..., Proxy], desktop: Callable[..., Desktop]) -> None:
    proxy = replay()
    client = desktop(proxy.url)
    client.http.get("/api/v2/me/workbins")
    cookies = "; ".join(f"{name}={value}" for name, value in client.http.cookies.items())
    url = f"ws://127.0.0.1:{proxy.port}/api/v2/notifications"
    with connect(url, additional_headers={"Cookie": cookies}, proxy=None) as socket_:

        def say(**message: Any) -> None:
            socket_.send(json.dumps([client.complete(message)]))

        def hear() -> list[dict[str, Any]]:
            heard: list[dict[str, Any]] = json.loads(socket_.recv(PATIENCE))
            return heard

        say(channel="/meta/handshake", version="1.0", supportedConnectionTypes=["websocket"])
        (shaken,) = hear()
        client.client_id = shaken["clientId"]
        say(channel="/meta/subscribe", subscription="/v2/me/workbins")
        assert hear()[0]["successful"]
        say(channel="/meta/connect", connectionType="websocket", advice={"timeout": 0})
        assert hear()[0]["successful"]
        say(channel="/meta/connect", connectionType="websocket")
        client.ask("Place1")
        heard = hear()
        assert heard[0] == PUSHED


def test_an_edit_is_loaded_and_an_invalid_one_is_reported(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop], scenario: Path
) -> None:
    proxy = replay()
    client = desktop(proxy.url)
    client.log_in()
    client.poll()
    scenario.write_text(SCENARIO.replace("workbins: []", "workbins: [new]"))
    proxy.says("The scenario was edited")
    assert client.http.get("/api/v2/me/workbins").json() == {"statusCode": 0, "workbins": ["new"]}
    scenario.write_text(SCENARIO.replace("title:", "titel:"))
    log = proxy.says("The previous scenario stays active.")
    assert f"{scenario}:2:1: " in log
    assert client.http.get("/api/v2/me/workbins").json() == {"statusCode": 0, "workbins": ["new"]}
    client.ask("Place1")
    assert client.poll()[0] == PUSHED
    assert "Traceback" not in proxy.output()


def test_responders_are_called_before_the_scenario(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop], tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from cometreel.engine import Response\n"
        "def version(request):\n"
        "    if request.path.endswith('version'):\n"
        "        return Response({'version': 8})\n"
        "responders = [version]\n"
    )
    client = desktop(replay(reel_responders=file).url).http
    assert client.get("/api/v2/version").json() == {"version": 8}
    assert client.get("/api/v2/me/workbins").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_answers_held_requests(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop], number: signal.Signals
) -> None:
    proxy = replay()
    client, idle = desktop(proxy.url), desktop(proxy.url)
    client.log_in()
    client.poll()
    url = f"ws://127.0.0.1:{proxy.port}/api/v2/notifications"
    with connect(url, proxy=None) as chat:
        held = send_and_leave(proxy, poll_request(client))
        slow = send_and_leave(proxy, client.http.build_request("GET", "/api/v2/slow"))
        for _ in range(3):  # all of that was sent before, and is received before the last of these
            idle.http.get("/api/v2/me/workbins")
        proxy.process.send_signal(number)
        head, _, body = received(held).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert [message["channel"] for message in json.loads(body)] == ["/meta/connect"]
        assert received(slow).endswith(b'{"statusCode":0}')
        with pytest.raises(ConnectionClosed, match="1001"):
            chat.recv(PATIENCE)
    assert "Traceback" not in proxy.stop()
    assert proxy.process.returncode == 0


def received(client: socket.socket) -> bytes:
    """Everything that comes until the connection is closed."""
    client.settimeout(PATIENCE)
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))
