"""Plays the history of a run again over real sockets, and compares the bytes.

The history says what clients and the environment did, and when; each request, frame and hang-up is repeated on a socket
of its own or a kept-alive one, and the manual clock of the server is moved in between. So the answers must be those in
memory: equal status, header fields, bodies, frames and close codes, at their time and in their order.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11
from websockets.client import ClientProtocol
from websockets.frames import Close, Opcode
from websockets.frames import Frame as WireFrame
from websockets.http11 import Response
from websockets.uri import parse_uri

from cometreel.http_fields import BODILESS
from cometreel.jsonvalue import JSON
from cometreel.wire import Accept, Drop, Frame, Headers, Reply, Request
from tests.simulation.history import Changed, Emitted, FrameSent, History, Lost, Output, Sent
from tests.simulation.plan import START

__all__ = ["PATIENCE", "AllowedDifferences", "ServedReplay", "SocketRun", "address_of", "difference"]

PATIENCE = 20.0
"""How long an answer may take in real time, in seconds."""
HOST = "localhost"
"""The Host of each request: that of the simulated clients."""
PIECE = 65_536


class BytesDiffer(Exception):
    """The server has sent something else than the engine in memory. The first line says what, others show the bytes."""


@dataclass(frozen=True)
class AllowedDifferences:
    """The differences between what a server sends and what the engine returns."""

    adds: Mapping[str, str]
    """The header fields in lower case that the server adds, each with a reason."""
    upgrade_fields: bool = True
    """False if it sends no header fields of the application with the acceptance of a WebSocket."""
    broken: bytes = b""
    """The beginning of what it sends when the engine closes a connection."""


@dataclass(frozen=True)
class ServedReplay:
    """A running server: its URL, that of the admin API, its token, and the pipe with the reports of its driver."""

    name: str
    url: str
    admin_url: str
    token: str
    reports: int
    allowed: AllowedDifferences


# ------------------------------------------------------------------ connections
class PlainConnection:
    """One TCP connection of a client, for one HTTP request after another."""

    def __init__(self, address: tuple[str, int], client: str = "") -> None:
        self.socket = _connected(address, client)
        self._http = h11.Connection(h11.CLIENT)

    def send(self, request: Request) -> None:
        """Send a request."""
        target = f"{request.path}?{request.query}" if request.query else request.path
        fields = [("Host", HOST), *request.headers]
        if request.method == "POST":
            fields.append(("Content-Length", str(len(request.body))))
        head = h11.Request(method=request.method, target=target, headers=fields)
        data = (self._http.send(head) or b"") + (self._http.send(h11.Data(data=request.body)) or b"")
        self.socket.sendall(data + (self._http.send(h11.EndOfMessage()) or b""))

    def reply(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return status, header fields and body of the next response."""
        head, body = None, b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(self.socket.recv(PIECE))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                assert head is not None
                return head.status_code, _decoded(head.headers), body

    def is_reusable(self) -> bool:
        """True if another request may be sent."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return self._http.our_state is h11.IDLE

    def ended(self, expected: bytes) -> bytes:
        """Return what the server sends until it closes the connection, or until it has sent something as expected."""
        data = b""
        try:
            while not (expected and data.startswith(expected)) and (piece := self.socket.recv(PIECE)):
                data += piece
        except ConnectionResetError:
            pass
        return data[: len(expected)] or data

    def unread(self) -> bytes:
        """Return what was received and is not read."""
        return self._http.trailing_data[0]


class WebSocketClient:
    """One WebSocket of a client."""

    def __init__(self, address: tuple[str, int], client: str, request: Request) -> None:
        self.socket = _connected(address, client)
        self._protocol = ClientProtocol(parse_uri(f"ws://{HOST}{request.path}"))
        upgrade = self._protocol.connect()
        for name, value in request.headers:
            upgrade.headers[name] = value
        self._protocol.send_request(upgrade)
        self._events: list[Any] = []
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.socket.sendall(data)

    def _next(self) -> Response | WireFrame | None:
        """Return the next event; None after the end of the connection."""
        while not self._events:
            try:
                data = self.socket.recv(PIECE)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._protocol.receive_data(data)
            self._flush()
            self._events += self._protocol.events_received()
        event: Response | WireFrame = self._events.pop(0)
        return event

    def accepted(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return status, header fields and body of the response to the upgrade."""
        event = self._next()
        if not isinstance(event, Response):
            raise BytesDiffer(f"the upgrade is not answered\n  {event}")
        fields = [(name.lower(), value) for name, value in event.headers.raw_items()]
        return event.status_code, fields, bytes(event.body or b"")

    def send(self, text: str) -> None:
        """Send a text frame."""
        self._protocol.send_text(text.encode())
        self._flush()

    def frame(self) -> str:
        """Return the text of the next frame."""
        event = self._next()
        if not isinstance(event, WireFrame) or event.opcode is not Opcode.TEXT:
            raise BytesDiffer(f"the server doesn't send a text frame\n  {event}")
        return bytes(event.data).decode()

    def close_code(self) -> int | None:
        """Wait for the end of the connection; return the code of the server; None without one."""
        event = self._next()
        if event is None:
            return None
        if not isinstance(event, WireFrame) or event.opcode is not Opcode.CLOSE:
            raise BytesDiffer(f"the server doesn't send a close frame\n  {event}")
        return Close.parse(event.data).code

    def unread(self) -> str:
        """Return what was received and is not read."""
        return "".join(map(str, self._events))


