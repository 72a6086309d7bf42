"""One connection to the target on the event loop, plain or with TLS. It is opened when data is sent. No HTTP here."""

from __future__ import annotations

import errno
import socket
import ssl
from enum import Enum
from typing import Final, Protocol

from gevent import monkey

from cometreel.locust_agents.event_loop import EventLoop, SocketWatcher, clock
from cometreel.locust_agents.load_target import LoadTarget

__all__ = ["Connection", "ConnectionHandler", "ConnectionLoss", "TlsPipe"]

_READ_SIZE = 65536


class TlsPipe:
    """The client side of a TLS connection without I/O. After each call, `outgoing` returns the bytes to send.

    Each call may raise `ssl.SSLError`; the connection can't be used after that.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._early: list[bytes] = []
        self._ready = False
        self.ended = False
        """True if the server has closed the TLS connection."""
        self._handshake()

    def send(self, data: bytes) -> None:
        """Encrypt data. Before the end of the handshake it is queued."""
        if self._ready:
            self._tls.write(data)
        else:
            self._early.append(data)

    def receive(self, data: bytes) -> bytes:
        """Return all decrypted data. Data left in the buffer would not trigger another read event."""
        self._incoming.write(data)
        if not self._ready:
            self._handshake()
        chunks: list[bytes] = []
        while self._ready and not self.ended:
            try:
                chunk = self._tls.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                chunk = b""
            self.ended = not chunk
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def outgoing(self) -> bytes:
        """Return the bytes to send."""
        return self._outgoing.read()

    def _handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self._ready = True
        for data in self._early:
            self._tls.write(data)
        self._early.clear()


_socket: Final = monkey.get_original(
    "socket", "socket"
)  # the gevent socket would block the greenlet; this one is non-blocking


class ConnectionLoss(Enum):
    """The reason why there is no reply. The texts are constant because reports count them."""

    REFUSED = "the connection was refused"
    UNREACHABLE = "the host is unreachable"
    CLOSED = "the connection was closed before the reply"
    TLS = "TLS failed"
    NOT_HTTP = "the reply isn't HTTP"
    NO_REPLY = "no reply in time"
    STOPPED = "the agent was stopped"


class ConnectionHandler(Protocol):
    """Receives the events of a connection."""

    def data_received(self, data: bytes, now: float) -> None:
        """Handle data; `now` is the time right after it was read."""

    def connection_lost(self, loss: ConnectionLoss) -> None:
        """Handle the end of the connection. The next `send` opens a new one."""


class Connection:
    """At most one open TCP connection to the target."""

    def __init__(self, event_loop: EventLoop, target: LoadTarget, handler: ConnectionHandler) -> None:
        self._event_loop, self._target, self._handler = event_loop, target, handler
        self._socket: socket.socket | None = None
        self._tls: TlsPipe | None = None
        self._reading: SocketWatcher | None = None
        self._writing: SocketWatcher | None = None
        self._out = b""  # data that the kernel has not accepted yet

    @property
    def is_open(self) -> bool:
        """True if the connection is open or opening."""
        return self._socket is not None

    def send(self, data: bytes) -> None:
        """Send data; open a connection first if there is none. Errors are reported to the handler."""
        if self._socket is None:
            self._open()
        if self._tls is not None:
            self._tls.send(data)
            data = self._tls.outgoing()
        self._write(data)

    def close(self) -> None:
        """Close the connection without calling the handler."""
        for watch in (self._reading, self._writing):
            if watch is not None:
                watch.stop()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._tls = self._reading = self._writing = None
        self._out = b""

    def _open(self) -> None:
        address = self._target.address
        self._socket = opened = _socket(address.family, socket.SOCK_STREAM)
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.connect_ex(address.socket_address)  # the result is known when the socket is writable
        if self._target.secure:
            self._tls = TlsPipe(self._target.context, self._target.host)
            self._out = self._tls.outgoing()
        self._writing = self._event_loop.writable(opened.fileno(), self._connected)

    def _connected(self) -> None:
        assert self._socket is not None
        self._stop_writing()
        if code := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._report_loss(ConnectionLoss.REFUSED if code == errno.ECONNREFUSED else ConnectionLoss.UNREACHABLE)
            return
        self._reading = self._event_loop.readable(self._socket.fileno(), self._read)
        waiting, self._out = self._out, b""
        self._write(waiting)

    def _write(self, data: bytes) -> None:
        if self._out or self._reading is None:  # after queued data, or the connection is not open yet
            self._out += data
            return
        assert self._socket is not None
        try:
            sent = self._socket.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the loss is also a read event, after the data that the server sent before it
        if sent < len(data):
            self._out = data[sent:]
            self._writing = self._event_loop.writable(self._socket.fileno(), self._write_rest)

    def _write_rest(self) -> None:
        self._stop_writing()
        waiting, self._out = self._out, b""
        self._write(waiting)

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.stop()
            self._writing = None

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = clock()
        if not data:
            self._report_loss(ConnectionLoss.CLOSED)
        elif self._tls is None:
            self._handler.data_received(data, now)
        else:
            self._decrypt(self._tls, data, now)

    def _decrypt(self, tls: TlsPipe, data: bytes, now: float) -> None:
        try:
            plain = tls.receive(data)
        except ssl.SSLError:
            self._report_loss(ConnectionLoss.TLS)
            return
        self._write(tls.outgoing())
        if plain:
            self._handler.data_received(plain, now)
        if tls.ended and self._tls is tls:
            self._report_loss(ConnectionLoss.CLOSED)

    def _report_loss(self, loss: ConnectionLoss) -> None:
        self.close()
        self._handler.connection_lost(loss)
