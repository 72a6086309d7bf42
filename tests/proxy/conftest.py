"""Fixtures for the tests of the addons: real mitmproxy processes and a small CometD application behind them.

Nothing here waits for a fixed time: a process is awaited by what it logs, a notification by the poll that brings it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import termios
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import brotli  # type: ignore[import-untyped]  # it ships no types
import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mitmproxy import certs
from mitmproxy.net import encoding as codings

from benchmarks.stubs import free_port

ADDONS = Path(__file__).parents[2] / "proxy_addons"
PATIENCE = 30.0  # seconds; long enough for a busy machine


def wait_until(happened: Callable[[], Any], what: str) -> Any:
    """Wait for a true result and return it; fail the test after the timeout."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := happened():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


@dataclass
class Proxy:
    """A running program of mitmproxy."""

    process: subprocess.Popen[bytes]
    log: Path
    confdir: Path
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def await_log(self, text: str) -> str:
        """Wait until the log contains a text; return the log."""

        def look() -> str | None:
            assert self.process.poll() is None or text in self.output(), self.output()
            return (text in self.output() and self.output()) or None

        return str(wait_until(look, f"{text!r} in the log:\n{self.output()}"))

    def output(self) -> str:
        """Return the log without colors."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.log.read_text(errors="replace"))

    def authority(self) -> ssl.SSLContext:
        """Trust this proxy's certificates."""
        return ssl.create_default_context(cafile=str(self.confdir / "mitmproxy-ca-cert.pem"))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> str:
        """Stop the process with a signal and return the log."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
        return self.output()


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any], str], Any]:
    """Wait until something is true: `eventually(lambda: journal.exists(), "the journal")`."""
    return wait_until


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate authority for all the proxies of a run."""
    return tmp_path_factory.mktemp("confdir")


@pytest.fixture
def start(tmp_path: Path, confdir: Path) -> Iterator[Callable[..., Proxy]]:
    """Start programs of mitmproxy: `start("mitmdump", "--mode", "…", script="record.py", reel_out="…")`."""
    running: list[Proxy] = []

    def _start(
        program: str, *arguments: str, script: str, listens: bool = True, terminal: bool = False, **settings: object
    ) -> Proxy:
        command = [
            str(Path(sys.executable).with_name(program)),
            "--listen-host",
            "127.0.0.1",
            "-s",
            str(ADDONS / script),
        ]
        for name, value in {"confdir": confdir, **settings}.items():
            command += ["--set", f"{name}={value}"]
        port = 0 if not terminal else free_port()
        if not any(argument in ("-p", "--listen-port") for argument in arguments):
            command += ["--listen-port", str(port)]
        log = tmp_path / f"{program}-{len(running)}.log"
        run = _in_terminal if terminal else _in_file
        proxy = Proxy(run([*command, *arguments], log), log, confdir, port)
        running.append(proxy)
        if terminal:
            wait_until(lambda: answers(port), f"port {port}")
        elif listens:
            found = re.search(r"listening at 127\.0\.0\.1:(\d+)", proxy.await_log("listening at"))
            assert found
            proxy.port = int(found[1])
        return proxy

    yield _start
    for proxy in running:
        if proxy.process.poll() is None:
            proxy.process.kill()
        proxy.process.wait(PATIENCE)


def _in_file(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program that writes into a file."""
    with log.open("wb") as out:
        return subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=log.parent, env=_environment()
        )


def _in_terminal(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program in a terminal whose screen is copied to a file."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (40, 120))
    process = subprocess.Popen(command, stdout=its, stderr=its, stdin=its, cwd=log.parent, env=_environment())
    os.close(its)

    def copy() -> None:
        with log.open("wb", buffering=0) as out, contextlib.suppress(OSError):  # EIO: the last writer has gone
            while piece := os.read(ours, 65536):
                out.write(piece)
        os.close(ours)

    threading.Thread(target=copy, daemon=True).start()
    return process


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "TERM": "xterm-256color", "LANG": "C.UTF-8"}


def answers(port: int) -> bool:
    """Return True if the port accepts connections."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Agent:
    """An HTTP session of the application, with the notifications for its next poll."""

    waiting: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)


