"""The ASGI application: the replies to clients, and its reports to the engine."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import brotli  # type: ignore[import-untyped]  # it comes without types
import httpx
import pytest
import zstandard
from starlette.types import Message, Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from cometreel.engine import AdvanceResult, Backend
from cometreel.engine.driver import Driver
from cometreel.jsonvalue import encode
from cometreel.scenario import loads
from cometreel.serve import ListenOptions, ReplayApp, replay_app, serve_in_background
from cometreel.serve.asgi import CONNECTION_CONTROL, connection_control_of
from cometreel.serve.http_server import listen
from tests.serve.conftest import ASKED, PATIENCE, SCENARIO, Desktop, Serve, calls, until

Http = Callable[..., httpx.Client]
Dial = Callable[[str], socket.socket]


def test_a_reply_has_its_status_fields_and_length_and_no_server_fields(serve: Serve, http: Http):
    reply = http(serve(seed="1").url).get("/api/v2/page")
    cookie = reply.headers.pop("set-cookie")
    assert cookie.startswith("JSESSIONID=")
    assert (reply.status_code, dict(reply.headers), reply.text) == (
        200,
        {"content-type": "text/plain", "content-length": "6"},
        "a page",
    )


def test_a_status_without_a_body_has_no_length(serve: Serve, http: Http):
    client = http(serve().url)
    client.get("/api/v2/page")
    reply = client.get("/api/v2/nothing")
    assert (reply.status_code, dict(reply.headers), reply.content) == (204, {}, b"")


def test_a_reply_to_head_has_no_body_and_keeps_the_connection(serve: Serve, http: Http):
    client = http(serve().url)
    assert client.head("/api/v2/page").content == b""
    assert client.get("/api/v2/page").text == "a page"


def test_a_held_poll_is_answered_with_the_notification(serve: Serve, http: Http):
    served = serve()
    desktop = Desktop(http(served.url)).handshakes()
    with ThreadPoolExecutor(1) as pool:
        polled = pool.submit(desktop.poll)
        until(lambda: served.call(lambda: served.driver._held), "the poll is held")
        assert desktop.http.post("/api/v2/workbins", json=ASKED).json() == {"statusCode": 0, "referenceId": 67}
        assert [message["channel"] for message in polled.result()] == ["/v2/me/workbins", "/meta/connect"]
    assert served.call(lambda: (served.driver._held, served.app._writing)) == ({}, set())


def test_messages_of_an_aborted_poll_are_sent_with_the_next_one(serve: Serve, http: Http, dial: Dial):
    served = serve()
    desktop = Desktop(http(served.url)).handshakes()
    plain = dial(served.url)
    plain.sendall(desktop.poll_bytes())
    until(lambda: served.call(lambda: served.driver._held), "the poll is held")
    plain.close()
    until(lambda: not served.call(lambda: served.driver._held), "the poll is given up")
    desktop.http.post("/api/v2/workbins", json=ASKED)
    assert [message["channel"] for message in desktop.poll()] == ["/v2/me/workbins", "/meta/connect"]


async def test_a_reply_that_could_not_be_written_counts_as_not_delivered():
    """The fake server reports that the client had disconnected."""
    noted: list[tuple[str, int]] = []

    class RecordingDriver(Driver):
        def written(self, request_id: int) -> None:
            noted.append(("written", request_id))

        def hung_up(self, request_id: int) -> None:
            noted.append(("hung up", request_id))

    app = ReplayApp(RecordingDriver(Backend(loads(SCENARIO))))
    await app(_scope("/api/v2/page", lost=False), _nothing_more, _sink)
    await app(_scope("/api/v2/page", lost=True), _nothing_more, _sink)
    await app(_scope("/api/v2/page", lost=False), _nothing_more, _broken)
    assert noted == [("written", 1), ("hung up", 2), ("hung up", 3)]


class FakeConnection:
    def __init__(self, *, lost: bool) -> None:
        self.lost = lost

    def abort(self) -> None:
        raise AssertionError

    def buffer(self) -> None:
        """Nothing is written here."""

    def flush(self) -> None:
        """Nothing was buffered."""


def _scope(path: str, *, lost: bool) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"host", b"x")],
        "extensions": {CONNECTION_CONTROL: FakeConnection(lost=lost)},
    }


async def _nothing_more() -> dict[str, object]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _sink(_message: object) -> None:
    pass


async def _broken(_message: object) -> None:
    raise BrokenPipeError


def test_a_connection_that_the_scenario_breaks_ends_without_a_reply(serve: Serve, http: Http, dial: Dial):
    served = serve(SCENARIO + "faults:\n  - {exchange: a page, broken: true}\n")
    plain = dial(served.url)
    plain.sendall(b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n")
    assert plain.recv(1000) == b""
    assert http(served.url).get("/api/v2/nothing").status_code == 204


def test_breaking_a_connection_without_connection_control_raises():
    async def conversation() -> None:
        app = ReplayApp(Driver(Backend(loads(SCENARIO + "faults:\n  - {exchange: a page, broken: true}\n"))))
        scope = _scope("/api/v2/page", lost=False)
        del scope["extensions"]
        with pytest.raises(ConnectionAbortedError):
            await app(scope, _nothing_more, _sink)

    asyncio.run(conversation())


@pytest.mark.parametrize("reply", ["", "reply: {after: 1m, body: 1}, "])
async def test_breaking_a_held_connection_without_connection_control_raises_at_its_time(reply: str):
    scenario = f"""
