"""Builds journals as the recorder writes them, with given times.

Each method call adds events; `path()` writes the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, Unpack

from cometreel.jsonvalue import JSON, JSONObject, encode

__all__ = ["JournalBuilder", "broadcast", "busy", "three_agents"]

START = 1_795_496_112.0
CHANNEL = "/v2/me/workbins"


class More(TypedDict, total=False):
    """Options of a call: its query and its reply; by default 200 after 30 ms."""

    query: str
    after: float
    status: int
    reply: JSON


class JournalBuilder:
    """Builds a journal. Times are seconds since its start; `session` is any name."""

    def __init__(self) -> None:
        self.lines: list[JSONObject] = []
        self._flows = 0

    def event(self, at: float, kind: str, **fields: JSON) -> None:
        """Write one event."""
        self.lines.append({"t": round(at, 6), "kind": kind, **fields})

    def request(self, at: float, session: str, method: str, path: str, body: JSON = None, query: str = "") -> str:
        """Add a request; return its flow."""
        self._flows += 1
        flow = f"f{self._flows}"
        more: dict[str, JSON] = {} if body is None else {"json": body}
        who: JSON = {"JSESSIONID": session, "user": f"user-{session}"}
        self.event(at, "request", flow=flow, method=method, path=path, query=query, who=who, **more)
        return flow

    def call(self, at: float, session: str, method: str, path: str, body: JSON = None, **more: Unpack[More]) -> None:
        """Add a request and its reply."""
        flow = self.request(at, session, method, path, body, more.get("query", ""))
        well: JSON = {"statusCode": 0}
        reply, status = more.get("reply", well), more.get("status", 200)
        self.event(at + more.get("after", 0.03), "reply", flow=flow, status=status, json=reply)

    def stats(self, at: float, session: str, number: int, owner: str = "", kind: str = "", after: float = 0.03) -> None:
        """Add a request for statistics, whose reply has this reference number."""
        body: dict[str, JSON] = {"operationName": "RequestAgentStats"}
        if kind:
            body |= {"workbinType": kind, "workbinOwner": owner}
        reply: JSON = {"statusCode": 0, "referenceId": number}
        self.call(at, session, "POST", "/api/v2/workbins", body, after=after, reply=reply)

    def poll(self, at: float, until: float | None, session: str, *messages: JSON, error: str = "") -> None:
        """Add a held poll; its reply contains the messages."""
        connect: JSON = [{"channel": "/meta/connect", "id": "1", "clientId": f"client-{session}"}]
        flow = self._bayeux(at, session, connect)
        if until is not None:
            answer: dict[str, JSON] = {"channel": "/meta/connect", "id": "1", "successful": not error}
            answer |= {"error": error} if error else {}
            self.event(until, "reply", flow=flow, status=200, bayeux=[*messages, answer])

    def meta(self, at: float, session: str, channel: str, error: str = "", **fields: JSON) -> None:
        """Add a meta message and its reply 10 ms later."""
        message: dict[str, JSON] = {"channel": channel, "id": "1", "clientId": f"client-{session}", **fields}
        flow = self._bayeux(at, session, [message])
        answer: dict[str, JSON] = {**message, "successful": not error} | ({"error": error} if error else {})
        self.event(at + 0.01, "reply", flow=flow, status=200, bayeux=[answer])

    def publish(self, at: float, session: str, channel: str, data: JSON, *echoes: JSON) -> None:
        """Add a publish and, 15 ms later, its reply with further messages."""
        message: dict[str, JSON] = {"channel": channel, "id": "1", "clientId": f"client-{session}"}
        flow = self._bayeux(at, session, [{**message, "data": data}])
        answer: JSON = {"channel": channel, "id": "1", "successful": True}
        self.event(at + 0.015, "reply", flow=flow, status=200, bayeux=[answer, *echoes])

    def _bayeux(self, at: float, session: str, messages: JSON) -> str:
        self._flows += 1
        flow = f"f{self._flows}"
        who: JSON = {"JSESSIONID": session}
        self.event(at, "request", flow=flow, method="POST", path="/api/v2/notifications/", who=who, bayeux=messages)
        return flow

    def text(self) -> str:
        """Return the journal as text, ordered by time."""
        header: JSONObject = {
            "journal": 1,
            "cometreel": "0.1.0",
            "started": START,
            "profile": "gws-v2",
            "policy": "default",
        }
        ordered = sorted(self.lines, key=lambda line: float(str(line["t"])))
        return "".join(encode(line).decode() + "\n" for line in [header, *ordered])

    def path(self, folder: Path, name: str = "written") -> Path:
        """Write it to `NAME.jsonl`."""
        path = folder / f"{name}.jsonl"
        path.write_text(self.text(), "utf-8")
        return path


def notification(number: int, kind: str = "WorkbinStatsMessage", **data: JSON) -> JSONObject:
    """Return a notification with this reference number."""
    return {"channel": CHANNEL, "data": {"messageType": kind, "referenceId": number, **data}}


def unsolicited(kind: str = "WorkbinStateChangeMessage", **data: JSON) -> JSONObject:
    """Return an unsolicited notification."""
    return {"channel": CHANNEL, "data": {"messageType": kind, **data}}


def broadcast() -> JournalBuilder:
    """A publish that ann and bob receive."""
    journal = JournalBuilder()
    for session in ("ann", "bob"):
        journal.meta(0.0, session, "/meta/handshake")
        journal.meta(0.1, session, "/meta/subscribe", subscription="/chat")
    message: JSON = {"channel": "/chat", "data": {"text": "hello"}}
    journal.publish(1.0, "ann", "/chat", {"text": "hello"})
    journal.poll(0.5, 1.2, "ann", message)
    journal.poll(0.5, 1.3, "bob", message)
    return journal


OWNERS: Mapping[str, str] = {"Place1": "Place", "Sales": "AgentGroup", "Floor2": "PlaceGroup"}


def three_agents(pace: float = 1.0) -> JournalBuilder:
    """Three agents whose journal contains every kind of item. `pace` scales the delay of notifications."""
    journal = JournalBuilder()
    number = 66
    for place, session in enumerate(("ann", "bob", "eve")):
        start = place * 0.35
        journal.call(start, session, "GET", "/api/v2/me", status=403 if place == 0 else 200, query="subresources=*")
        journal.meta(start + 0.05, session, "/meta/handshake")
        journal.meta(start + 0.10, session, "/meta/subscribe", subscription=CHANNEL)
        held = start + 0.14
        for turn, (owner, kind) in enumerate(OWNERS.items()):
            number += 1
            asked = start + 0.3 + turn * (0.55 + 0.06 * place)
            early = (turn + place) % 3 == 1
            journal.stats(asked, session, number, owner, kind, after=0.14 if early else 0.035)
            notified = asked + (0.05 if early else 0.19 * pace)
            stats: JSON = {"wb-1": {"Count": turn + 1, "Owner": owner, "Type": kind}}
            journal.poll(held, notified, session, notification(number, workbinStats=stats))
            held = notified + 0.006
        journal.poll(held, held + 0.4, session, *([unsolicited(action="ItemAdded", id="wb-1")] if place else []))
        journal.poll(held + 0.41, None, session)
    journal.event(1.1, "mark", text="Ann takes the call")
    flow = journal.request(1.62, "eve", "POST", "/api/v2/workbins/wb-9", {"operationName": "RequestStats"})
    journal.event(1.9, "error", flow=flow, text="server disconnected")
    journal.call(
        2.0, "bob", "POST", "/api/v2/workbins/wb-7", {"operationName": "Subscribe"}, status=404, reply={"statusCode": 6}
    )
    journal.publish(
        2.2, "ann", "/service/chat", {"operation": "requestChat"}, {"channel": "/service/chat", "data": {"id": 1}}
    )
    return journal


def busy(exchanges: int, sessions: int = 4) -> JournalBuilder:
    """Many exchanges, a hundred in a second, each with a notification on its own poll."""
    journal = JournalBuilder()
    kinds = list(OWNERS.items())
    held = dict.fromkeys(range(sessions), 0.0)
    for number in range(exchanges):
        place = number % sessions
        session, at = f"s{place}", 0.1 + number / 100
        owner, kind = kinds[number % len(kinds)]
        journal.stats(at, session, number + 1, owner, kind, after=0.01 + (number % 7) / 200)
        notified = at + 0.02 + (number % 5) / 300
        journal.poll(held[place], notified, session, notification(number + 1))
        held[place] = notified + 0.001
    return journal
