"""Slow and malformed requests are refused with an error, without an effect on other clients."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.sync.client import connect
from websockets.uri import parse_uri

from cometreel.engine import Control
from cometreel.serve import Limits, ListenOptions
from cometreel.serve.http_server import RESERVED_FILES, connections_allowed
from tests.serve.admin_client import TOKEN, administered
from tests.serve.conftest import ASKED, SCENARIO, Desktop, Serve, calls, until

Http = Callable[..., httpx.Client]
Dial = Callable[[str], socket.socket]

IMPATIENT = ListenOptions(limits=Limits(1000, request_seconds=0.3, write_seconds=0.3))


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Read a connection to its end; return the status and the body of its only response."""
    connection.settimeout(30)
    received = b""
    while piece := connection.recv(65536):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "begun",
    [
        b"P",
        b"POST /api/v2/workbins HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["in the first word", "in the head", "in the body"],
)
def test_an_incomplete_request_gets_408(serve: Serve, http: Http, dial: Dial, begun: bytes):
    """The limit is the time until the request is complete; partial data doesn't extend it."""
    served = serve(listening=IMPATIENT)
    slow = dial(served.url)
    slow.sendall(begun)
    assert answer(slow) == (408, {"statusCode": 2, "statusMessage": "the request was not complete after 0.3 s"})
    assert http(served.url).get("/api/v2/page").text == "a page"
    assert calls(served) == [("GET /api/v2/page", "a page")]


def test_a_byte_a_second_is_too_slow(serve: Serve, http: Http, dial: Dial):
    """With real time: one byte per second."""
    served = serve(listening=ListenOptions(limits=Limits(1000, request_seconds=2.5)))
    slow = dial(served.url)
    slow.settimeout(1.0)
    sent, received = 0, b""
    for byte in b"GET /api/v2/page":
        slow.sendall(bytes([byte]))
        sent += 1
        try:
            received = slow.recv(65536)
            break
        except TimeoutError:
            assert http(served.url).get("/api/v2/page").text == "a page"
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"the request was not complete after 2.5 s" in received
    assert 2 < sent < len("GET /api/v2/page")


def test_an_idle_connection_is_closed_without_a_response(serve: Serve, dial: Dial):
    silent = dial(serve(listening=IMPATIENT).url)
    silent.settimeout(30)
    assert silent.recv(100) == b""


def test_a_held_poll_does_not_count_as_a_slow_request(serve: Serve, http: Http, dial: Dial):
    served = serve(listening=IMPATIENT)
    desktop = Desktop(http(served.url)).handshakes()
    plain = dial(served.url)
    plain.sendall(desktop.poll_bytes())
    assert dial(served.url).recv(100) == b""  # a later connection has reached its time limit meanwhile
    assert served.call(lambda: len(served.driver._held)) == 1


LARGE = SCENARIO + (
    "  - name: a large page\n"
    "    request: {method: GET, path: /api/v2/large}\n"
    "    reply: {headers: {Content-Type: text/plain}, text: '" + "x" * 8_000_000 + "'}\n"
)