cometreel: 1
exchanges: [{{name: slow, {reply}request: {{method: GET, path: /slow}}}}]
faults: [{{exchange: slow, delay: 1h}}, {{exchange: slow, broken: true}}]
"""

    async def receive() -> Message:
        return first.pop() if first else await asyncio.get_running_loop().create_future()

    first: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
    scope = _scope("/slow", lost=False)
    del scope["extensions"]
    async with replay_app(loads(scenario), clock="manual")() as app:
        assert app.clock is not None
        served = asyncio.ensure_future(app(scope, receive, _sink))
        await app.clock.advance("59m")
        assert not served.done()
        await app.clock.advance("2m")
        with pytest.raises(ConnectionAbortedError):
            await asyncio.wait_for(served, 5)


async def test_a_server_may_leave_out_the_raw_path_and_give_the_body_as_a_memoryview():
    """ASGI makes `raw_path` optional; fastpysgi leaves it empty and gives views of its buffer."""
    backend = Backend(loads(SCENARIO))
    app, sent = ReplayApp(Driver(backend)), list[Message]()

    async def receive() -> Message:
        return {"type": "http.request", "body": memoryview(bytearray(encode({**ASKED}))), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    for raw_path in (None, b""):
        scope = {**_scope("/api/v2/workbins", lost=False), "method": "POST", "raw_path": raw_path}
        if raw_path is None:
            del scope["raw_path"]
        await app(scope, receive, send)
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == [200, 200]
    await app({**_scope("/api/v2/päge?", lost=False), "raw_path": b""}, _nothing_more, _sink)
    assert backend.calls[-1].target == "/api/v2/p%C3%A4ge%3F"


def _bare(body: bytes) -> bytes:
    """Deflate without zlib's header."""
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(body) + made.flush()


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", _bare),
    ("br", brotli.compress),
    ("zstd", zstandard.compress),
    ("ZSTD", zstandard.compress),
    ("identity", lambda body: body),
]


@pytest.mark.parametrize(("coding", "packed"), PACKED)
def test_a_body_is_decoded_before_it_is_matched(
    serve: Serve, http: Http, coding: str, packed: Callable[[bytes], bytes]
):
    body = httpx.Request("POST", "http://x", json=ASKED).content
    fields = {"Content-Encoding": coding, "Content-Type": "application/json"}
    reply = http(serve().url).post("/api/v2/workbins", content=packed(body), headers=fields)
    assert reply.json() == {"statusCode": 0, "referenceId": 67}


def _wide(body: bytes) -> bytes:
    """zstd whose reader would need a large window (RFC 9659 allows 8 MiB)."""
    made = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=27)).compressobj()
    return made.compress(body) + made.flush()


NOT_CODED = "the body is not encoded as its Content-Encoding states"
CODED_WRONGLY = {
    "compress": (b"x", 415, "found Content-Encoding 'compress'; expected gzip, deflate, br, zstd or none"),
    "no gzip": (b"x", 400, NOT_CODED),
    "half a gzip": (gzip.compress(b"a text")[:-6], 400, NOT_CODED),
    "gzip and more": (gzip.compress(b"a text") + b"x", 400, NOT_CODED),
    "no deflate": (b"x", 400, NOT_CODED),
    "half a deflate": (zlib.compress(b"a text")[:-6], 400, NOT_CODED),
    "no br": (b"xx", 400, NOT_CODED),
    "half a br": (brotli.compress(b"a text")[:-3], 400, NOT_CODED),
    "br and more": (brotli.compress(b"a text") + b"x", 400, NOT_CODED),
    "no zstd": (b"xxxx", 400, NOT_CODED),
    "half a zstd": (zstandard.compress(b"a text")[:-3], 400, NOT_CODED),
    "zstd and more": (zstandard.compress(b"a text") + b"x", 400, NOT_CODED),
    "zstd with a window of 128 MiB": (_wide(b"a text"), 400, NOT_CODED),
}


@pytest.mark.parametrize("case", CODED_WRONGLY)
def test_a_body_that_cannot_be_decoded_is_refused(serve: Serve, http: Http, case: str):
    body, status, text = CODED_WRONGLY[case]
    coding = next(word for word in case.split() if word in ("compress", "gzip", "deflate", "br", "zstd"))
    reply = http(serve().url).post("/api/v2/workbins", content=body, headers={"Content-Encoding": coding})
    assert (reply.status_code, reply.json()) == (status, {"statusCode": 2, "statusMessage": text})


