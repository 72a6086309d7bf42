"""A conversation with a backend in virtual time, written down and read as a transcript.

    talk = conversation(SCENARIO)
    a = talk.client("a").connects()
    talk.at(1.0)
    a.asks("POST", "/api/v2/workbins", {"operationName": "RequestAgentStats"})
    talk.at(2.0)
    a.hears((1.034, 200, {...}), (1.12, "/v2/me/workbins", {...}))

What a client got and nobody has read when the test ends is a failure, and so is an unread log line.
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
from cometreel.scenario import Scenario, loads
from cometreel.wire import Accept, Drop, Effect, Forward, Frame, Headers, Log, Reply, Request

ENDPOINT = "/api/v2/notifications"

Heard: TypeAlias = "tuple[float, int | str, JSON]"
"""When (seconds since the conversation began), an HTTP status or a channel, and the body or the data."""


class Conversation:
    """Clients and one backend; `at` moves the time."""

    def __init__(self, scenario: str | Scenario, *, start: float = 1000.0, nonce: str = "", **settings: object) -> None:
        text = scenario if isinstance(scenario, Scenario) else loads(whole(scenario), "test.yaml")
        self.backend = Backend(text, ReplaySettings(**settings), nonce=nonce)  # type: ignore[arg-type]  # a test says what it means
        self.endpoint = text.bayeux.endpoint or ENDPOINT
        self.start = self.now = start
        self.clients: list[Client] = []
        self.logs: list[str] = []
        self.reactions: deque[Callable[[], None]] = deque()
        self._owners: dict[int, Client] = {}
        self._numbers = itertools.count(1)

    def client(self, name: str = "a", user: str | None = None) -> Client:
        """A new client with an empty cookie jar; a user sends its name with every request."""
        client = Client(self, name, user)
        self.clients.append(client)
        return client

    def at(self, seconds: float) -> None:
        """Let the time pass, waking the backend whenever it wants to be woken."""
        until = self.start + seconds
        while (deadline := self.backend.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.do(self.backend.advance(self.now))
        self.now = max(self.now, until)

    def send(self, client: Client, request: Request) -> None:
        """Hand a request of a client to the backend."""
        self._owners[request.id] = client
        self.do(self.backend.receive(request, self.now))

    def do(self, effects: list[Effect]) -> None:
        """Carry out what the backend ordered, then let the clients react."""
        for effect in effects:
            if isinstance(effect, Log):
                self.logs.append(f"{effect.level}: {effect.text}")
            else:
                self._owners[effect.request_id].take(effect)
        while self.reactions:
            self.reactions.popleft()()

    def number(self) -> int:
        """A new request id."""
        return next(self._numbers)

    def told(self, *lines: str) -> None:
        """Read all log lines so far; each must begin like the line given."""
        logs, self.logs = self.logs, []
        assert [log[: len(line)] for log, line in zip(logs, lines, strict=False)] == list(lines)
        assert len(logs) == len(lines), logs

    def finish(self) -> None:
        """Fail if something was not read."""
        assert {client.name: client.heard for client in self.clients if client.heard} == {}, "an unfinished transcript"
        assert self.logs == [], "an unread log"


@dataclass(eq=False)
class Client:
    """One client: its cookies, its CometD session, and what it has heard."""

    talk: Conversation
    name: str
    user: str | None = None
    cookies: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    client_id: str = ""
    polls: bool = False
    held: int | None = None
    last: Reply | None = None
    bayeux: set[int] = field(default_factory=set)
    meta: list[JSONObject] = field(default_factory=list)

    def asks(self, method: str, path: str, body: JSON = None, *, text: bytes | None = None, query: str = "") -> int:
        """Send one HTTP request."""
        content = text if text is not None else b"" if body is None else json.dumps(body).encode()
        request = Request(self.talk.number(), method, path, query, self._fields(), content, "http://replay:1")
        self.talk.send(self, request)
        return request.id

    def _fields(self) -> Headers:
        fields = [*self.headers.items()]
        if self.user is not None:
            credentials = base64.b64encode(f"{self.user}:secret".encode()).decode()
            fields.append(("Authorization", f"Basic {credentials}"))
        if self.cookies:
            fields.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        return Headers(fields)

    def says(self, *messages: Mapping[str, JSON], websocket: int | None = None) -> int:
        """Send Bayeux messages."""
        whole: list[JSON] = [{**message, **self._identity(message)} for message in messages]
        if websocket is not None:
            self.talk.do(self.talk.backend.frame(websocket, json.dumps(whole), self.talk.now))
            return websocket
        number = self.talk.number()
        self.bayeux.add(number)
        body = json.dumps(whole).encode()
        self.talk.send(self, Request(number, "POST", self.talk.endpoint, "", self._fields(), body, "http://replay:1"))
        return number

    def _identity(self, message: Mapping[str, JSON]) -> JSONObject:
        return {} if message["channel"] == "/meta/handshake" or "clientId" in message else {"clientId": self.client_id}

    def handshakes(self) -> Client:
        """Begin a CometD session."""
        self.says({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]})
        self.client_id = str(self.meta[-1].get("clientId", ""))
        return self

    def connects(self, *subscriptions: str) -> Client:
        """Begin a CometD session and poll from now on."""
        self.handshakes()
        for subscription in subscriptions:
            self.says({"channel": "/meta/subscribe", "subscription": subscription})
        self.polls = True
        self.poll()
        return self

    def poll(self) -> None:
        """Ask for messages once."""
        self.held = self.talk.number()
        self.bayeux.add(self.held)
        message: JSON = [{"channel": "/meta/connect", "connectionType": "long-polling", "clientId": self.client_id}]
        body = json.dumps(message).encode()
        self.talk.send(
            self, Request(self.held, "POST", self.talk.endpoint, "", self._fields(), body, "http://replay:1")
        )

    def hangs_up(self) -> None:
        """Leave in the middle of a poll."""
        assert self.held is not None
        self.polls = False
        self.talk.do(self.talk.backend.gone(self.held, self.talk.now))

    def take(self, effect: Effect) -> None:
        """Take what the backend sends."""
        if isinstance(effect, Reply):
            self._take_reply(effect)
        elif isinstance(effect, Frame):
            self._take_messages(json.loads(effect.text))
            number = effect.request_id
            self.talk.reactions.append(lambda: self.talk.do(self.talk.backend.delivered(number, self.talk.now)))
        elif isinstance(effect, (Drop, Forward, Accept)):
            self._hear(type(effect).__name__, None)

    def _take_reply(self, reply: Reply) -> None:
        self.last = reply
        for cookie in reply.headers.get_all("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        if reply.request_id not in self.bayeux or reply.status != 200:
            self._hear(reply.status, json.loads(reply.body) if reply.body[:1] in (b"{", b"[") else reply.body.decode())
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
                self._hear(str(message["channel"]), message["data"])
            else:
                self.meta.append(message)
                if message.get("advice", {}) and message["channel"] == "/meta/connect":
                    advice = message["advice"]
                    self.polls = self.polls and isinstance(advice, dict) and advice.get("reconnect", "retry") == "retry"

    def _hear(self, what: int | str, value: JSON) -> None:
        self.heard.append((round(self.talk.now - self.talk.start, 6), what, value))

    def hears(self, *expected: Heard) -> None:
        """Read everything heard so far, as a whole."""
        heard, self.heard = self.heard, []
        assert heard == list(expected)


def whole(scenario: str) -> str:
    """Complete a scenario that says only what a test is about."""
    head = "cometreel: 1\ntitle: a test\n"
    head += "" if "correlation:" in scenario else "correlation: gws-v2\n"
    head += "" if "bayeux:" in scenario else f"bayeux: {{endpoint: {ENDPOINT}}}\n"
    return head + scenario
