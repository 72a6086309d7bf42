"""The HTTP connections of the server: requests in, answers out, in their order, with limits for slow clients.

A replay is answered by the driver directly. There is no task and no future per request: a request is answered within
`data_received`, and a held poll is an entry in the driver's table until its reply comes. Only the admin API, other ASGI
applications and forwarded requests run in tasks.

The path of a request with a known head is `data_received`, `_answer_known`, `_answer`, `_write_reply`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from math import inf
from sys import intern
from typing import Final

from cometreel.engine.driver import DriverReply, ReplyPart
from cometreel.http_fields import BODILESS
from cometreel.serve.app import ReplayApp
from cometreel.serve.asgi import reply_fields
from cometreel.serve.asgi_bridge import MAX_BUFFERED, AsgiRequest
from cometreel.serve.request_body import LINGER, BodyRefused, announced_too_long, decoded_body, is_too_long, too_long
from cometreel.serve.request_parser import HEAD_END, IncomingRequest, ParsedHead, RequestParser, RequestRejected
from cometreel.serve.response_writer import (
    CLOSE_FIELD,
    CONTINUE,
    LAST_CHUNK,
    FieldInvalid,
    chunk_bytes,
    cors_fields,
    head_bytes,
    parts_head_bytes,
    rejection_bytes,
    reply_bytes,
    reply_bytes_with_cors,
)
from cometreel.serve.server_context import PausableConnection, ServerContext
from cometreel.serve.websocket_connection import WebSocketConnection
from cometreel.wire import Begin, Chunk, Drop, End, Forward, Reply, Request

__all__ = ["HttpConnection"]

logger = logging.getLogger(__name__)

MAX_PIPELINED: Final = 16  # requests that are read before earlier ones are answered; then a disconnect is noticed late
MAX_TURNS: Final = 16  # requests of one connection that are answered until other connections have their turn
KEEP_ALIVE: Final = 75.0  # seconds until an idle connection is closed; clients close theirs earlier


class HttpConnection(PausableConnection):
    """One HTTP connection.

    One request at a time has its turn: `_head` is its head. It ends when the answer was handed to the transport
    (`_finish`). Requests that arrive meanwhile wait in `_queue`. A refused request ends the connection, after the
    answers to earlier ones.

    `read_deadline` and `write_deadline` are times of the event loop, or `inf`; after them, call `expire`.
    """

    __slots__ = (
        "_answered_id",
        "_bridge",
        "_client",
        "_context",
        "_has_body",
        "_head",
        "_incoming",
        "_is_lingering",
        "_parser",
        "_queue",
        "_refused",
        "_request_id",
        "_turns",
        "_unwritten",
        "_waiters",
        "read_deadline",
        "write_deadline",
    )

    def __init__(self, context: ServerContext) -> None:
        super().__init__()
        self._context = context
        self._client = ""
        self._parser: RequestParser | None = None  # while a request is incomplete
        self._head: ParsedHead | None = None  # of the request whose turn it is
        self._request_id = 0  # of the request that the engine has and that is not answered
        self._answered_id = 0  # of the latest request that was answered, unless the connection is closed after it
        self._incoming: IncomingRequest | None = None  # the request whose turn it is, until its body is complete
        self._bridge: AsgiRequest | None = None  # the request whose turn it is, if an ASGI application answers it
        self._queue: deque[IncomingRequest] | None = None
        self._unwritten: deque[Reply | Begin | ReplyPart] | None = None  # not None while the client does not read
        self._waiters: list[asyncio.Future[None]] | None = None
        self._refused: RequestRejected | None = None
        self._is_lingering = False
        self._turns = 0  # since the event loop called this connection
        self._has_body = False  # True while a reply is sent in parts that are not discarded
        self.read_deadline = context.loop.time() + context.limits.request_seconds
        self.write_deadline = inf

    @property
    def secure(self) -> bool:
        """True for HTTPS."""
        return self._context.secure

    def server_address(self) -> tuple[str, int]:
        """Return the address and port that the client connected to."""
        address, port = self._transport.get_extra_info("sockname")[:2]
        return address, port

    def client_address(self) -> tuple[str, int] | None:
        """Return the address and port of the client; None if it is gone."""
        address = self._transport.get_extra_info("peername")
        return (address[0], address[1]) if address else None

    # ------------------------------------------------------------------ callbacks of the event loop
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as for any TCP server
        """Accept the connection, or refuse it if there are too many."""
        self._transport, context = transport, self._context
        address = self.client_address()
        self._client = intern(address[0]) if address else ""
        if len(context.connections) < context.limits.connections:
            context.connections.add(self)
            return
        text = f"there are {context.limits.connections} connections already, the maximum of this server"
        logger.warning("A connection was refused: %s.", text)
        self._refused = RequestRejected(503, 4, text)
        transport.write(rejection_bytes(self._refused))
        transport.close()

    def data_received(self, data: bytes) -> None:
        """Answer the requests in the data, unless one was refused."""
        if self._refused is not None:
            return
        self._turns = 0
        parser, context, is_new = self._parser, self._context, False
        if parser is None:
            data = self._answer_known(data)
            if not data:
                return
            is_new = True
            parser = self._parser = context.take_parser()
            parser.start(self)
        try:
            parser.feed(data)
        except RequestRejected as rejected:
            self._refuse(rejected, parser.incoming)
            self._discard_parser()
            return
        if parser.is_idle:
            self._parser = None
            context.release_parser(parser)
            if is_new and (head := parser.last_head) is not None and context.is_direct(head):
                context.known_heads.learn(data, head)

    def _answer_known(self, data: bytes) -> bytes:
        """Answer the complete requests at the start of the data whose heads are known; return the rest.

        A packet is usually one request whose head came before, so one search, two slices and one lookup replace the
        parser.
        """
        known, start, size = self._context.known_heads.get, 0, len(data)
        while start < size:
            begin = data.find(HEAD_END, start) + len(HEAD_END)
            head = known(data[start:begin])
            if head is None or size - begin < head.length:
                break
            start = begin + head.length
            self.read_deadline = inf
            if self._may_begin() and not self._transport.is_closing():
                self._turns += 1
                self._answer(head, data[begin:start])
            else:
                self._enqueue(IncomingRequest(head, data[begin:start], is_complete=True))
        return data[start:] if start else data

    def pause_writing(self) -> None:
        """Keep further answers: the client does not read."""
        context = self._context
        self.write_deadline = context.loop.time() + context.limits.write_seconds
        if self._unwritten is None:
            self._unwritten = deque()

    def resume_writing(self) -> None:
        """Write the answers that were kept."""
        self.write_deadline = inf
        unwritten = self._unwritten
        while unwritten and self.write_deadline == inf:  # else it is paused again
            self._write_answer(unwritten.popleft())
        if self.write_deadline == inf:
            self._unwritten = None
            self._wake_waiters()
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the engine, or the application, that the client is gone; forget the requests that wait."""
        context, request_id, answered_id = self._context, self._request_id, self._answered_id
        context.connections.discard(self)
        self._discard_parser()
        self._queue = self._incoming = self._unwritten = self._head = self._refused = None
        self._request_id, self._answered_id, self.read_deadline, self.write_deadline = 0, 0, inf, inf
        if self._bridge is not None:
            self._bridge.disconnected()
            self._bridge = None
        self._wake_waiters()
        if request_id and context.replay is not None:
            context.replay.driver.hung_up(request_id)
        elif answered_id and context.replay is not None:
            context.replay.driver.left(answered_id)

    # ------------------------------------------------------------------ callbacks of the parser
    def accepts_websocket(self) -> bool:
        """True if the connection may become a WebSocket now: no earlier request is unanswered."""
        return self._head is None and not self._queue and self._unwritten is None

    def message_begun(self) -> None:
        """Limit the time until the request is complete."""
        context = self._context
        self.read_deadline = context.loop.time() + context.limits.request_seconds

    def head_received(self, incoming: IncomingRequest) -> None:
        """Begin the turn of a request, or let it wait."""
        if self._may_begin():
            self._begin_turn(incoming)
        else:
            self._enqueue(incoming)

    def body_received(self, incoming: IncomingRequest) -> None:
        """Refuse a body that becomes too long; read no more of a request that waits."""
        if self._bridge is not None and incoming is self._incoming:
            self._bridge.body_received()
        elif incoming is not self._incoming:
            if incoming.size > MAX_BUFFERED:
                self.pause_reading()
        elif (
            incoming.head.is_chunked
            and (replay := self._context.replay) is not None
            and incoming.size > replay.max_body  # the size is 0 if the request was refused already
        ):
            self._refuse_body(incoming, too_long(replay.max_body, unread=True))

    def request_received(self, incoming: IncomingRequest) -> None:
        """Answer the request if it is its turn and it is not answered already."""
        self.read_deadline = inf
        if incoming is not self._incoming:
            if self._head is None:  # a preflight request was answered before its body arrived
                self._set_idle()
        elif self._bridge is not None:
            self._incoming = None
            self._bridge.body_received()
        elif self._is_lingering:
            self._flushed().close()
        else:
            self._incoming = None
            self._answer_received(incoming)

    def websocket_offered(self, head: ParsedHead, rest: bytes) -> None:
        """Hand the transport over to a WebSocket."""
        context, transport = self._context, self._flushed()
        context.connections.discard(self)
        self._discard_parser()
        self.read_deadline = inf
        socket = WebSocketConnection(context, transport, head)
        context.connections.add(socket)
        transport.set_protocol(socket)
        socket.open(rest)

    def _discard_parser(self) -> None:
        if self._parser is not None:
            self._parser.discard()
            self._parser = None

    # ------------------------------------------------------------------ turns
    def _flushed(self) -> asyncio.Transport:
        """Return the transport, after the replies that were handed over are written."""
        self._context.replies.write()
        return self._transport

    def _may_begin(self) -> bool:
        """True if a request that has just arrived need not wait for others, or for its client to read."""
        return self._head is None and not self._queue and self._turns < MAX_TURNS and self._unwritten is None

    def _is_free(self) -> bool:
        """True if no request is being answered, and the client reads."""
        return self._head is None and self._unwritten is None and not self._transport.is_closing()

    def _enqueue(self, incoming: IncomingRequest) -> None:
        """Let a request wait for its turn."""
        if self._queue is None:
            self._queue = deque()
        if self._head is None and not self._queue and self._unwritten is None:  # it waits for other connections only
            self._context.loop.call_soon(self._next)
        self._queue.append(incoming)
        if len(self._queue) >= MAX_PIPELINED:
            self.pause_reading()

    def _begin_turn(self, incoming: IncomingRequest) -> None:
        """Begin to answer a request: at once, when its body is complete, or by an ASGI application."""
        if self._transport.is_closing():
            return
        context, head = self._context, incoming.head
        self._head = head
        self._turns += 1
        if not incoming.is_complete:
            self._incoming = incoming
        elif not self._is_receiving():
            self.read_deadline = inf
        replay = context.replay
        if replay is None or replay.is_admin(head.decoded_path):
            keep_alive = head.keep_alive and not context.is_stopping
            self._bridge = AsgiRequest(self, incoming, keep_alive=keep_alive)
            context.start(context.loop.create_task(self._bridge.run(context.app)))
        elif replay.cors is not None and (preflight := replay.cors.preflight(_preflight_request(head))) is not None:
            incoming.discard()
            self._incoming = None
            self._flushed().write(reply_bytes(preflight, head, close=self._closes(head)))
            self._finish()
        elif is_too_long(head.length, replay.max_body):
            self._refuse_body(incoming, announced_too_long(head.length, replay.max_body))
        else:
            if head.expects_continue:
                self._flushed().write(CONTINUE)
            if incoming.is_complete:
                self._answer_received(incoming)

    def _next(self) -> None:
        """Begin the turns of waiting requests until one is not answered at once; then answer a refused request."""
        self._turns = 0
        while self._queue and self._is_free():
            if self._turns >= MAX_TURNS:
                self._context.loop.call_soon(self._next)
                return
            incoming = self._queue.popleft()
            self.resume_reading()
            self._begin_turn(incoming)
        if self._refused is not None and not self._queue and self._is_free() and not self._is_lingering:
            self._send_refusal(self._refused)

    def _finish(self) -> None:
        """End the turn of the request that was answered; close the connection if its client wants that."""
        head, self._head = self._head, None
        self._answered_id, self._request_id = self._request_id, 0
        if head is None or self._closes(head):
            self._answered_id = 0
            self._flushed().close()
        elif not self._is_receiving():
            self._set_idle()

    def _is_receiving(self) -> bool:
        """True if a part of a request was received."""
        return self._parser is not None and self._parser.is_begun

    def _closes(self, head: ParsedHead) -> bool:
        return not head.keep_alive or self._context.is_stopping

    def _set_idle(self) -> None:
        self.read_deadline = self._context.loop.time() + KEEP_ALIVE

    # ------------------------------------------------------------------ answers of the engine
    def _answer_received(self, incoming: IncomingRequest) -> None:
        """Decode the body of a complete request, and answer it."""
        assert self._context.replay is not None
        try:
            body = decoded_body(incoming.head.headers, incoming.take(), self._context.replay.max_body)
        except BodyRefused as refused:
            self._refuse_body(incoming, refused)
        else:
            self._answer(incoming.head, body)

    def _answer(self, head: ParsedHead, body: bytes) -> None:
        """Pass a request to the engine; write its reply, or let the driver hold it."""
        replay = self._context.replay
        assert replay is not None
        driver, self._head = replay.driver, head
        request_id = self._request_id = driver.new_request_id()
        request = Request(
            request_id, head.method, head.path, head.query, head.headers, body, head.base, False, self._client
        )
        try:
            answer = driver.begin(request)
        except Exception:
            logger.exception("A request could not be answered.")
            self._fail()
            return
        if answer is None:
            if replay.cors is None:
                self._head = head.without_fields()  # the fields are the largest part of a held poll
            driver.hold_for(request_id, self._answered)
        elif isinstance(answer, Forward):
            self._context.start(asyncio.ensure_future(self._forward(replay, request)))
        else:
            self._perform(answer)

    def _answered(self, answer: DriverReply) -> None:
        """Take the reply to a held request; the driver calls this."""
        assert not isinstance(answer, Forward)  # the engine forwards a request immediately or never
        self._perform(answer)
        if (self._queue or self._refused) and self._head is None:
            self._context.loop.call_soon(self._next)  # the driver must not be called back within its call

    async def _forward(self, replay: ReplayApp, request: Request) -> None:
        """Answer a request with the reply of the real server."""
        try:
            reply = await replay.forwarded(request)
        except Exception:
            logger.exception("A request could not be forwarded.")
            reply = None
        if self._request_id != request.id:  # the client is gone, and the engine knows it
            return
        if reply is None:
            self._fail()
        else:
            self._perform(reply)
        self._next()

    def _perform(self, answer: Reply | Begin | Drop | Chunk | End) -> None:
        """Write an answer or a part of one; keep it if the client does not read."""
        if self._unwritten is None or isinstance(answer, Drop):
            self._write_answer(answer)
        else:
            self._unwritten.append(answer)

    def _write_answer(self, answer: Reply | Begin | ReplyPart) -> None:
        """Write an answer; if the connection is closing, it isn't written, and `connection_lost` tells the engine."""
        if self._transport.is_closing():
            return
        try:
            if isinstance(answer, Reply):
                self._write_reply(answer)
            elif isinstance(answer, Drop):
                self._request_id = 0
                self._head = None
                self._flushed().abort()
            else:
                self._write_part(answer)
        except FieldInvalid as error:
            logger.error("A connection was closed instead of a reply: %s.", error)  # noqa: TRY400  # no traceback
            self._flushed().close()

    def _write_reply(self, reply: Reply) -> None:
        """Hand a reply over, report it as written, and end the turn."""
        replay, head, request_id = self._context.replay, self._head, self._request_id
        if head is None or replay is None:  # the client is gone
            return
        close = not head.keep_alive or self._context.is_stopping
        if replay.cors is None:
            data = reply_bytes(reply, head, close=close)
        else:
            data = reply_bytes_with_cors(reply, head, replay.cors, close=close)
        self._context.replies.add(self._transport, data)
        self._finish()  # first: the report below may have effects on this connection too
        replay.driver.written(request_id)

    def _write_part(self, part: Begin | Chunk | End) -> None:
        """Write the head or a part of a reply; a client of HTTP/1.0 gets the parts without chunks, and then the end."""
        replay, head, request_id = self._context.replay, self._head, self._request_id
        if head is None or replay is None:  # the client is gone
            return
        if isinstance(part, Begin):
            self._has_body = head.method != "HEAD" and part.status not in BODILESS
            self._flushed().write(parts_head_bytes(part, head, replay.cors, close=self._closes(head)))
            replay.driver.stream(request_id, self._continued)
        elif isinstance(part, Chunk):
            if part.data and self._has_body:
                self._flushed().write(part.data if head.version == "1.0" else chunk_bytes(part.data))
            replay.driver.written(request_id)
        else:
            if self._has_body and head.version != "1.0":
                self._flushed().write(LAST_CHUNK)
            self._finish()

    def _continued(self, part: ReplyPart) -> None:
        """Take a part of a reply; the driver calls this."""
        self._perform(part)
        if (self._queue or self._refused) and self._head is None:
            self._context.loop.call_soon(self._next)

    def _fail(self) -> None:
        """Send an error for a request that the engine could not answer, and close."""
        self._request_id = 0
        fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")]
        self._flushed().write(head_bytes(500, fields, close=True) + b"Internal Server Error")
        self._flushed().close()

    # ------------------------------------------------------------------ refusals
    def _refuse_body(self, incoming: IncomingRequest, refused: BodyRefused) -> None:
        """Send the error for a body; discard the rest of the body for a while, because clients read after sending."""
        replay, head = self._context.replay, incoming.head
        assert replay is not None
        reply = refused.reply(0)
        fields = [*reply_fields(reply), CLOSE_FIELD]
        if replay.cors is not None:
            fields = [*cors_fields(replay.cors, head.headers, fields)]
        self._flushed().write(head_bytes(reply.status, fields) + (b"" if head.method == "HEAD" else reply.body))
        if incoming.is_complete or not refused.unread:
            self._flushed().close()
            return
        incoming.discard()
        self._is_lingering, self.read_deadline = True, self._context.loop.time() + LINGER
        self.resume_reading()

    def _refuse(self, rejected: RequestRejected, incoming: IncomingRequest | None) -> None:
        """Parse no more data; send the error when all earlier requests are answered.

        `incoming` is the refused request, if its head was valid.
        """
        logger.warning("A connection was refused: %s.", rejected.text)
        self._refused, self.read_deadline = rejected, inf
        if incoming is not None and incoming is self._incoming:
            bridge, self._bridge = self._bridge, None
            if self._is_lingering or (bridge is not None and bridge.is_started):  # its response has begun
                self._flushed().close()
                return
            if bridge is not None:
                bridge.disconnected()
            self._head = self._incoming = None
        elif incoming is not None and self._queue and self._queue[-1] is incoming:
            self._queue.pop()
        if self._head is None:
            self._next()

    def _send_refusal(self, rejected: RequestRejected) -> None:
        """Send the error and close, but read on for a while: a client that is cut off would not read the error."""
        transport = self._flushed()
        transport.write(rejection_bytes(rejected))
        if not transport.can_write_eof():  # TLS
            transport.close()
            return
        transport.write_eof()
        self._is_lingering, self.read_deadline = True, self._context.loop.time() + LINGER
        self.resume_reading()

    def expire(self, now: float) -> None:
        """Close the connection because a deadline has passed: its client is too slow, or it is idle."""
        limits = self._context.limits
        if now > self.write_deadline:
            logger.warning(
                "A connection was closed: its client did not read a response for %g s.", limits.write_seconds
            )
            self._flushed().abort()
        elif self._is_lingering:
            self._flushed().abort() if self._refused is not None else self._flushed().close()
        elif self._parser is not None and self._parser.is_begun:
            text = f"the request was not complete after {limits.request_seconds:g} s"
            self._refuse(RequestRejected(408, 2, text), self._parser.incoming)
        else:
            self._flushed().close()  # nothing was received, so there is nothing to answer

    def stop(self) -> None:
        """Close the connection, after the answer if a request is being answered."""
        if self._bridge is not None:
            self._bridge.close_after()
        elif self._head is None:
            self._flushed().close()

    # ------------------------------------------------------------------ for `AsgiRequest`
    def write(self, data: bytes) -> None:
        """Write; nothing if the connection is closing."""
        if not self._transport.is_closing():
            self._flushed().write(data)

    async def writable(self) -> None:
        """Wait until the client has read enough of what was written, or is gone."""
        if self._unwritten is not None:
            waiter = self._context.loop.create_future()
            self._waiters = [*(self._waiters or ()), waiter]
            await waiter

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def abort(self) -> None:
        """Close immediately; unwritten bytes are discarded."""
        self._flushed().abort()

    def answered(self, *, close: bool) -> None:
        """End the turn of the request that the ASGI application has answered."""
        if self._incoming is not None:
            self._incoming.discard()
        self._bridge = self._incoming = None
        self.resume_reading()
        if close:
            self._head = None
            self._flushed().close()
        else:
            self._finish()
            self._next()


def _preflight_request(head: ParsedHead) -> Request:
    return Request(0, head.method, head.path, head.query, head.headers)
