"""The replay addon in a real mitmproxy: a client gets its replies and notifications without a server.

Tests wait for an event, such as a reply or a log line, never for a time.
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
  - name: slow
    request: {method: GET, path: /api/v2/slow}
    reply: {after: 60s, status: 200, body: {statusCode: 0}}
  - name: broken
    request: {method: GET, path: /api/v2/broken}
    reply: {status: 200, body: {statusCode: 0}}
faults:
  - {exchange: broken, broken: true}
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


class InsecureContext(ssl.SSLContext):
    """A TLS context of a client that accepts any certificate and offers one HTTP version."""

    offer = "h2"

    def set_alpn_protocols(self, _: object) -> None:
        super().set_alpn_protocols([self.offer])


def insecure_context(offer: str = "h2") -> ssl.SSLContext:
    context = InsecureContext(ssl.PROTOCOL_TLS_CLIENT)
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
        verify=insecure_context("h2" if version == "HTTP/2" else "http/1.1"),
        **({"proxy": proxy.url} if regular else {}),
    )
    client.log_in()
    client.poll()
    sent = threading.Event()
    with ThreadPoolExecutor() as pool:
        held = pool.submit(client.poll, extensions=set_when_sent(sent))
        assert sent.wait(PATIENCE)
        assert client.request_stats("Place1") == {"statusCode": 0, "referenceId": 67}
        pushed, connected = held.result(PATIENCE)
    assert pushed == PUSHED
    assert (connected["channel"], connected["successful"]) == ("/meta/connect", True)
    assert client.http.get("/api/v2/me/workbins").http_version == version


def set_when_sent(sent: threading.Event) -> dict[str, Any]:
    """Return extensions of httpx that set an event once a request is sent.

    httpx may give two concurrent requests the same HTTP/2 stream.
    """

    def trace(step: str, _facts: object) -> None:
        if step.endswith("send_request_body.complete"):
            sent.set()

    return {"trace": trace}


def test_replay_in_mitmweb(replay: Callable[..., Proxy], desktop: Callable[..., Desktop]) -> None:
    proxy = replay(*REVERSE, program="mitmweb", web_open_browser="false", web_port=0)
    assert desktop(proxy.url).http.get("/api/v2/me/workbins").json() == {"statusCode": 0, "workbins": []}


def test_requests_are_answered_while_a_hundred_polls_are_held(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop]
) -> None:
    proxy = replay()
    clients = [desktop(proxy.url) for _ in range(100)]
    with ThreadPoolExecutor(100) as pool:
        list(pool.map(Desktop.log_in, clients))
        list(pool.map(Desktop.poll, clients))
        held = [pool.submit(client.poll) for client in clients[1:]]
        clients[0].request_stats("Place1")
        assert clients[0].poll()[0] == PUSHED
        assert not any(poll.done() for poll in held)
        proxy.stop()
        assert all(poll.result(PATIENCE)[-1]["channel"] == "/meta/connect" for poll in held)


def send_without_reading(proxy: Proxy, request: httpx.Request) -> socket.socket:
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
    client_socket = send_without_reading(proxy, poll_request(client))
    port = client_socket.getsockname()[1]
    proxy.await_log(f"127.0.0.1:{port}] client connect")
    client_socket.close()
    proxy.await_log(f"127.0.0.1:{port}] client disconnect")
    client.request_stats("Place1")
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
    client.request_stats("Place1")
    (tmp_path / "held back").touch()
    client_socket = send_without_reading(proxy, poll_request(client))
    port = client_socket.getsockname()[1]
    proxy.await_log(f"127.0.0.1:{port}] client connect")
    client_socket.close()
    proxy.await_log(f"127.0.0.1:{port}] client disconnect")
    (tmp_path / "held back").unlink()
    assert client.poll()[0] == PUSHED


def test_messages_of_a_reset_http2_stream_are_delivered_with_the_next_poll(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop]
) -> None:
    proxy = replay()
    client = desktop(f"https://127.0.0.1:{proxy.port}", verify=insecure_context(), http2=True)
    client.log_in()
    client.poll()
    request = poll_request(client)
    with insecure_context().wrap_socket(socket.create_connection(("127.0.0.1", proxy.port))) as stream:
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
        client.request_stats("Place1")
        assert client.poll()[0] == PUSHED
        fields |= {":method": "GET", ":path": "/api/v2/me/workbins"}
        http2.send_headers(3, list(fields.items()), end_stream=True)
        exchange_until(h2.events.DataReceived, http2, stream)


def exchange_until(event: type, http2: h2.connection.H2Connection, stream: ssl.SSLSocket) -> None:
    """Send the pending data, then receive until an event of this type."""
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
    client = desktop(
        f"https://127.0.0.1:{proxy.port}", verify=insecure_context("h2" if http2 else "http/1.1"), http2=http2
    )
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
    proxy.await_log("a replay contacts no server")
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

        def send(**message: Any) -> None:
            socket_.send(json.dumps([client.complete(message)]))

        def receive() -> list[dict[str, Any]]:
            messages: list[dict[str, Any]] = json.loads(socket_.recv(PATIENCE))
            return messages

        send(channel="/meta/handshake", version="1.0", supportedConnectionTypes=["websocket"])
        (reply,) = receive()
        client.client_id = reply["clientId"]
        send(channel="/meta/subscribe", subscription="/v2/me/workbins")
        assert receive()[0]["successful"]
        send(channel="/meta/connect", connectionType="websocket", advice={"timeout": 0})
        assert receive()[0]["successful"]
        send(channel="/meta/connect", connectionType="websocket")
        client.request_stats("Place1")
        assert receive()[0] == PUSHED


def test_an_edited_scenario_is_reloaded_and_an_invalid_edit_is_reported(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop], scenario: Path
) -> None:
    proxy = replay()
    client = desktop(proxy.url)
    client.log_in()
    client.poll()
    scenario.write_text(SCENARIO.replace("workbins: []", "workbins: [new]"))
    proxy.await_log("The scenario was edited")
    assert client.http.get("/api/v2/me/workbins").json() == {"statusCode": 0, "workbins": ["new"]}
    scenario.write_text(SCENARIO.replace("title:", "titel:"))
    log = proxy.await_log("The previous scenario stays active.")
    assert f"{scenario}:2:1: " in log
    assert client.http.get("/api/v2/me/workbins").json() == {"statusCode": 0, "workbins": ["new"]}
    client.request_stats("Place1")
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
def test_held_requests_are_answered_when_mitmdump_stops(
    replay: Callable[..., Proxy], desktop: Callable[..., Desktop], number: signal.Signals
) -> None:
    proxy = replay()
    client, idle = desktop(proxy.url), desktop(proxy.url)
    client.log_in()
    client.poll()
    url = f"ws://127.0.0.1:{proxy.port}/api/v2/notifications"
    with connect(url, proxy=None) as chat:
        held = send_without_reading(proxy, poll_request(client))
        slow = send_without_reading(proxy, client.http.build_request("GET", "/api/v2/slow"))
        for _ in range(3):  # the requests above were sent earlier, so they arrive before the last of these
            idle.http.get("/api/v2/me/workbins")
        proxy.process.send_signal(number)
        head, _, body = received(held).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert [message["channel"] for message in json.loads(body)] == ["/meta/connect"]
        assert received(slow).endswith(b'{"statusCode":0}')
        with pytest.raises(ConnectionClosed, match="1001"):
            chat.recv(PATIENCE)
    assert proxy.process.wait(PATIENCE) == 0  # a second signal would kill it after it has removed its handlers
    assert "Traceback" not in proxy.output()


def received(client: socket.socket) -> bytes:
    """Return all data up to the end of the connection."""
    client.settimeout(PATIENCE)
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))
