"""WebSockets on a transport in memory: the frames that are written, and what the engine is told.

Each test runs with the driver called by the connection, and with the replay as an ASGI application.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from cometreel.engine.driver import Driver
from cometreel.serve import Limits, ReplayApp
from cometreel.serve.websocket_connection import WebSocketConnection
from cometreel.wire import Accept, Drop, Effect, Frame, Headers, Reply, Request
from tests.scripted_engines import IdleEngine
from tests.serve.memory_transport import EmbeddedApp, MemoryTransport, connected, settled
from tests.serve.test_raw_requests import WEBSOCKET, frame

UPGRADE = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b" + WEBSOCKET + b"\r\n"
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def sent(opcode: int, payload: bytes) -> bytes:
    """Return a frame of the server, with at most 125 bytes."""
    return bytes([0x80 | opcode, len(payload)]) + payload


class EchoEngine(IdleEngine):
    """Accepts `/chat`, refuses `/refused`, drops `/dropped`, decides later about `/later`; echoes each frame twice."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def receive(self, request: Request, now: float) -> list[Effect]:
        self.seen.append(f"open {request.path} {request.base}")
        match request.path:
            case "/chat":
                return [Accept(request.id, Headers([("X-Kind", "echo")])), Frame(request.id, "welcome")]
            case "/refused":
                return [Reply(request.id, 403, Headers([("X-Kind", "no")]), b"no")]
            case "/dropped":
                return [Drop(request.id)]
            case "/fails":
                raise ValueError("a bug")
        return []

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        self.seen.append(f"frame {text}")
        return [Frame(request_id, text), Frame(request_id, text.upper())]

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        self.seen.append("delivered")
        return []

    def gone(self, request_id: int, now: float) -> list[Effect]:
        self.seen.append("gone")
        return []


class Chat:
    """One client of the engine."""

    def __init__(self, app: ReplayApp, engine: EchoEngine, transport: MemoryTransport) -> None:
        self.app, self._engine, self.transport = app, engine, transport
        self._read = 0

    async def sends(self, data: bytes) -> None:
        self.transport.receive(data)
        await settled(self.transport)

    async def opens(self, path: bytes = b"/chat", fields: bytes = b"") -> None:
        await self.sends(UPGRADE % (path, fields))

    async def performs(self, *effects: Effect) -> None:
        self.app.driver.apply(lambda _now: effects)
        await settled(self.transport)

    @property
    def got(self) -> bytes:
        data = self.transport.data[self._read :]
        self._read += len(data)
        return re.sub(rb"Date: [^\r]*", b"Date: -", data)

    @property
    def seen(self) -> list[str]:
        seen, self._engine.seen = self._engine.seen, []
        return seen


def play(script: Callable[[Chat], Awaitable[None]], *, direct: bool, limits: Limits | None = None) -> None:
    """Run a script on an event loop."""

    async def run() -> None:
        engine = EchoEngine()
        app = ReplayApp(Driver(engine))
        await script(Chat(app, engine, connected(app if direct else EmbeddedApp(app), limits)))

    asyncio.run(run())


both = pytest.mark.parametrize("direct", [True, False], ids=["connection", "ASGI"])


