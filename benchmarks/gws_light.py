"""A minimal CometD server for load benchmarks: uvloop and httptools, one callback per request.

It accepts every client and never removes a session. Each notification contains `held`, the seconds from the parsed POST
to the push on the server's clock. Usage: `gws_light.py DELAY_MS [CERTIFICATE KEY]`; it prints its port.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import sys
import time
from itertools import count
from typing import Any, cast

import httptools
import uvloop

_references = count(1)
_ids = count(1)
_delay = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.005
_TIMEOUT = 30.0
_ACK = b'{"statusCode":0,"referenceId":%d}'
_STATS = (
    '{"channel":"/v2/me/workbins","data":{"messageType":"WorkbinStatsMessage","referenceId":%d,"held":%.6f,'
    '"workbinStats":{"861640a2-7c64-4c0b-9d7e-1f6f0c5a0001":{"Count":1,"Owner":"%s","Type":"%s"}}}}'
)


class LightSession:
    """One CometD session: its held poll, and the messages that wait for the next one."""

    def __init__(self) -> None:
        self.poll: tuple[ServerConnection, str] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.waiting: list[str] = []

    def push(self, message: str) -> None:
        """Deliver on the held poll, or queue for the next one."""
        self.waiting.append(message)
        self.release()

    def release(self) -> None:
        """Answer the held poll with all queued messages."""
        if self.poll is None:
            return
        line, number = self.poll
        self.poll = None
        if self.timer is not None:
            self.timer.cancel()
        connect = f'{{"channel":"/meta/connect","successful":true,"id":"{number}"}}'
        line.reply(f"[{','.join([*self.waiting, connect])}]".encode())
        self.waiting.clear()


SESSIONS: dict[str, LightSession] = {}


class ServerConnection(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the HTTP parser."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transport doesn't inherit from it
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Start a request."""
        self.url, self.body, self.cookie = b"", b"", ""

    def on_url(self, url: bytes) -> None:
        """Store the request target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read the session cookie."""
        if name.lower() == b"cookie":
            self.cookie = value.decode().partition("JSESSIONID=")[2].partition(";")[0]

    def on_body(self, body: bytes) -> None:
        """Store the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Answer the request."""
        if b"/notifications" in self.url:
            self.bayeux(json.loads(self.body))
        elif self.parser.get_method() == b"POST":
            self.stats(json.loads(self.body))
        else:
            self.reply(b'{"statusCode":0}')

    def reply(self, body: bytes, extra: str = "") -> None:
        """Write a reply, unless the connection is closing."""
        if self.transport.is_closing():
            return
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)

    def bayeux(self, messages: list[dict[str, Any]]) -> None:
        """Answer one Bayeux message, or hold the poll."""
        message = messages[0]
        channel, number = message["channel"], message["id"]
        if channel == "/meta/handshake":
            name = f"s{next(_ids)}"
            SESSIONS[name] = LightSession()
            reply = {"channel": channel, "id": number, "successful": True, "clientId": name, "version": "1.0"}
            advice = {"advice": {"reconnect": "retry", "interval": 0, "timeout": _TIMEOUT * 1000}}
            self.reply(
                json.dumps([reply | advice | {"supportedConnectionTypes": ["long-polling"]}]).encode(),
                f"Set-Cookie: JSESSIONID={name}; Path=/; HttpOnly\r\n",
            )
            return
        session = SESSIONS[message["clientId"]]
        if channel != "/meta/connect":
            replies = [{**each, "successful": True} for each in messages]
            self.reply(json.dumps(replies).encode())
            return
        session.poll = self, number
        if session.waiting or "advice" in message:
            session.release()
        else:
            session.timer = asyncio.get_running_loop().call_later(_TIMEOUT, session.release)

    def stats(self, body: dict[str, Any]) -> None:
        """Acknowledge the POST and push its notification after the delay."""
        reference, received = next(_references), time.perf_counter()
        self.reply(_ACK % reference)
        session = SESSIONS.get(self.cookie)
        if session is None:
            return
        owner, kind = body.get("workbinOwner", "x"), body.get("workbinType", "Agent")

        def push() -> None:
            session.push(_STATS % (reference, time.perf_counter() - received, owner, kind))

        if _delay:
            asyncio.get_running_loop().call_later(_delay, push)
        else:
            push()


async def main() -> None:
    """Listen on a free loopback port."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = None
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
    server = await asyncio.get_running_loop().create_server(ServerConnection, "127.0.0.1", 0, ssl=context, backlog=4096)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