def address_of(client: str) -> str:
    """Return the address of a client, by its name: each has its own, as on a network."""
    return f"127.0.0.{ord(client[:1] or 'z')}"


def _connected(address: tuple[str, int], client: str) -> socket.socket:
    return socket.create_connection(address, PATIENCE, source_address=(address_of(client), 0))


def _decoded(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in fields]


# ------------------------------------------------------------------ the server
class DriverReports:
    """Reads the reports of a driver, and waits for one."""

    def __init__(self, pipe: int) -> None:
        self._pipe, self._rest = pipe, b""
        self._new_requests: list[int] = []
        self._others: defaultdict[str, int] = defaultdict(int)

    def _read(self, what: str) -> None:
        if not select.select([self._pipe], [], [], PATIENCE)[0]:
            raise BytesDiffer(f"the driver has not reported {what} after {PATIENCE} s")
        data = os.read(self._pipe, PIECE)
        if not data:
            raise BytesDiffer("the server has ended")
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            kind, _, number = line.decode().partition(" ")
            if kind == "received":
                self._new_requests.append(int(number))
            else:
                self._others[f"{kind} {number}"] += 1

    def next_request(self) -> int:
        """Wait until the engine has received a request; return its number."""
        while not self._new_requests:
            self._read("received")
        return self._new_requests.pop(0)

    def wait_for(self, report: str) -> None:
        """Wait for a report such as `written 7`, once for each call."""
        while not self._others[report]:
            self._read(report)
        self._others[report] -= 1


class AdminConnection:
    """Calls the admin API of a server."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._http = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)
        self._fields = {"Authorization": f"Bearer {token}", "Host": str(parts.netloc)}

    def call(self, method: str, path: str, body: JSON | bytes = None) -> None:
        """Send a command; an error is an `AssertionError`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._http.request(method, f"/__reel__/{path}", data, self._fields)
        reply = self._http.getresponse()
        text = reply.read()
        assert reply.status < 300, (path, reply.status, text)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


