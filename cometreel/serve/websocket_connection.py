"""The WebSockets of the server, on the sans-IO protocol of the `websockets` package, without compression.

A WebSocket of a replay talks to the driver directly, without a task; any other belongs to an ASGI application.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from email.utils import formatdate
from http import HTTPStatus
from math import inf
from typing import Final, Protocol
from urllib.parse import quote

from websockets.datastructures import Headers as WebSocketHeaders
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.http11 import Request as Upgrade
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from cometreel.engine.driver import BINARY_REFUSED, NORMAL_CLOSURE, Driver, WebSocketAction
from cometreel.masking import masked_text
from cometreel.scenario.matchers import shortened
from cometreel.serve.asgi import response_fields
from cometreel.serve.asgi_bridge import AsgiWebSocket
from cometreel.serve.request_parser import ParsedHead
from cometreel.serve.server_context import PausableConnection, ServerContext
from cometreel.wire import Accept, Frame, Reply, Request

__all__ = ["WebSocketConnection"]

logger = logging.getLogger(__name__)
protocol_logger = logging.getLogger(f"{__name__}.protocol")
"""Logs errors only: `websockets` logs header fields, which hold cookies."""
protocol_logger.setLevel(logging.ERROR)

CLOSE_SECONDS: Final = 10.0  # until a connection is closed whose client doesn't answer the closing handshake
NO_CODE, ABNORMAL = 1005, 1006  # close codes that are never sent (RFC 6455 §7.4.1)
NOT_UTF_8: Final = 1007


class WebSocketHandler(Protocol):
    """Takes what happens on one WebSocket."""

    def received(self, message: str | bytes) -> None:
        """Take a message of the client."""

    def resumed(self) -> None:
        """Take note that the client reads again."""

    def closed(self, code: int, reason: str = "") -> None:
        """Take note that the WebSocket is closed, by either side. Further calls mean nothing."""


class ReplayWebSocket:
    """One WebSocket of a replay: passes messages to the driver, and performs what the engine wants.

    A frame counts as delivered when the transport has taken it; while the client does not read, frames wait here.
    """

    __slots__ = ("_connection", "_driver", "_request_id", "_unsent")

    def __init__(self, connection: WebSocketConnection, driver: Driver) -> None:
        self._connection, self._driver = connection, driver
        self._unsent: deque[WebSocketAction] | None = None
        self._request_id = driver.new_request_id()

    def open(self, head: ParsedHead, client: str) -> None:
        """Ask the engine for its answer to the upgrade."""
        request = Request(
            self._request_id, "GET", head.path, head.query, head.headers, b"", head.base, websocket=True, address=client
        )
        self._driver.open_for(request, self._perform)

    def received(self, message: str | bytes) -> None:
        """Pass a text to the engine; a binary message ends the WebSocket."""
        if isinstance(message, str):
            self._driver.frame(self._request_id, message)
        else:
            self._connection.close(*BINARY_REFUSED)

    def resumed(self) -> None:
        """Send the frames that waited."""
        while self._unsent and not self._connection.is_paused:
            self._perform_now(self._unsent.popleft())
        if not self._connection.is_paused:
            self._connection.resume_reading()

    def closed(self, code: int, reason: str = "") -> None:
        """Tell the engine, once; frames that were not sent count as not delivered."""
        request_id, self._request_id, self._unsent = self._request_id, 0, None
        if request_id:
            self._driver.hung_up(request_id)

    def _perform(self, action: WebSocketAction) -> None:
        if self._connection.is_paused or self._unsent:
            if self._unsent is None:
                self._unsent = deque()
            self._unsent.append(action)
        else:
            self._perform_now(action)

    def _perform_now(self, action: WebSocketAction) -> None:
        connection, request_id = self._connection, self._request_id
        if not request_id or not connection.is_open:  # the engine is told when the connection is lost
            return
        if isinstance(action, Frame):
            connection.send_message(action.text)
            self._driver.written(request_id)
        elif isinstance(action, Accept):
            subprotocols = connection.subprotocols()
            connection.accept([*response_fields(action.headers)], subprotocols[0] if subprotocols else None)
        elif isinstance(action, Reply):
            fields = [*response_fields(action.headers), (b"content-length", b"%d" % len(action.body))]
            connection.refuse(action.status, fields, action.body)
        elif connection.is_accepted:
            connection.close(action.code)
        else:
            connection.abort()


class WebSocketConnection(PausableConnection):
    """One WebSocket, from its upgrade request on. It is the `ConnectionControl` of an ASGI application.

    `read_deadline` and `write_deadline` are times of the event loop, or `inf`; after them, call `expire`.
    """

    __slots__ = (
        "_context",
        "_early",
        "_fragments",
        "_handler",
        "_is_closing",
        "_is_text",
        "_protocol",
        "_response",
        "_waiter",
        "head",
        "is_accepted",
        "lost",
        "read_deadline",
        "write_deadline",
    )

    def __init__(self, context: ServerContext, transport: asyncio.Transport, head: ParsedHead) -> None:
        super().__init__()
        self._context, self._transport, self.head = context, transport, head
        self._protocol = ServerProtocol(state=State.OPEN, max_size=context.limits.frame_bytes, logger=protocol_logger)
        self._response: Response | None = None  # to the upgrade, until it is sent
        self._early = b""  # what the client has sent before the upgrade was answered
        self._handler: WebSocketHandler
        self._fragments: list[bytes] = []  # of the message that is being received
        self._is_text = self._is_closing = False
        self._waiter: asyncio.Future[None] | None = None
        self.is_accepted = self.lost = False
        self.read_deadline = self.write_deadline = inf

    @property
    def secure(self) -> bool:
        """True for TLS."""
        return self._context.secure

    @property
    def is_open(self) -> bool:
        """True until either side closes, or the client breaks the protocol.

        A packet is parsed before its messages are handled, so one may be handled when nothing can be sent any more.
        """
        return self._protocol.state is State.OPEN and not self._has_ended

    @property
    def _has_ended(self) -> bool:
        """True if no further message of the client is handled."""
        return self._is_closing or self._transport.is_closing()

    @property
    def is_paused(self) -> bool:
        """True while the client does not read."""
        return self.write_deadline != inf

    def server_address(self) -> tuple[str, int]:
        """Return the address and port that the client connected to."""
        address, port = self._transport.get_extra_info("sockname")[:2]
        return address, port

    def client_address(self) -> tuple[str, int] | None:
        """Return the address and port of the client; None if it is gone."""
        address = self._transport.get_extra_info("peername")
        return (address[0], address[1]) if address else None

    def subprotocols(self) -> list[str]:
        """Return the subprotocols that the client offers; browsers close a connection that accepts none of theirs."""
        offered = self.head.headers.get_all("sec-websocket-protocol")
        return [token.strip() for field in offered for token in field.split(",")]

    # ------------------------------------------------------------------ the upgrade
    def open(self, rest: bytes) -> None:
        """Answer the upgrade request; `rest` is what the client has sent after it."""
        head, context = self.head, self._context
        target = head.path + (f"?{head.query}" if head.query else "")
        fields = WebSocketHeaders((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.fields)
        response = self._protocol.accept(Upgrade(target, fields))
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._transport.write(response.serialize())
            self._is_closing = True
            self._transport.close()
            return
        self._response = response
        replay = context.replay
        if replay is None or replay.is_admin(head.decoded_path):
            handler = self._handler = AsgiWebSocket(self)
            context.start(context.loop.create_task(handler.run(context.app)))
        else:
            client = self.client_address()
            direct = self._handler = ReplayWebSocket(self, replay.driver)
            try:
                direct.open(head, client[0] if client else "")
            except Exception:
                logger.exception("A WebSocket could not be opened.")
                self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, [], b"Internal Server Error")
        if rest and not self._transport.is_closing():  # the upgrade may have been refused
            self.data_received(rest)

    def accept(self, fields: list[tuple[bytes, bytes]], subprotocol: str | None) -> None:
        """Complete the upgrade."""
        response, self._response = self._response, None
        if response is None or self._transport.is_closing():
            return
        self.is_accepted = True
        del response.headers["Date"]
        for name, value in fields:
            response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        if subprotocol:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        self._transport.write(response.serialize())
        self.head = self.head.without_fields()  # they are not needed any more, and a WebSocket stays for long
        if early := self._early:
            self._early = b""
            self.resume_reading()
            self.data_received(early)

    def refuse(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the upgrade with a reply, log that in one line, and close."""
        head, self._response = self.head, None
        if self._transport.is_closing():
            return
        path = quote(shortened(masked_text(head.decoded_path)), "/;=[]")  # masked first: `;` and `=` may be encoded
        query = shortened(masked_text("?" + head.query).removesuffix("?"))
        logger.warning("WebSocket refused: %d for %s%s.", status, path, query)
        headers = WebSocketHeaders((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
        headers.setdefault("Date", formatdate(usegmt=True))
        headers.setdefault("Connection", "close")
        headers.setdefault("Content-Length", str(len(body)))
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = ""
        self._transport.write(Response(status, phrase, headers, body).serialize())
        self._is_closing = True
        self._transport.close()

    # ------------------------------------------------------------------ sending
    def send_message(self, message: str | bytes) -> None:
        """Send a message; nothing if the closing handshake has started."""
        if not self.is_open:
            return
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._write_pending()

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Start the closing handshake."""
        if not self.is_open:
            return
        self._is_closing = True
        self._protocol.send_close(code, reason)
        self._write_pending()
        self.read_deadline = self._context.loop.time() + CLOSE_SECONDS
        self.resume_reading()
        self._handler.closed(code, reason)

    def finish(self) -> None:
        """Close the connection, unless a closing handshake is going on."""
        if self.read_deadline == inf:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, without a closing handshake."""
        self.lost = True
        self._transport.abort()

    def stop(self) -> None:
        """Nothing to do: the application closes its WebSockets."""

    def _write_pending(self) -> None:
        """Write what the protocol has to send, unless the connection is closing."""
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._protocol.data_to_send()))

    # ------------------------------------------------------------------ receiving
    def data_received(self, data: bytes) -> None:
        """Pass complete messages to the handler, and answer pings and the closing handshake."""
        if self._response is not None:  # nothing may be written before the answer to the upgrade
            self._early += data
            self.pause_reading()
            return
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, WebSocketFrame):
                self._frame_received(event)
        if protocol.parser_exc is not None:
            self._fail()

    def _frame_received(self, frame: WebSocketFrame) -> None:
        opcode = frame.opcode
        if opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if opcode is not Opcode.CONT:
                self._is_text, self._fragments = opcode is Opcode.TEXT, []
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                self._message_received()
        elif opcode is Opcode.PING:
            self._write_pending()  # the pong
        elif opcode is Opcode.CLOSE:
            self._close_received()

    def _message_received(self) -> None:
        data, self._fragments = b"".join(self._fragments), []
        if self._has_ended:
            return
        if not self._is_text:
            self._handler.received(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            logger.warning("A WebSocket was closed: its client sent text that is not UTF-8.")
            self._protocol.fail(NOT_UTF_8, "the text is not UTF-8")  # RFC 6455 §8.1
            self._fail()
        else:
            self._handler.received(text)

    def _close_received(self) -> None:
        """Answer a closing handshake, or end the own one."""
        if not self._has_ended:
            self._is_closing = True
            close = self._protocol.close_rcvd
            self._write_pending()
            if close is not None:
                self._handler.closed(close.code, close.reason)
        self._transport.close()

    def _fail(self) -> None:
        """Close after an error of the client; the protocol has the closing frame."""
        if self._is_closing:
            return
        self._is_closing = True
        close = self._protocol.close_sent
        self._write_pending()
        self._transport.close()
        self._handler.closed(close.code if close else ABNORMAL, close.reason if close else "")

    # ------------------------------------------------------------------ the transport
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the handler that the client is gone; end circular references, as the garbage collector runs rarely."""
        self.lost = True
        self._context.connections.discard(self)
        self.read_deadline = self.write_deadline = inf
        self._wake()
        self._protocol.parser.close()
        if hasattr(self, "_handler"):
            self._handler.closed(NO_CODE if self.is_accepted else ABNORMAL)
            del self._handler

    def pause_writing(self) -> None:
        """Let further messages wait, and read nothing: the client does not read."""
        self.pause_reading()
        self.write_deadline = self._context.loop.time() + self._context.limits.write_seconds

    def resume_writing(self) -> None:
        """Send the messages that wait."""
        self.write_deadline = inf
        self._wake()
        if hasattr(self, "_handler"):
            self._handler.resumed()

    async def writable(self) -> None:
        """Wait until the client has read enough of what was written, or is gone."""
        while self.is_paused and not self.lost:
            if self._waiter is None:
                self._waiter = self._context.loop.create_future()
            await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def expire(self, now: float) -> None:
        """Close the connection: its client does not read, or does not end the closing handshake."""
        if now > self.write_deadline:
            seconds = self._context.limits.write_seconds
            logger.warning("A WebSocket was closed: its client did not read messages for %g s.", seconds)
            self._transport.abort()
        else:
            self._transport.close()