@both
def test_a_websocket_is_accepted_and_each_frame_is_confirmed(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens(fields=b"Sec-WebSocket-Protocol: a, b\r\n")
        assert chat.got == ACCEPTED + b"x-kind: echo\r\nSec-WebSocket-Protocol: a\r\n\r\n" + sent(TEXT, b"welcome")
        await chat.sends(frame(TEXT, b"hi"))
        assert chat.got == sent(TEXT, b"hi") + sent(TEXT, b"HI")
        assert chat.seen == ["open /chat http://x", "delivered", "frame hi", "delivered", "delivered"]

    play(script, direct=direct)


@both
def test_an_offered_compression_is_not_used(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens(fields=b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
        assert chat.got == ACCEPTED + b"x-kind: echo\r\n\r\n" + sent(TEXT, b"welcome")

    play(script, direct=direct)


@both
def test_frames_after_the_upgrade_in_the_same_packet_are_received(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.sends(UPGRADE % (b"/chat", b"") + frame(TEXT, b"a") + frame(TEXT, b"b", last=False) + frame(0, b"c"))
        echoes = [sent(TEXT, text) for text in (b"welcome", b"a", b"A", b"bc", b"BC")]
        assert chat.got == ACCEPTED + b"x-kind: echo\r\n\r\n" + b"".join(echoes)

    play(script, direct=direct)


@both
def test_frames_before_the_answer_to_the_upgrade_wait_for_it(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.sends(UPGRADE % (b"/later", b"") + frame(PING, b"x"))
        await chat.sends(frame(TEXT, b"a"))
        assert (chat.got, chat.seen) == (b"", ["open /later http://x"])
        await chat.performs(Accept(1))
        assert chat.got == ACCEPTED + b"\r\n" + sent(PONG, b"x") + sent(TEXT, b"a") + sent(TEXT, b"A")
        assert not chat.transport.is_reading_paused

    play(script, direct=direct)


@both
def test_a_refused_websocket_gets_the_reply(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens(b"/refused")
        refusal = b"HTTP/1.1 403 Forbidden\r\nx-kind: no\r\ncontent-length: 2\r\nDate: -\r\nConnection: close\r\n"
        assert chat.got == refusal + b"Content-Type: text/plain; charset=utf-8\r\n\r\nno"
        assert chat.transport.closed

    play(script, direct=direct)


@both
def test_a_dropped_websocket_is_aborted(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens(b"/dropped")
        assert (chat.got, chat.transport.aborted) == (b"", True)

    play(script, direct=direct)


@both
def test_the_engine_may_accept_later(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens(b"/later")
        assert chat.got == b""
        await chat.performs(Accept(1), Frame(1, "welcome"))
        assert chat.got == ACCEPTED + b"\r\n" + sent(TEXT, b"welcome")

    play(script, direct=direct)


@both
def test_a_ping_is_answered(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        assert chat.got
        await chat.sends(frame(PING, b"1"))
        assert chat.got == sent(PONG, b"1")

    play(script, direct=direct)


@both
def test_a_client_closes_a_websocket(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        assert chat.got
        await chat.sends(frame(CLOSE, b"\x03\xe8"))
        assert (chat.got, chat.transport.closed) == (sent(CLOSE, b"\x03\xe8"), True)
        chat.transport.lose()
        await settled(chat.transport)
        assert chat.seen == ["open /chat http://x", "delivered", "gone"]

    play(script, direct=direct)


@both
def test_the_engine_closes_a_websocket_and_the_client_confirms(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        assert chat.got
        await chat.performs(Drop(1, 1001))
        assert (chat.got, chat.transport.closed) == (sent(CLOSE, b"\x03\xe9"), False)
        await chat.sends(frame(TEXT, b"too late") + frame(CLOSE, b"\x03\xe9"))
        assert (chat.got, chat.transport.closed) == (b"", True)
        assert chat.seen == ["open /chat http://x", "delivered", "gone"]

    play(script, direct=direct)


@both
def test_a_client_that_does_not_confirm_the_end_is_cut_off(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        await chat.performs(Drop(1))
        connection = chat.transport.protocol
        assert isinstance(connection, WebSocketConnection)
        assert connection.read_deadline <= asyncio.get_running_loop().time() + 10
        connection.expire(connection.read_deadline + 1)
        assert chat.transport.closed

    play(script, direct=direct)


@both
def test_a_binary_message_closes_a_websocket(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        assert chat.got
        await chat.sends(frame(BINARY, b"\0"))
        assert chat.got == sent(CLOSE, b"\x03\xebBayeux messages are text")
        assert chat.seen == ["open /chat http://x", "delivered", "gone"]

    play(script, direct=direct)


@both
@pytest.mark.parametrize(
    ("end", "closing"),
    [(frame(CLOSE, b"\x03\xe8"), sent(CLOSE, b"\x03\xe8")), (b"\xff\xff", b"\x88")],
    ids=["the client closes", "the client sends no frame"],
)
def test_what_answers_a_message_before_the_end_in_the_same_packet_is_not_delivered(
    direct: bool, end: bytes, closing: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The message is handled; its echoes can't be sent any more, nor can the engine close the WebSocket."""

    async def script(chat: Chat) -> None:
        await chat.opens()
        assert chat.got
        await chat.sends(frame(TEXT, b"a") + frame(BINARY, b"\0") + end)
        assert chat.got.startswith(closing)
        assert chat.transport.closed
        assert chat.seen == ["open /chat http://x", "delivered", "frame a", "gone"]

    play(script, direct=direct)
    assert [record.message for record in caplog.records if record.exc_info] == []


@both
def test_a_ping_in_the_same_packet_as_text_that_is_not_utf_8_is_answered_before_the_end(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        assert chat.got
        await chat.sends(frame(TEXT, b"\xff") + frame(PING, b"a"))
        assert chat.got == sent(PONG, b"a") + sent(CLOSE, b"\x03\xefthe text is not UTF-8")
        assert chat.transport.closed

    play(script, direct=direct)


@both
def test_frames_after_an_upgrade_that_was_refused_are_ignored(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.sends(UPGRADE % (b"/refused", b"") + frame(PING, b"a") + frame(TEXT, b"b"))
        assert chat.got.endswith(b"\r\n\r\nno")
        assert chat.seen[0] == "open /refused http://x"
        assert "frame b" not in chat.seen

    play(script, direct=direct)


@both
def test_a_message_above_the_limit_closes_a_websocket(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        assert chat.got
        await chat.sends(frame(TEXT, b"x" * 11))
        closing = chat.got
        assert (closing[:1], closing[2:4], chat.transport.closed) == (sent(CLOSE, b"")[:1], b"\x03\xf1", True)
        assert chat.seen == ["open /chat http://x", "delivered", "gone"]

    play(script, direct=direct, limits=Limits(10, frame_bytes=10))


@both
def test_frames_wait_for_a_client_that_does_not_read(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        assert (chat.got[:12], chat.seen) == (b"HTTP/1.1 101", ["open /chat http://x", "delivered"])
        chat.transport.protocol.pause_writing()
        await chat.performs(Frame(1, "a"), Frame(1, "b"))
        assert (chat.got, chat.seen) == (b"", [])
        chat.transport.protocol.resume_writing()
        await settled(chat.transport)
        assert (chat.got, chat.seen) == (sent(TEXT, b"a") + sent(TEXT, b"b"), ["delivered", "delivered"])

    play(script, direct=direct)


@both
def test_nothing_is_read_from_a_client_that_does_not_read(direct: bool) -> None:
    """Its messages would have answers that wait."""

    async def script(chat: Chat) -> None:
        await chat.opens()
        chat.transport.protocol.pause_writing()
        await chat.sends(frame(TEXT, b"hi"))
        paused = [chat.transport.is_reading_paused]
        chat.transport.protocol.resume_writing()
        await settled(chat.transport)
        paused.append(chat.transport.is_reading_paused)
        assert paused == [True, False]
        assert chat.got.endswith(sent(TEXT, b"hi") + sent(TEXT, b"HI"))

    play(script, direct=direct)


@both
def test_frames_that_a_client_never_read_are_not_confirmed(direct: bool) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens()
        chat.transport.protocol.pause_writing()
        await chat.performs(Frame(1, "a"))
        chat.transport.lose()
        await settled(chat.transport)
        assert chat.seen == ["open /chat http://x", "delivered", "gone"]

    play(script, direct=direct)


def test_many_fields_do_not_prevent_an_upgrade() -> None:
    async def script(chat: Chat) -> None:
        await chat.opens(fields=b"X: x\r\n" * 200 + b"Y: " + b"y" * 9000 + b"\r\n")
        assert chat.got.startswith(ACCEPTED)

    play(script, direct=True)


def test_an_engine_that_fails_refuses_the_websocket(caplog: pytest.LogCaptureFixture) -> None:
    async def script(chat: Chat) -> None:
        await chat.opens(b"/fails")
        assert chat.got.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert chat.transport.closed

    play(script, direct=True)
    assert caplog.messages == ["A WebSocket could not be opened.", "WebSocket refused: 500 for /fails."]
