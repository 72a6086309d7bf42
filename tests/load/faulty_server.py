"""A server with random, counted faults: `faulty_server.py FAULTS SEED`, run by path. It prints its port.

FAULTS is JSON: the number of each fault per thousand POSTs, such as `{"drop": 10, "double": 10}`. At most one fault is
drawn for each POST, in order of arrival. GET /counts returns the number of each fault.

| fault | effect |
|---|---|
| `drop` | no notification |
| `double` | two notifications |
| `delay` | the notification is 2 s late |
| `after` | the notification is 5 s late |
| `owner`, `type` | the notification has another owner (if the request names one) or type |
| `refuse` | HTTP 503, statusCode 4 |
| `deny` | HTTP 200, statusCode 5 |
| `early` | the notification comes before the HTTP reply |
| `stray` | an additional notification with an unknown referenceId |
| `forget` | the CometD session is lost, with all its pending notifications |
| `freeze` | the server stops for 3 s (at most once) |
| `redirect` | HTTP 302 to /elsewhere, which counts its requests |

`above` is no share: `{"above": 60}` drops the notifications of all requests above 60 POSTs per second. Bursts of half a
second are allowed, so that a client that pauses for a moment isn't counted as faster.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from itertools import count
from typing import Any, cast

import httptools

FAULTS: dict[str, int] = json.loads(sys.argv[1])
CHANCE = random.Random(sys.argv[2])
COUNTS: Counter[str] = Counter()
SESSIONS: dict[str, Session] = {}
USED: Counter[str] = Counter()
references, ids = count(66), count(1)
PAUSE = 0.01
ABOVE = FAULTS.pop("above", 0)


class Bucket:
    """A token bucket that is filled at the maximum rate of the server."""

    def __init__(self) -> None:
        self.capacity = self.left = ABOVE / 2
        self.filled_at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self.left, self.filled_at = min(self.capacity, self.left + ABOVE * (now - self.filled_at)), now
        if self.left < 1:
            return False
        self.left -= 1
        return True


BUCKET = Bucket()
REFUSALS: dict[str, tuple[object, str, str]] = {
    "refuse": ({"statusCode": 4, "statusMessage": "down"}, "503 Service Unavailable", ""),
    "deny": ({"statusCode": 5, "statusMessage": "no permission"}, "200 OK", ""),
    "redirect": (None, "302 Found", "Location: /elsewhere\r\n"),
}


class Session:
    """One CometD session: held poll, queued messages, and scheduled notifications."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.poll: tuple[ServerConnection, str] | None = None
        self.waiting: list[Any] = []
        self.coming: list[asyncio.TimerHandle] = []

    def push(self, data: dict[str, Any]) -> None:
        self.waiting.append({"channel": "/v2/me/workbins", "data": data})
        self.release({"successful": True})

    def release(self, fields: dict[str, Any]) -> None:
        if self.poll is not None:
            (line, number), self.poll = self.poll, None
            line.reply([*self.waiting, {"channel": "/meta/connect", "id": number, **fields}])
            self.waiting = []

    def forget(self) -> None:
        """Drop the session and its pending notifications."""
        undone = [timer for timer in self.coming if not timer.cancelled() and timer.when() > loop().time()]
        for timer in undone:
            timer.cancel()
        COUNTS["forgotten notifications"] += len(undone) + len(self.waiting)
        self.waiting = []
        del SESSIONS[self.client_id]
        self.release(UNKNOWN)


UNKNOWN = {"successful": False, "error": "402::Unknown client", "advice": {"reconnect": "handshake", "interval": 0}}


def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def fault() -> str:
    if ABOVE and not BUCKET.take():
        return "drop"
    drawn = CHANCE.random() * 1000
    for name, share in FAULTS.items():
        drawn -= share
        if drawn < 0:
            USED[name] += 1
            return name if name != "freeze" or USED[name] == 1 else "answer"
    return "answer"


class ServerConnection(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url, self.body, self.cookie = b"", b"", ""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"cookie":
            self.cookie = value.decode().partition("JSESSIONID=")[2].partition(";")[0]

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if b"/notifications" in self.url:
            self.bayeux(json.loads(self.body))
        elif self.url == b"/counts":
            self.reply(dict(COUNTS))
        elif self.url == b"/elsewhere":
            COUNTS["elsewhere"] += 1
            self.reply({"statusCode": 0, "referenceId": 0})
        elif b"RequestAgentStats" not in self.body:  # a request of the login: always accepted
            self.reply({"statusCode": 0, "user": {"id": "me"}})
        else:
            self.stats(json.loads(self.body))

    def reply(self, value: object, status: str = "200 OK", extra: str = "") -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status}\r\n{extra}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)

    def bayeux(self, messages: list[dict[str, Any]]) -> None:
        message = messages[0]
        channel, number = message["channel"], message["id"]
        if channel == "/meta/handshake":
            jar = self.cookie or f"j{next(ids)}"
            client_id = f"{jar}.{next(ids)}"
            SESSIONS[client_id] = Session(client_id)
            reply = {"channel": channel, "id": number, "successful": True, "clientId": client_id, "version": "1.0"}
            reply |= {"supportedConnectionTypes": ["long-polling"], "advice": {"timeout": 30000, "interval": 0}}
            self.reply([reply], extra=f"Set-Cookie: JSESSIONID={jar}; Path=/\r\n")
            return
        session = SESSIONS.get(message["clientId"])
        if session is None:
            self.reply([{"channel": each["channel"], "id": each["id"], **UNKNOWN} for each in messages])
        elif channel == "/meta/connect":
            session.poll = self, number
            if session.waiting or "advice" in message:
                session.release({"successful": True})
        else:
            COUNTS["disconnects"] += channel == "/meta/disconnect"
            self.reply([{**each, "successful": True} for each in messages])

    def stats(self, body: dict[str, Any]) -> None:
        what, reference = fault(), next(references)
        if what == "owner" and "workbinOwner" not in body:
            what = "answer"  # an agent without a login doesn't know its own id
        if what in REFUSALS:
            COUNTS[what] += 1
            self.reply(*REFUSALS[what])
            return
        mine = (each for each in reversed(SESSIONS.values()) if each.client_id.startswith(f"{self.cookie}."))
        session = next(mine, None)
        if session is None:  # forgotten, and its agent doesn't know yet
            COUNTS.update(["answer", "forgotten notifications"])
            self.reply({"statusCode": 0, "referenceId": reference})
            return
        COUNTS[what] += 1
        owner, kind = body.get("workbinOwner", "me"), body.get("workbinType", "Agent")
        data = {
            "messageType": "WorkbinStatsMessage",
            "referenceId": reference,
            "workbinStats": {
                "w": {
                    "Count": 1,
                    "Owner": "else" if what == "owner" else owner,
                    "Type": "X" if what == "type" else kind,
                }
            },
        }
        if what == "early":
            session.push(data)
            loop().call_later(PAUSE, self.reply, {"statusCode": 0, "referenceId": reference})
            return
        self.reply({"statusCode": 0, "referenceId": reference})
        if what == "freeze":
            time.sleep(3)
        if what == "forget":
            session.forget()
        elif what != "drop":
            later = {"delay": 2.0, "after": 5.0}.get(what, PAUSE)
            session.coming.append(loop().call_later(later, session.push, data))
        if what == "double":
            session.coming.append(loop().call_later(2 * PAUSE, session.push, data))
        if what == "stray":
            session.coming.append(loop().call_later(2 * PAUSE, session.push, {**data, "referenceId": -reference}))


async def main() -> None:
    server = await loop().create_server(ServerConnection, "127.0.0.1", 0)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
