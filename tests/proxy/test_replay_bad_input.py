"""Invalid requests get the right status and one clear line, and don't affect other clients."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.proxy.conftest import PATIENCE, Desktop, Proxy

SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /api/v2/notifications}
exchanges:
  - name: my workbins
    request: {method: GET, path: /api/v2/me/workbins}
    reply: {status: 200, body: {statusCode: 0, workbins: []}}
  - name: stats
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats}}
    reply: {status: 200, body: {statusCode: 0, referenceId: 67}}
"""


@pytest.fixture
def proxy(start: Callable[..., Proxy], tmp_path: Path) -> Iterator[Proxy]:
    """A replay that must still answer after each test, with nothing in its log."""
    file = tmp_path / "a.yaml"
    file.write_text(SCENARIO)
    proxy = start("mitmdump", "--mode", "reverse:http://unused", script="replay.py", reel_scenario=file)
    yield proxy
    assert httpx.get(f"{proxy.url}/api/v2/me/workbins", trust_env=False).json() == {"statusCode": 0, "workbins": []}
    assert "Traceback" not in proxy.stop()
    assert proxy.process.returncode == 0


ENDPOINT = "/api/v2/notifications"
DEEP = b"[" * 100_000


def test_each_bad_request_gets_the_right_status(proxy: Proxy, desktop: Callable[..., Desktop]) -> None:
    """All requests go to one process: a bad request must not affect the next one."""
    client = desktop(proxy.url).http
    table = [
        ("POST", ENDPOINT, b'[{"channel":"/meta/hand', 400),
        ("POST", ENDPOINT, b"", 200),
        ("POST", ENDPOINT, DEEP, 400),
        ("POST", ENDPOINT, b"\xff\xfe[]", 400),
        ("POST", "/api/v2/workbins", b'{"operationName":"RequestAg', 404),
        ("POST", "/api/v2/workbins", DEEP, 404),
        ("POST", "/api/v2/workbins", b"\xff\xfe\x00", 404),
        ("GET", "/api/v2/nowhere", b"", 404),
        ("DELETE", "/api/v2/me/workbins", b"", 405),
        ("GET", "/%ff%2e%2e//?%zz&&=", b"", 404),
    ]
    got = [client.request(method, path, content=body).status_code for method, path, body, _ in table]
    assert got == [status for *_, status in table]
    assert client.head("/api/v2/nowhere").content == b""


def test_an_unmatched_request_gets_an_error_in_the_format_of_gws_with_the_nearest_exchange(
    proxy: Proxy, desktop: Callable[..., Desktop]
) -> None:
    reply = desktop(proxy.url).http.post("/api/v2/workbins", json={"operationName": "RequestAgentStat"})
    assert reply.status_code == 404
    assert reply.json()["statusCode"] == 6
    assert "stats" in reply.json()["statusMessage"]
    proxy.await_log("RequestAgentStat")


def test_a_body_that_can_not_be_decoded_gets_400(proxy: Proxy, desktop: Callable[..., Desktop]) -> None:
    client = desktop(proxy.url).http
    for encoding in ("gzip", "br", "deflate", "zstd"):
        reply = client.post("/api/v2/workbins", content=b"{}", headers={"Content-Encoding": encoding})
        assert (encoding, reply.status_code) == (encoding, 400)
        assert "Content-Encoding" in reply.json()["statusMessage"]


@pytest.mark.parametrize("path", ["/api/v2/workbins", ENDPOINT])
def test_a_huge_body_gets_413(proxy: Proxy, path: str) -> None:
    """20 MB are refused by the engine, 40 MB by mitmproxy, which doesn't even read them."""
    for megabytes in (20, 40):
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.settimeout(PATIENCE)
            length = megabytes * 1_000_000
            client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
            if megabytes == 20:
                client.sendall(b" " * length)
            assert client.recv(12) == b"HTTP/1.1 413"


def test_invalid_http_gets_400_or_a_closed_connection(proxy: Proxy) -> None:
    for sent in (b"\x00\x01\x02\r\n\r\n", b"GET /\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.settimeout(PATIENCE)
            client.sendall(sent)
            assert client.recv(12) in (b"HTTP/1.1 400", b""), sent


def test_an_incomplete_request_is_dropped_with_its_connection(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        port = client.getsockname()[1]
        proxy.await_log(f"127.0.0.1:{port}] client connect")
    proxy.await_log(f"127.0.0.1:{port}] client disconnect")


def test_an_invalid_cookie_creates_a_new_session(proxy: Proxy) -> None:
    for cookie in ("JSESSIONID=", "JSESSIONID=../..", "=; ;;;", "BAYEUX_BROWSER=" + "x" * 5000, "é"):
        fields = [(b"Cookie", cookie.encode("latin-1"))]
        reply = httpx.get(f"{proxy.url}/api/v2/me/workbins", headers=fields, trust_env=False)
        assert (cookie, reply.status_code) == (cookie, 200)
        assert "JSESSIONID=" in reply.headers["set-cookie"]


def test_an_incomplete_websocket_upgrade_is_rejected(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.settimeout(PATIENCE)
        client.sendall(f"GET {ENDPOINT} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n".encode())
        assert client.recv(12) == b"HTTP/1.1 426"


def test_invalid_messages_are_answered_like_the_real_server_does(proxy: Proxy, desktop: Callable[..., Desktop]) -> None:
    client = desktop(proxy.url).http
    reply = client.post(ENDPOINT, content=json.dumps([{"channel": "/meta/connect", "clientId": "made up"}]))
    assert reply.json()[0]["error"].startswith("402:")