class SocketRun:
    """One history on one server."""

    def __init__(self, served: ServedReplay, scenario: str) -> None:
        parts = urlsplit(served.url if "//" in served.url else f"//{served.url}")
        self._served, self._scenario = served, scenario
        self._address = str(parts.hostname), int(parts.port or 80)
        self._admin = AdminConnection(served.admin_url, served.token)
        self._reports = DriverReports(served.reports)
        self._open: dict[int, PlainConnection | WebSocketClient] = {}
        self._numbers: dict[int, int] = {}  # the number of each request in the server
        self._idle: defaultdict[str, list[PlainConnection]] = defaultdict(list)
        self.at = 0.0
        """The time since the beginning of the run, in seconds."""
        self.compared = 0
        """The number of replies, frames and ends of connections that were compared."""
        self.current = ""
        """The kind of the entry or of the output that is being played."""

    def play(self, history: History) -> None:
        """Play a history.

        :raises BytesDiffer: at the first difference.
        """
        with ExitStack() as stack:
            stack.callback(self._close)
            for entry in history:
                self.current = type(entry.output if isinstance(entry, Emitted) else entry).__name__
                self._move_to(entry.at)
                if isinstance(entry, Sent):
                    self._send(entry.client, entry.request)
                elif isinstance(entry, FrameSent):
                    self._send_frame(entry.request_id, entry.text)
                elif isinstance(entry, Emitted):
                    self._compare(entry.client, entry.output)
                elif isinstance(entry, Lost):
                    self._hang_up(entry.request_id)
                elif isinstance(entry, Changed):
                    self._change(entry.what, entry.value)
            self._expect_silence()

    def _close(self) -> None:
        self._admin.close()
        for each in self._connections():
            each.socket.close()

    def _connections(self) -> list[PlainConnection | WebSocketClient]:
        return [*self._open.values(), *(each for idle in self._idle.values() for each in idle)]

    # ------------------------------------------------------------------ time
    def _move_to(self, at: float) -> None:
        offset = round(at - START, 6)
        if offset > self.at:
            self._expect_silence()
            self._admin.call("POST", "clock/advance", {"by": round(offset - self.at, 6), "settle": 0})
            self.at = offset

    def _expect_silence(self) -> None:
        """Check that the server has sent nothing that the engine in memory has not."""
        connections = self._connections()
        readable = select.select([each.socket for each in connections], [], [], 0)[0]
        for each in connections:
            if each.socket in readable or each.unread():
                data = each.socket.recv(PIECE) if each.socket in readable else each.unread()
                raise BytesDiffer(f"the server sends more than the engine in memory\n  {data!r}")

    # ------------------------------------------------------------------ clients
    def _send(self, client: str, request: Request) -> None:
        if request.websocket:
            self._open[request.id] = WebSocketClient(self._address, client, request)
        else:
            connection = self._idle[client].pop() if self._idle[client] else PlainConnection(self._address, client)
            connection.send(request)
            self._open[request.id] = connection
        self._numbers[request.id] = self._reports.next_request()

    def _send_frame(self, request_id: int, text: str) -> None:
        connection = self._open[request_id]
        assert isinstance(connection, WebSocketClient)
        connection.send(text)
        self._reports.wait_for(f"frame {self._numbers[request_id]}")

    def _hang_up(self, request_id: int) -> None:
        connection = self._open.pop(request_id, None)
        if connection is not None:  # else the server has closed it
            connection.socket.close()
            self._reports.wait_for(f"gone {self._numbers[request_id]}")

    # ------------------------------------------------------------------ the environment
    def _change(self, what: str, value: JSON) -> None:
        if what == "reset":
            self._admin.call("POST", "reset")
        elif what == "reload":
            self._admin.call("PUT", "scenario", self._scenario.encode())
        elif what == "speed":
            self._admin.call("PUT", "speed", {"speed": value})
        elif what == "push":
            self._admin.call("POST", "push", {"channel": "/pushed", "data": {"e": "push.0", "n": value}})
        elif what == "probe":
            connection = PlainConnection(self._address)
            connection.send(Request(0, "GET", "/probe", headers=Headers((("X-Probe", "1"),))))
            connection.reply()
            self._reports.wait_for(f"written {self._reports.next_request()}")
            connection.socket.close()

    # ------------------------------------------------------------------ comparing
    def _compare(self, client: str, output: Output) -> None:
        request_id = output.request_id
        connection, number = self._open[request_id], self._numbers[request_id]
        self.compared += 1
        if isinstance(connection, PlainConnection):
            if isinstance(output, Reply):
                self._compare_head(output, output.headers, output.status, output.body, connection.reply())
                self._reports.wait_for(f"written {number}")
                del self._open[request_id]
                if connection.is_reusable():
                    self._idle[client].append(connection)
                else:
                    connection.socket.close()
            else:
                assert isinstance(output, Drop), output
                self._require(
                    output, "bytes", self._served.allowed.broken, connection.ended(self._served.allowed.broken)
                )
                del self._open[request_id]
                connection.socket.close()
        elif isinstance(output, Accept):
            headers = output.headers if self._served.allowed.upgrade_fields else Headers()
            self._compare_head(output, headers, 101, b"", connection.accepted())
        elif isinstance(output, Frame):
            self._require(output, "text", output.text, connection.frame())
            self._reports.wait_for(f"written {number}")
        elif isinstance(output, Reply):
            self._compare_head(output, output.headers, output.status, output.body, connection.accepted())
        else:
            assert isinstance(output, Drop), output
            self._require(output, "code", output.code, connection.close_code())
            del self._open[request_id]
            connection.socket.close()
            self._reports.wait_for(f"gone {number}")

    def _compare_head(
        self,
        output: Output,
        headers: Headers,
        status: int,
        body: bytes,
        received: tuple[int, list[tuple[str, str]], bytes],
    ) -> None:
        fields = [(name.lower(), value) for name, value in headers]
        if isinstance(output, Reply) and status not in BODILESS:
            self._require(output, "content-length", str(len(body)), dict(received[1]).get("content-length"))
        kept = [each for each in received[1] if each[0] not in self._served.allowed.adds]
        others = " ".join(sorted({name for name, _ in {*fields} ^ {*kept}}))
        self._require(output, "status", status, received[0])
        self._require(output, f"fields {others}", fields, kept)
        self._require(output, "body", body, received[2])

    def _require(self, output: Output, part: str, expected: object, found: object) -> None:
        if expected != found:
            first, second = _first_difference(repr(expected), repr(found))
            what = f"{type(output).__name__} {output.request_id} has other {part}"
            raise BytesDiffer(f"{what}\n  in memory {first}\n  {self._served.name} {second}")


def _first_difference(one: str, other: str) -> tuple[str, str]:
    """Return two texts from shortly before their first difference on."""
    place = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    shown = slice(max(0, place - 60), place + 120)
    return f"…{one[shown]}…", f"…{other[shown]}…"


def difference(served: ServedReplay, history: History, scenario: str) -> tuple[str, int]:
    """Play a history on a server; return the first difference, or "", and the number of compared outputs."""
    run = SocketRun(served, scenario)
    try:
        run.play(history)
    except BytesDiffer as error:
        return f"{run.at}: {error}", run.compared
    except (OSError, h11.RemoteProtocolError) as error:
        return f"{run.at}: {run.current}: {error}", run.compared
    return "", run.compared