def test_a_client_that_never_reads_is_disconnected(serve: Serve, http: Http, dial: Dial):
    served = serve(LARGE, IMPATIENT)
    deaf = dial(served.url)
    deaf.sendall(b"GET /api/v2/large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert http(served.url).get("/api/v2/page").text == "a page"
    until(lambda: is_cut(deaf), "the deaf client is cut off")
    assert len(http(served.url).get("/api/v2/large").content) == 8_000_000


def test_a_websocket_that_never_reads_is_closed_and_others_continue(serve: Serve, http: Http, dial: Dial):
    served = serve(listening=IMPATIENT)
    deaf = dial(served.url)
    client = ClientProtocol(parse_uri(served.url.replace("http", "ws") + "/api/v2/notifications"))
    client.send_request(client.connect())
    handshake = [{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["websocket"]}]
    _exchange(deaf, client)
    client.send_text(json.dumps(handshake).encode())
    (shaken,) = json.loads(_exchange(deaf, client))
    connects = [{"channel": "/meta/connect", "connectionType": "websocket", "clientId": shaken["clientId"]}]
    client.send_text(json.dumps(connects).encode())
    _exchange(deaf, client)

    control = Control(served.backend)
    large = "x" * 8_000_000
    served.call(lambda: served.driver.apply(lambda now: control.push("/v2/me/workbins", large, now=now)))

    assert http(served.url).get("/api/v2/page").text == "a page"
    until(lambda: is_cut(deaf), "the deaf client is cut off")
    with connect(served.url.replace("http", "ws") + "/api/v2/notifications") as other:
        other.send(json.dumps(handshake))
        assert json.loads(other.recv(30))[0]["successful"]


def _exchange(connection: socket.socket, client: ClientProtocol) -> bytes:
    """Send the pending data of a WebSocket client, and read one message; return its text."""
    connection.sendall(b"".join(client.data_to_send()))
    while not (events := client.events_received()):
        client.receive_data(connection.recv(65536))
    (event,) = events
    return bytes(event.data) if isinstance(event, Frame) else b""


def is_cut(connection: socket.socket) -> bool:
    """Tell whether the server has closed the connection, without reading its data."""
    try:
        connection.sendall(b"\r\n")
    except OSError:
        return True
    return False


def test_a_connection_above_the_limit_gets_503_and_open_ones_continue(serve: Serve, http: Http, dial: Dial):
    served = serve(listening=ListenOptions(limits=Limits(3)))
    client = http(served.url)
    assert client.get("/api/v2/page").text == "a page"
    others = [dial(served.url) for _ in range(2)]
    text = "there are 3 connections already, the maximum of this server"
    assert answer(dial(served.url)) == (503, {"statusCode": 4, "statusMessage": text})
    assert client.get("/api/v2/page").text == "a page"
    others[0].close()
    until(lambda: _is_served(served.url), "another connection is accepted")


def _is_served(url: str) -> bool:
    return httpx.get(url + "/api/v2/page", trust_env=False).status_code == 200


@pytest.fixture
def many_files() -> Iterator[int]:
    """Raise the limit of open files of this process; the value is the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_connections_of_one_client_do_not_block_others(many_files: int, tmp_path: Path):
    """Fewer if the machine allows fewer; the server runs in another process with its own limit."""
    wanted = min(10_000, many_files - 200)
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO)
    command: list[str | Path] = [Path(sys.executable).with_name("cometreel"), "serve", scenario, "--no-watch"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.terminate)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        address = url.removeprefix("http://").partition(":")
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as other:
            assert other.post("/api/v2/workbins", json=ASKED).status_code == 200
            for _ in range(wanted):
                stack.enter_context(socket.create_connection((address[0], int(address[2])), 30))
            assert other.post("/api/v2/workbins", json=ASKED).status_code == 200
        if connections_allowed() > wanted + RESERVED_FILES:
            assert _is_served(url)


TOO_LONG = "the body has 100000000 bytes; expected at most 16777216 bytes"


def test_a_body_of_100_megabytes_is_refused_before_it_is_read(serve: Serve, http: Http):
    served = serve()
    client = http(served.url)
    reply = client.post("/api/v2/workbins", content=b"x" * 100_000_000)
    assert (reply.status_code, reply.json()) == (413, {"statusCode": 10, "statusMessage": TOO_LONG})
    assert client.get("/api/v2/page").text == "a page"
    assert calls(served) == [("GET /api/v2/page", "a page")]


def test_expect_100_continue_with_a_body_that_is_too_long_gets_the_error_first(serve: Serve, dial: Dial):
    polite = dial(serve().url)
    polite.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
    polite.settimeout(30)
    assert polite.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_a_scenario_above_the_limit_can_read_the_error(dial: Dial):
    """A client that is cut off while it sends might not read the response."""
    length = 64 * 1024 * 1024 + 1
    with administered() as reel:
        sender = dial(reel.served.url)
        head = f"PUT /__reel__/scenario HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        sender.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
        sender.sendall(b"#" * length)
        text = "the body has 67108865 bytes; expected at most 67108864 bytes"
        assert answer(sender) == (413, {"problems": [{"text": text}]})
        assert reel.get("/")["unplayed"] == 4


def test_a_body_without_content_length_is_read_up_to_the_limit(serve: Serve, http: Http):
    served = serve()
    chunks = (b"x" * 1_000_000 for _ in range(100))
    reply = http(served.url).post("/api/v2/workbins", content=chunks)
    text = "the body has more; expected at most 16777216 bytes"
    assert (reply.status_code, reply.json()) == (413, {"statusCode": 10, "statusMessage": text})


def test_an_endless_request_head_is_refused(serve: Serve, http: Http, dial: Dial):
    served = serve()
    endless = dial(served.url)
    endless.sendall(b"GET / HTTP/1.1\r\n" + b"X-Filler: " + b"x" * 100_000)
    text = "the head of the request is longer than 65536 bytes"
    assert answer(endless) == (431, {"statusCode": 2, "statusMessage": text})
    assert http(served.url).get("/api/v2/page").text == "a page"


def test_data_that_is_not_http_is_refused(serve: Serve, dial: Dial):
    stranger = dial(serve().url)
    stranger.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert stranger.recv(65536).startswith(b"HTTP/1.1 400 ")
