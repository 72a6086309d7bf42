"""A correct server with many HTTP features: `python -m tests.load.http_features_server FAULTS SEED CERTIFICATE KEY`.

It uses TLS, requires Basic credentials in each request, sends a 103 before each reply and chunked bodies, and closes
the connection after every fifth reply. Each agent has two workbins, which can be subscribed to and counted.
Notifications of a subscription have no referenceId, and state changes answer no request. The rest is the faulty server.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from itertools import count
from typing import Any

from tests.load.faulty_server import COUNTS, SESSIONS, ServerConnection, Session, loop, references

WORKBINS = ["861640a2-7c64-4c0b-9d7e-1f6f0c5a0001", "861640a2-7c64-4c0b-9d7e-1f6f0c5a0002"]
replies = count(1)


class FeatureConnection(ServerConnection):
    """A connection that requires Basic credentials and uses many HTTP features."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.authorized = False

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self.authorized |= name.lower() == b"authorization" and value.startswith(b"Basic ")

    def on_message_complete(self) -> None:
        if self.url == b"/counts":
            self.reply(dict(COUNTS))
        elif not self.authorized:
            COUNTS["without credentials"] += 1
            self.reply({"statusCode": 20}, "401 Unauthorized", 'WWW-Authenticate: Basic realm="gws"\r\n')
        elif self.url == b"/api/v2/workbins?fields=*":
            self.reply({"statusCode": 0, "workbins": [{"id": each} for each in WORKBINS]})
        elif b"Subscribe" in self.body:
            workbin = self.url.rpartition(b"/")[2].decode()
            change = {"messageType": "WorkbinSubscriptionStateChangeMessage", "id": workbin}
            self.answer([{**change, "stateResource": "Subscribed"}, state_change(workbin)])
        elif b"RequestStats" in self.body:
            self.answer([{"messageType": "WorkbinStatsMessage", "workbinStats": {"Count": 1}}], named=True)
        else:
            super().on_message_complete()

    def answer(self, events: list[dict[str, Any]], *, named: bool = False) -> None:
        """Acknowledge a request and send notifications."""
        reference = next(references)
        self.reply({"statusCode": 0, "referenceId": reference})
        for event in events:
            COUNTS[event["messageType"]] += 1
            loop().call_later(0.02, self.session().push, {**event, "referenceId": reference} if named else event)

    def session(self) -> Session:
        return next(each for each in reversed(SESSIONS.values()) if each.client_id.startswith(f"{self.cookie}."))

    def reply(self, value: object, status: str = "200 OK", extra: str = "") -> None:
        if self.transport.is_closing():
            return
        last = next(replies) % 5 == 0
        extra += "Connection: close\r\n" if last else ""
        head = f"HTTP/1.1 {status}\r\n{extra}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.transport.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + head.encode())
        body = json.dumps(value).encode()
        for part in (body[:7], body[7:]):
            if part:
                self.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.transport.write(b"0\r\n\r\n")
        COUNTS["closed connections"] += last
        if last:
            self.transport.close()


def state_change(workbin: str) -> dict[str, Any]:
    """A state change by another user; its referenceId is that of another request."""
    return {"messageType": "WorkbinStateChangeMessage", "id": workbin, "action": "ItemAdded", "referenceId": 1}


async def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[3:5])
    server = await loop().create_server(FeatureConnection, "127.0.0.1", 0, ssl=context)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