@pytest.mark.parametrize(("coding", "packed"), [*PACKED[:1], *PACKED[2:6]])
def test_a_body_that_decodes_to_more_than_the_limit_is_refused_while_it_is_decoded(
    serve: Serve, http: Http, coding: str, packed: Callable[[bytes], bytes]
):
    bomb = packed(b"\0" * 50_000_000)
    reply = http(serve().url).post("/api/v2/workbins", content=bomb, headers={"Content-Encoding": coding})
    text = "the body has more, decoded; expected at most 16777216 bytes"
    assert (reply.status_code, reply.json()) == (413, {"statusCode": 10, "statusMessage": text})


def test_the_paths_of_the_admin_app_never_reach_the_engine():
    async def admin(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"admin"})

    with (
        serve_in_background(replay_app(loads(SCENARIO), admin=lambda *_: admin)) as served,
        httpx.Client(base_url=served.url, trust_env=False) as client,
    ):
        texts = [client.get(path).text for path in ("/__reel__", "/__reel__/calls", "/api/v2/page")]
        assert texts == ["admin", "admin", "a page"]
        assert client.get("/__reel__x").status_code == 404
        assert calls(served) == [("GET /api/v2/page", "a page"), ("GET /__reel__x", "missed")]


def test_an_embedded_application_has_a_clock():
    async def scene() -> tuple[Any, list[AdvanceResult]]:
        scenario = loads(SCENARIO.replace("endpoint", "require_cookie: false, endpoint"))
        async with replay_app(scenario, clock="manual")() as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://embedded", timeout=PATIENCE) as client:
                slow = asyncio.ensure_future(client.get("/api/v2/slow"))
                await client.post("/api/v2/notifications", content=HELLO)
                assert app.clock is not None
                advanced = [await app.clock.advance("59m"), await app.clock.advance("1m")]
                return (await slow).json(), advanced

    reply, advanced = asyncio.run(scene())
    assert reply == {"statusCode": 0}
    assert [one.sessions_expired for one in advanced] == [1, 0]


HELLO = '[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]}]'


def test_a_websocket_transports_bayeux_messages(serve: Serve):
    with connect(serve().url.replace("http", "ws") + "/api/v2/notifications", subprotocols=["cometd"]) as socket:  # type: ignore[list-item]  # a NewType of str
        socket.send(HELLO)
        assert '"successful":true' in str(socket.recv(10))
        assert socket.subprotocol == "cometd"


def test_a_binary_message_ends_a_websocket(serve: Serve):
    with connect(serve().url.replace("http", "ws") + "/api/v2/notifications") as socket:
        socket.send(b"\0")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1003, "Bayeux messages are text")


def test_a_websocket_on_another_path_is_refused_with_a_reply(serve: Serve, http: Http):
    fields = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    reply = http(serve().url).get("/elsewhere", headers=fields)
    assert (reply.status_code, reply.json()["statusMessage"]) == (404, "this path is not a WebSocket endpoint")


def test_a_refused_websocket_is_logged_in_one_line(serve: Serve, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    with pytest.raises(InvalidStatus):
        connect(serve().url.replace("http", "ws") + "/else%20where;jsessionid=s3cret/x?access_token=s3cret")
    until(lambda: caplog.records, "a line in the log")
    lines = [(record.name, record.levelname, record.getMessage()) for record in _of_the_server(caplog)]
    text = "WebSocket refused: 404 for /else%20where;jsessionid=[hidden]/x?access_token=[hidden]."
    assert lines == [("cometreel.serve.websocket_connection", "WARNING", text)]


def test_an_accepted_websocket_is_not_logged(serve: Serve, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    served = serve()
    with connect(served.url.replace("http", "ws") + "/api/v2/notifications") as socket:
        socket.send(HELLO)
        assert '"successful":true' in str(socket.recv(10))
    served.stop()
    assert _of_the_server(caplog) == []


def test_a_websocket_dropped_before_it_is_accepted_is_not_logged(caplog: pytest.LogCaptureFixture):
    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        control = connection_control_of(scope)
        assert control is not None
        control.abort()

    @asynccontextmanager
    async def opened():
        yield app

    caplog.set_level(logging.INFO)
    with serve_in_background(opened) as served, pytest.raises((InvalidMessage, OSError)):
        connect(served.url.replace("http", "ws"))
    assert _of_the_server(caplog) == []


def _of_the_server(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if not record.name.startswith(("websockets", "asyncio"))]


def test_a_stop_answers_held_polls_and_closes_websockets(serve: Serve, http: Http):
    served = serve()
    desktop = Desktop(http(served.url)).handshakes()
    with connect(served.url.replace("http", "ws") + "/api/v2/notifications") as socket, ThreadPoolExecutor(1) as pool:
        polled = pool.submit(desktop.poll)
        until(lambda: served.call(lambda: served.driver._held), "the poll is held")
        threading.Thread(target=served.stop).start()
        assert [message["channel"] for message in polled.result()] == ["/meta/connect"]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_listening_ends_with_its_block():
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    @asynccontextmanager
    async def opening():
        yield app

    async with listen(opening, ListenOptions()) as (served, listener):
        assert served is app
        url = listener.url
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