class Application(ThreadingHTTPServer):
    """A CometD application in a thread: workbin POSTs that are answered later, by a held poll.

    `seen` lists what arrived, in order; `hold` is how long a poll is held, in seconds.
    """

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.secure = tls is not None
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.agents: dict[str, Agent] = {}
        self.seen: list[str] = []
        self.references = iter(range(66, 10**6))
        self.hold = 1.0

    @property
    def url(self) -> str:
        scheme, host = ("https", "localhost") if self.secure else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.server_address[1]}"

    def wait_for(self, request: str, times: int) -> None:
        """Wait until a request has arrived this number of times."""
        wait_until(lambda: self.seen.count(request) >= times, f"{request} {times} times in {self.seen}")

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore disconnected clients, which are part of the tests."""


class Door(BaseHTTPRequestHandler):
    """The HTTP handler of the application."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Application
    raw_body: bytes

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is BaseHTTPRequestHandler's
        """Log nothing."""

    def do_GET(self) -> None:
        self.raw_body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        self.server.seen.append(f"{self.command} {self.path}")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/api/v2/notifications"):
            self._bayeux(query)
        elif parts.path == "/api/v2/workbins" and self.command == "POST":
            self._workbin()
        elif parts.path == "/reset":
            self.connection.shutdown(2)
            self.close_connection = True
        elif parts.path == "/old":
            self.send_response(302)
            self.send_header("Location", f"{self.server.url}/new?page=2")
            self.send_header("Link", f'<{self.server.url}/new?page=3>; rel="next"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif parts.path.endswith(".png"):
            self._send(b"\x89PNG", "image/png")
        elif parts.path == "/echo":
            self._send(self.raw_body, self.headers.get("content-type") or "text/plain", query.get("encoding"))
        else:
            self._send(
                json.dumps({"statusCode": 0, "path": parts.path}).encode(), "application/json", query.get("encoding")
            )

    do_POST = do_GET  # noqa: N815  # the name is BaseHTTPRequestHandler's

    def _agent(self) -> tuple[str, Agent]:
        cookie = re.search(r"JSESSIONID=(\w+)", self.headers.get("cookie") or "")
        name = cookie[1] if cookie else f"secret{len(self.server.agents)}"
        return name, self.server.agents.setdefault(name, Agent())

    def _workbin(self) -> None:
        name, agent = self._agent()
        asked = json.loads(decoded(self.raw_body, self.headers.get("content-encoding")))
        reference = next(self.server.references)
        data = {"messageType": "WorkbinStatsMessage", "referenceId": reference, "workbinStats": {}, "of": asked}
        with agent.changed:
            agent.waiting.append({"channel": "/v2/me/workbins", "data": data})
            agent.changed.notify_all()
        self._send(json.dumps({"statusCode": 0, "referenceId": reference}).encode(), "application/json", cookie=name)

    def _bayeux(self, query: dict[str, str]) -> None:
        name, agent = self._agent()
        text = query.get("message") or decoded(self.raw_body, self.headers.get("content-encoding")).decode()
        answers: list[dict[str, Any]] = []
        for message in json.loads(text):
            channel = message["channel"]
            answer = {"channel": channel, "id": message.get("id"), "successful": True}
            if channel == "/meta/handshake":
                answer |= {"clientId": f"client{name}", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}
            if channel == "/meta/connect" and not message.get("advice"):
                with agent.changed:
                    agent.changed.wait_for(lambda: agent.waiting, self.server.hold)
            if channel == "/meta/subscribe":
                answer |= {"subscription": message["subscription"]}
            answers += [*agent.waiting, answer]
            agent.waiting.clear()
        body = json.dumps(answers).encode()
        if "jsonp" in query:
            body, kind = query["jsonp"].encode() + b"(" + body + b")", "text/javascript"
        else:
            kind = "application/json;charset=UTF-8"
        self._send(body, kind, self.headers.get("x-answer-encoding"), cookie=name)

    def _send(self, body: bytes, kind: str, encoding: str | None = None, cookie: str | None = None) -> None:
        body = encoded(body, encoding)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        if cookie:
            self.send_header("Set-Cookie", f"JSESSIONID={cookie}; Path=/; HttpOnly")
        self.end_headers()
        self.wfile.write(body)


def encoded(body: bytes, encoding: str | None) -> bytes:
    """Compress a body with a Content-Encoding."""
    ways: dict[str | None, Callable[[bytes], bytes]] = {
        "gzip": partial(gzip.compress, mtime=0),
        "deflate": zlib.compress,
        "br": brotli.compress,
        "zstd": lambda plain: codings.encode(plain, "zstd"),  # its library differs between mitmproxy 11 and 12
    }
    return ways[encoding](body) if encoding else body


def decoded(body: bytes, encoding: str | None) -> bytes:
    """Decompress a gzip body."""
    return gzip.decompress(body) if encoding == "gzip" else body


@pytest.fixture
def application() -> Iterator[Application]:
    """The application on loopback, for one test."""
    yield from _served(Application())


@pytest.fixture
def secure_application(tmp_path: Path) -> Iterator[Application]:
    """The application with TLS and an untrusted certificate."""
    entry = certs.CertStore.from_store(tmp_path / "authority", "upstream", 2048).get_cert("localhost", [])
    pem = tmp_path / "upstream.pem"
    key = entry.privatekey.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    pem.write_bytes(key + entry.cert.to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    yield from _served(Application(context))


def _served(server: Application) -> Iterator[Application]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Desktop:
    """A minimal CometD client with cookies."""

    http: httpx.Client
    client_id: str = ""
    messages: int = 0

    def bayeux(self, *messages: dict[str, Any], **extra: Any) -> list[dict[str, Any]]:
        """POST messages to the endpoint; return the messages of the reply."""
        body = json.dumps([self.complete(message) for message in messages])
        reply = self.http.post("/api/v2/notifications", content=body, **extra)
        reply.raise_for_status()
        answer: list[dict[str, Any]] = reply.json()
        self.client_id = next((m["clientId"] for m in answer if "clientId" in m), self.client_id)
        return answer

    def complete(self, message: dict[str, Any]) -> dict[str, Any]:
        """Add the id and clientId to a message."""
        self.messages += 1
        return {"id": str(self.messages), **({"clientId": self.client_id} if self.client_id else {}), **message}

    def log_in(self) -> None:
        """Send a handshake and subscribe."""
        self.bayeux({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]})
        self.bayeux({"channel": "/meta/subscribe", "subscription": "/v2/me/workbins"})

    def poll(self, **extra: Any) -> list[dict[str, Any]]:
        """Poll once, as long as the server holds it."""
        return self.bayeux({"channel": "/meta/connect", "connectionType": "long-polling"}, **extra)

    def request_stats(self, owner: str, **extra: Any) -> dict[str, Any]:
        """Request the statistics of a place; return the HTTP reply, which contains only the reference."""
        body = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": owner}
        reply = self.http.post("/api/v2/workbins", json=body, **extra)
        reply.raise_for_status()
        return dict(reply.json())


@pytest.fixture
def desktop() -> Iterator[Callable[..., Desktop]]:
    """Create clients: `desktop("http://…", http2=True)`."""
    opened: list[httpx.Client] = []

    def make(url: str, **extra: Any) -> Desktop:
        client = httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False, **extra)
        opened.append(client)
        return Desktop(client)

    yield make
    for client in opened:
        client.close()
