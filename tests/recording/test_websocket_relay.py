"""WebSockets through the recording proxy: messages both ways, close codes, and failed upgrades."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

HANDSHAKE = '[{"channel":"/meta/handshake","version":"1.0"}]'


class Echo:
    """Accepts with a cookie and the last subprotocol of the client, echoes every message; `bye` closes with 4001."""

    def __init__(self) -> None:
        self.closed: SimpleQueue[int] = SimpleQueue()
        self.headers: dict[str, str] = {}
        self.target = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.target = f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}"
        await receive()
        chosen = next(reversed(scope["subprotocols"]), None)
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": [(b"set-cookie", b"a=1")]})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001})
            else:
                await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
        self.closed.put(message["code"])


class Refuse:
    """Rejects every upgrade with its own reply."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        fields = [(b"content-type", b"application/json"), (b"content-length", b"16")]
        fields += [(b"connection", b"X-Hop"), (b"x-hop", b"1")]
        await send({"type": "websocket.http.response.start", "status": 403, "headers": fields})
        await send({"type": "websocket.http.response.body", "body": b'{"statusCode":3}'})


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def recording_proxy(serve: Callable[..., str], record: Callable[[str], Any], echo: Echo) -> Any:
    return record(serve(echo))


def _websocket(recording_proxy: Any) -> str:
    return str(recording_proxy.url.replace("http:", "ws:")) + "/api/v2/notifications?x=%41"


def test_messages_are_relayed_both_ways_and_recorded(recording_proxy: Any, echo: Echo):
    headers = {"Cookie": "JSESSIONID=canary-one", "Connection": "Upgrade, X-Hop", "X-Hop": "1"}
    with connect(
        _websocket(recording_proxy), subprotocols=[Subprotocol("one"), Subprotocol("two")], additional_headers=headers
    ) as client:
        assert client.response is not None
        assert (client.subprotocol, client.response.headers["Set-Cookie"]) == ("two", "a=1")
        client.send(HANDSHAKE)
        assert client.recv() == HANDSHAKE
        client.send(b"\x00\x01")
        assert client.recv() == b"\x00\x01"
    assert echo.target == "/api/v2/notifications?x=%41"
    assert (echo.headers["cookie"], echo.headers["host"]) == (
        "JSESSIONID=canary-one",
        recording_proxy.recording.upstream.authority,
    )
    assert "x-hop" not in echo.headers
    assert echo.closed.get(timeout=30) == 1000
    frames = [(event["from"], "bayeux" in event) for event in recording_proxy.events() if event["kind"] == "frame"]
    assert frames == [("client", True), ("server", True), ("client", False), ("server", False)]
    assert recording_proxy.kinds()[0] == "open"
    (reply,) = [event for event in recording_proxy.events() if event["kind"] == "reply"]
    assert (reply["status"], [*reply["cookies"]]) == (101, ["a"])
    assert recording_proxy.calls == [
        ("WEBSOCKET", "/api/v2/notifications?x=%41", HANDSHAKE.encode(), None),
        ("WEBSOCKET", "/api/v2/notifications?x=%41", b"\x00\x01", None),
    ]
    assert "canary" not in recording_proxy.recording.journal.read_text()


def test_a_message_over_the_limit_of_the_recorder_is_relayed_and_named(recording_proxy: Any):
    large = "x" * (17 * 1024 * 1024)
    with connect(_websocket(recording_proxy), max_size=None) as client:
        client.send(large)
        assert client.recv(timeout=30) == large
    frames = [event["omitted"] for event in recording_proxy.events() if event["kind"] == "frame"]
    assert frames == ["larger than 16777216 bytes"] * 2


def test_the_servers_own_close_code_reaches_the_client(recording_proxy: Any):
    with connect(_websocket(recording_proxy)) as client:
        client.send("bye")
        with pytest.raises(ConnectionClosed):
            client.recv()
    assert client.close_code == 4001


def test_the_clients_own_close_code_reaches_the_server(recording_proxy: Any, echo: Echo):
    with connect(_websocket(recording_proxy)) as client:
        client.close(4002)
    assert echo.closed.get(timeout=30) == 4002


def test_a_broken_client_connection_closes_the_server_connection(recording_proxy: Any, echo: Echo):
    """With 1000: a broken connection is reported like one that was closed without a code."""
    with connect(_websocket(recording_proxy)) as client:
        client.send("one")
        assert client.recv() == "one"
        client.socket.shutdown(socket.SHUT_RDWR)
    assert echo.closed.get(timeout=30) == 1000


def test_the_end_of_a_recording_closes_both_sides(recording_proxy: Any, echo: Echo, stack: ExitStack):
    with connect(_websocket(recording_proxy)) as client:
        client.send("one")
        assert client.recv() == "one"
        end = threading.Thread(target=stack.close)
        end.start()
        with pytest.raises(ConnectionClosed):
            client.recv()
    end.join()
    assert (client.close_code, echo.closed.get(timeout=30)) == (1001, 1001)


def test_a_rejected_upgrade_is_forwarded(serve: Callable[..., str], record: Callable[[str], Any]):
    recording_proxy = record(serve(Refuse()))
    with pytest.raises(InvalidStatus) as refused:
        connect(_websocket(recording_proxy))
    response = refused.value.response
    assert (response.status_code, response.body) == (403, b'{"statusCode":3}')
    assert "X-Hop" not in response.headers
    assert [(event["kind"], event.get("json")) for event in recording_proxy.events()] == [
        ("request", None),
        ("reply", {"statusCode": 3}),
    ]


def test_a_server_that_is_down_gives_a_502_with_the_reason(record: Callable[[str], Any], unreachable: str):
    recording_proxy = record(unreachable)
    with pytest.raises(InvalidStatus) as refused:
        connect(_websocket(recording_proxy))
    response = refused.value.response
    assert response.status_code == 502
    assert f"{unreachable} can't be reached: ".encode() in bytes(response.body or b"")
    assert recording_proxy.kinds() == ["request", "error"]
