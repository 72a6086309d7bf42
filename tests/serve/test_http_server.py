"""The writes of a connection to its transport."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from cometreel.scenario import loads
from cometreel.serve import Limits, replay_app
from cometreel.serve.server_connections import HttpConnection
from tests.serve.conftest import SCENARIO


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""


def written(request: bytes) -> Transport:
    """Return a transport on which a replay has answered this request."""

    async def answered() -> Transport:
        async with replay_app(loads(SCENARIO.replace("endpoint", "require_cookie: false, endpoint")))() as app:
            config = Config(app, lifespan="off", interface="asgi3", log_config=None, date_header=False)
            config.load()
            connection = HttpConnection(config, ServerState(), {}, asyncio.get_running_loop(), Limits(1))
            transport = Transport()
            connection.connection_made(transport)
            connection.data_received(request)
            await asyncio.gather(*connection.tasks)
            return transport

    return asyncio.run(answered())


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])
def test_head_and_body_of_a_response_are_sent_together(last: bytes):
    """A waiting client gets one packet."""
    transport = written(b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n" + last + b"\r\n")
    (piece,) = transport.pieces
    assert piece.startswith(b"HTTP/1.1 200 OK\r\n")
    assert piece.endswith(b"\r\n\r\na page")
    assert transport.closed is bool(last)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"HEAD /api/v2/page HTTP/1.1", b"200 OK"), (b"GET /api/v2/nothing HTTP/1.1", b"204 No Content")],
)
def test_a_response_without_a_body_is_sent_immediately(request_line: bytes, status: bytes):
    (piece,) = written(request_line + b"\r\nHost: x\r\n\r\n").pieces
    assert piece.startswith(b"HTTP/1.1 " + status)
    assert piece.endswith(b"\r\n\r\n")


def test_head_announces_the_length_of_the_get():
    """The head is the same, with the length of the body that isn't sent (RFC 9110 §9.3.2)."""
    (get,) = written(b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n").pieces
    (head,) = written(b"HEAD /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n").pieces
    assert b"content-length: 6\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    assert b"content-length: 6\r\n" in get
