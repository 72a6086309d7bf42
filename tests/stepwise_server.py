"""An HTTP server and a client in lockstep: the next piece of a body is sent when the previous one has arrived.

A proxy that holds a piece back until the body is complete makes the test fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from queue import SimpleQueue
from threading import Thread

import httpx

__all__ = ["StepwiseServer", "download", "serving_stepwise", "upload"]

PATIENCE = 30.0  # seconds


@dataclass
class StepwiseServer:
    """The reply to every GET, and what has arrived; the reply to a POST is `{}`."""

    content_type: str = "application/json"
    pieces: list[bytes] = field(default_factory=list)
    length: int | None = None
    url: str = ""
    received: SimpleQueue[None] = field(default_factory=SimpleQueue)
    uploaded: SimpleQueue[bytes] = field(default_factory=SimpleQueue)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is BaseHTTPRequestHandler's
        """Log nothing."""

    def do_GET(self) -> None:
        reply = self.server.stepwise
        framing = ("Transfer-Encoding", "chunked") if reply.length is None else ("Content-Length", str(reply.length))
        self._start(reply.content_type, framing)
        for piece in reply.pieces:
            self.wfile.write(piece if reply.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
            reply.received.get(timeout=PATIENCE)
        if reply.length is None:
            self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        for piece in self._pieces():
            self.server.stepwise.uploaded.put(piece)
        self._start("application/json", ("Content-Length", "2"))
        self.wfile.write(b"{}")

    def _start(self, content_type: str, framing: tuple[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header(*framing)
        self.end_headers()

    def _pieces(self) -> Iterator[bytes]:
        left = int(self.headers.get("content-length") or 0)
        while left:
            piece = self.rfile.read1(min(left, 65536))
            left -= len(piece)
            yield piece
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stepwise: StepwiseServer) -> None:
        self.stepwise = stepwise
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore disconnected clients."""


@contextmanager
def serving_stepwise() -> Iterator[StepwiseServer]:
    """Serve on loopback until the block ends."""
    server = StepwiseServer()
    http = _HttpServer(server)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def download(client: httpx.Client, server: StepwiseServer, path: str) -> bytes:
    """GET the pieces one by one; return the body."""
    body, ends = b"", list(accumulate(map(len, server.pieces)))
    with client.stream("GET", path) as reply:
        for part in reply.iter_raw():
            body += part
            if ends and len(body) == ends[0]:
                ends.pop(0)
                server.received.put(None)
    return body


def upload(client: httpx.Client, server: StepwiseServer, path: str, pieces: list[bytes], **headers: str) -> int:
    """POST the pieces one by one; return the status."""

    def stepwise() -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            arrived = 0
            while arrived < len(piece):
                arrived += len(server.uploaded.get(timeout=PATIENCE))

    return client.post(path, content=stepwise(), headers=headers).status_code
