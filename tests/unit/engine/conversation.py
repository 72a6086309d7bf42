"""Conversations with a backend in virtual time, asserted as transcripts.

    talk = conversation(SCENARIO)
    a = talk.client("a").connects()
    talk.at(1.0)
    a.sends("POST", "/api/v2/workbins", {"operationName": "RequestAgentStats"})
    talk.at(2.0)
    a.receives((1.034, 200, {...}), (1.12, "/v2/me/workbins", {...}))

A test fails if a received message or a log line was not asserted.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from cometreel.engine import Backend, ReplaySettings
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import CompiledScenario, loads
from cometreel.wire import Accept, Drop, Effect, Forward, Frame, Headers, Log, Reply, Request

ENDPOINT = "/api/v2/notifications"

Received: TypeAlias = "tuple[float, int | str, JSON]"
"""The time in seconds since the start, an HTTP status or a channel, and the body or the data."""


class Conversation:
    """Clients and one backend; `at` moves the time."""

    def __init__(
        self, scenario: str | CompiledScenario, *, start: float = 1000.0, nonce: str = "", **settings: object
    ) -> None:
        text = scenario if isinstance(scenario, CompiledScenario) else loads(whole(scenario), "test.yaml")
        self.backend = Backend(text, ReplaySettings(**settings), nonce=nonce)  # type: ignore[arg-type]  # the settings of a test
        self.endpoint = text.bayeux.endpoint or ENDPOINT
        self.start = self.now = start
        self.clients: list[Client] = []
        self.logs: list[str] = []
        self.reactions: deque[Callable[[], None]] = deque()
        self._owners: dict[int, Client] = {}
        self._numbers = itertools.count(1)

    def client(self, name: str = "a", user: str | None = None) -> Client:
        """Add a client with an empty cookie jar; its user name, if given, is sent with every request."""
        client = Client(self, name, user)
        self.clients.append(client)
        return client

    def at(self, seconds: float) -> None:
        """Move the time forward, and call the backend at each deadline, also if it is later by a rounding error."""
        until = round(seconds, 6)
        while (deadline := self.backend.deadline()) is not None and round(deadline - self.start, 6) <= until:
            self.now = max(self.now, deadline)
            self.do(self.backend.advance(self.now))
        self.now = max(self.now, self.start + seconds)

    def send(self, client: Client, request: Request) -> None:
        """Pass a request of a client to the backend."""
        self._owners[request.id] = client
        self.do(self.backend.receive(request, self.now))

    def do(self, effects: list[Effect]) -> None:
        """Perform the effects of the backend, then let the clients react."""
        for effect in effects:
            if isinstance(effect, Log):
                self.logs.append(f"{effect.level}: {effect.text}")
            else:
                self._owners[effect.request_id].take(effect)
        while self.reactions:
            self.reactions.popleft()()

    def number(self) -> int:
        """Return a new request id."""
        return next(self._numbers)

    def logged(self, *lines: str) -> None:
        """Assert the beginnings of all log lines since the last call."""
        logs, self.logs = self.logs, []
        assert [log[: len(line)] for log, line in zip(logs, lines, strict=False)] == list(lines)
        assert len(logs) == len(lines), logs

    def finish(self) -> None:
        """Fail if a message or a log line was not asserted."""
        assert {client.name: client.received for client in self.clients if client.received} == {}, (
            "an unfinished transcript"
        )
        assert self.logs == [], "an unread log"


@dataclass(eq=False)
class Client:
    """One client: its cookies, its CometD session, and the messages that it has received."""

    talk: Conversation
    name: str
    user: str | None = None
    cookies: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    client_id: str = ""
    polls: bool = False
    held: int | None = None
    last: Reply | None = None
    address: str = ""
    keeps_cookies: bool = True
    bayeux: set[int] = field(default_factory=set)
    meta: list[JSONObject] = field(default_factory=list)

    def sends(self, method: str, path: str, body: JSON = None, *, text: bytes | None = None, query: str = "") -> int:
        """Send one HTTP request."""
        content = text if text is not None else b"" if body is None else json.dumps(body).encode()
        return self._request(method, path, content, query=query)

    def _request(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        *,
        query: str = "",
        websocket: bool = False,
        number: int | None = None,
    ) -> int:
        number, headers = number or self.talk.number(), self._fields()
        if method == "POST" and path == self.talk.endpoint:
            self.bayeux.add(number)
        request = Request(number, method, path, query, headers, content, "http://replay:1", websocket, self.address)
        self.talk.send(self, request)
        return number

    def opens_socket(self) -> int:
        """Open a WebSocket; return its number for `sends_messages`."""
        number = self._request("GET", self.talk.endpoint, websocket=True)
        assert self.received.pop()[1] == "Accept"
        return number

    def _fields(self) -> Headers:
        fields = [*self.headers.items()]
        if self.user is not None:
            credentials = base64.b64encode(f"{self.user}:secret".encode()).decode()
            fields.append(("Authorization", f"Basic {credentials}"))
        if self.cookies:
            fields.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        return Headers(fields)

    def sends_messages(self, *messages: Mapping[str, JSON], websocket: int | None = None) -> int:
        """Send Bayeux messages."""
        whole: list[JSON] = [{**message, **self._identity(message)} for message in messages]
        if websocket is not None:
            self.talk.do(self.talk.backend.frame(websocket, json.dumps(whole), self.talk.now))
            return websocket
        return self._request("POST", self.talk.endpoint, json.dumps(whole).encode())

    def _identity(self, message: Mapping[str, JSON]) -> JSONObject:
        return {} if message["channel"] == "/meta/handshake" or "clientId" in message else {"clientId": self.client_id}

    def handshakes(self, *, websocket: int | None = None, ext: JSON = None) -> Client:
        """Start a CometD session."""
        types: JSON = ["long-polling" if websocket is None else "websocket"]
        message: JSONObject = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": types}
        self.sends_messages(message if ext is None else {**message, "ext": ext}, websocket=websocket)
        self.client_id = str(self.meta[-1].get("clientId", ""))
        return self

    def connects(self, *subscriptions: str, ext: JSON = None) -> Client:
        """Start a CometD session and poll from now on."""
        self.handshakes(ext=ext)
        for subscription in subscriptions:
            self.sends_messages({"channel": "/meta/subscribe", "subscription": subscription})
        self.polls = True
        self.poll()
        return self

    def poll(self) -> None:
        """Send one poll."""
        message: JSON = [{"channel": "/meta/connect", "connectionType": "long-polling", "clientId": self.client_id}]
        self.held = self.talk.number()
        self._request("POST", self.talk.endpoint, json.dumps(message).encode(), number=self.held)

    def disconnects(self) -> None:
        """Disconnect during a held poll."""
        assert self.held is not None
        self.polls = False
        self.talk.do(self.talk.backend.gone(self.held, self.talk.now))

    def take(self, effect: Effect) -> None:
        """Process an effect of the backend."""
        if isinstance(effect, Reply):
            self._take_reply(effect)
        elif isinstance(effect, Frame):
            self._take_messages(json.loads(effect.text))
            number = effect.request_id
            self.talk.reactions.append(lambda: self.talk.do(self.talk.backend.delivered(number, self.talk.now)))
        elif isinstance(effect, (Drop, Forward, Accept)):
            self._receive(type(effect).__name__, None)

    def _take_reply(self, reply: Reply) -> None:
        self.last = reply
        for cookie in reply.headers.get_all("set-cookie") if self.keeps_cookies else ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        if reply.request_id not in self.bayeux or reply.status != 200 or not reply.body:
            self._receive(
                reply.status, json.loads(reply.body) if reply.body[:1] in (b"{", b"[") else reply.body.decode()
            )
        else:
            self._take_messages(json.loads(reply.body))
        self.talk.reactions.append(lambda: self._confirm(reply))

    def _confirm(self, reply: Reply) -> None:
        self.talk.do(self.talk.backend.delivered(reply.request_id, self.talk.now))
        if reply.request_id == self.held and self.polls:
            self.poll()

    def _take_messages(self, messages: list[JSONObject]) -> None:
        for message in messages:
            if "data" in message and "successful" not in message:
                self._receive(str(message["channel"]), message["data"])
            else:
                self.meta.append(message)
                if message.get("advice", {}) and message["channel"] == "/meta/connect":
                    advice = message["advice"]
                    self.polls = self.polls and isinstance(advice, dict) and advice.get("reconnect", "retry") == "retry"

    def _receive(self, what: int | str, value: JSON) -> None:
        self.received.append((round(self.talk.now - self.talk.start, 6), what, value))

    def receives(self, *expected: Received) -> None:
        """Assert everything that was received since the last call."""
        heard, self.received = self.received, []
        assert heard == list(expected)


def whole(scenario: str) -> str:
    """Add the head to a scenario that has only the part that a test needs."""
    head = "cometreel: 1\ntitle: a test\n"
    head += "" if "correlation:" in scenario else "correlation: gws-v2\n"
    head += "" if "bayeux:" in scenario else f"bayeux: {{endpoint: {ENDPOINT}}}\n"
    return head + scenario
