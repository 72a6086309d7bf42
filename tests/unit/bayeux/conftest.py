"""A Bayeux server with clients in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from cometreel.bayeux import AllowAll, Application, BayeuxServer, BayeuxSettings
from cometreel.wire import Accept, Drop, Effect, Frame, Headers, Log, Reply, Request

SETTINGS: dict[str, Any] = {"endpoint": "/cometd", "timeout": 30.0, "max_interval": 10.0}


class Answer:
    """The result of one request: empty while it is held."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.effects: list[Effect] = []

    @property
    def held(self) -> bool:
        return not self.effects

    @property
    def reply(self) -> Reply:
        (reply,) = self.effects
        assert isinstance(reply, Reply)
        return reply

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def json(self) -> Any:
        return json.loads(self.reply.body)

    @property
    def frames(self) -> list[Any]:
        """The frames of a WebSocket so far."""
        return [json.loads(effect.text) for effect in self.effects if isinstance(effect, Frame)]

    @property
    def closed(self) -> int | None:
        """The close code of a WebSocket, or of a dropped request."""
        return next((effect.code for effect in self.effects if isinstance(effect, Drop)), None)


class Session:
    """The session of one client; each method such as `connect` sends one message."""

    def __init__(self, talk: Talk, cookie: str, client_id: str, socket: Answer | None = None) -> None:
        self.talk, self.cookie, self.client_id, self.socket = talk, cookie, client_id, socket
        self.ids = 0

    def message(self, channel: str, **fields: Any) -> dict[str, Any]:
        self.ids += 1
        return {"channel": channel, "id": str(self.ids), "clientId": self.client_id, **fields}

    def send(self, *messages: dict[str, Any], **request: Any) -> Answer:
        if self.socket is not None:
            return self.talk.frame(self.socket, list(messages))
        return self.talk.post(list(messages), cookie=self.cookie, **request)

    def connect(self, **fields: Any) -> Answer:
        return self.send(self.message("/meta/connect", connectionType="long-polling", **fields))

    def poll_now(self) -> Any:
        """Connect with the advice {timeout: 0}; return the data of the queued messages."""
        messages = self.connect(advice={"timeout": 0}).json
        return [message["data"] for message in messages if not message["channel"].startswith("/meta/")]

    def subscribe(self, what: Any) -> Answer:
        return self.send(self.message("/meta/subscribe", subscription=what))

    def publish(self, channel: str, data: Any) -> Answer:
        return self.send(self.message(channel, data=data))

    def deliver(self, *data: Any, channel: str = "/x", batch: bool = True) -> None:
        messages: Any = [{"channel": channel, "data": each} for each in data]
        self.talk.do(self.talk.server.deliver(self.client_id, messages, self.talk.now, batch=batch))


class Talk:
    """A server, a virtual clock and a simulated network."""

    def __init__(self, application: Application | None = None, *, confirm: bool = True, **settings: Any) -> None:
        self.now = 0.0
        self.confirm = confirm
        self.answers: dict[int, Answer] = {}
        self.logs: list[Log] = []
        self.count = 0
        self.server = BayeuxServer(BayeuxSettings(**{**SETTINGS, **settings}), application or AllowAll(), self.new_id)

    def new_id(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    # ------------------------------------------------------------------ requests
    def request(
        self, method: str = "POST", *, cookie: str | None = None, path: str = "/cometd", **fields: Any
    ) -> Answer:
        answer = Answer(len(self.answers) + 1)
        self.answers[answer.number] = answer
        headers = Headers([("Cookie", f"BAYEUX_BROWSER={cookie}")] if cookie else [])
        request = Request(answer.number, method, path, headers=headers, **fields)
        self.do(self.server.receive(request, self.now))
        return answer

    def post(self, messages: Any, **request: Any) -> Answer:
        return self.request(body=json.dumps(messages).encode(), **request)

    def frame(self, socket: Answer, messages: Any) -> Answer:
        text = messages if isinstance(messages, str) else json.dumps(messages)
        self.do(self.server.frame(socket.number, text, self.now))
        return socket

    def handshake(self, *, cookie: str | None = None, **fields: Any) -> Session:
        answer = self.post([{"channel": "/meta/handshake", "id": "0", **fields}], cookie=cookie)
        given = answer.reply.headers.get("set-cookie")
        jar = cookie or (given or "").partition("=")[2].partition(";")[0]
        return Session(self, jar, answer.json[0]["clientId"])

    def open(self, **fields: Any) -> Session:
        """Send a handshake and one connect."""
        session = self.handshake(**fields)
        session.connect(advice={"timeout": 0}, **({"ext": {"ack": -1}} if "ext" in fields else {}))
        return session

    def open_socket(self, **fields: Any) -> Session:
        """Send a handshake and one connect on a WebSocket."""
        socket = self.request("GET", websocket=True)
        self.frame(socket, [{"channel": "/meta/handshake", "id": "0", **fields}])
        session = Session(self, "", socket.frames[0][0]["clientId"], socket)
        session.connect(advice={"timeout": 0}, **({"ext": {"ack": -1}} if "ext" in fields else {}))
        socket.effects.clear()
        return session

    # ------------------------------------------------------------------ time and the network
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.server.deadline()) is not None and due <= until:
            self.now = due
            self.do(self.server.advance(due))
        self.now = until

    def gone(self, answer: Answer) -> None:
        self.do(self.server.gone(answer.number, self.now))

    def delivered(self, answer: Answer) -> None:
        self.do(self.server.delivered(answer.number, self.now))

    def do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Log):
                self.logs.append(effect)
                continue
            self.answers[effect.request_id].effects.append(effect)
            if self.confirm and not isinstance(effect, Accept | Drop):
                self.do(self.server.delivered(effect.request_id, self.now))


@pytest.fixture
def talk() -> Talk:
    """A server with default settings; every write succeeds."""
    return Talk()


@pytest.fixture
def talk_with() -> Callable[..., Talk]:
    """Create a server with other settings, another application, or writes that the test confirms."""
    return Talk
