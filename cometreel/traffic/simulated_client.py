"""A CometD client in virtual time, of whom everything that crosses the wire is written down.

It speaks to the engine itself: no socket, no clock. It polls as long as it lives, as real ones do.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from cometreel.engine import Backend
from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode
from cometreel.wire import Drop, Effect, Headers, Reply, Request

__all__ = ["SimulatedClient", "Simulator", "Transaction"]

_BASE = "http://cometreel.example"
_PAUSE_SECONDS = 1.0
"""How long a client waits that was answered at once with nothing; it would ask for ever else."""


@dataclass(slots=True)
class _OpenRequest:
    at: float
    request: Request
    take: Callable[[Reply], None]


class Simulator:
    """One engine, the time, and who waits for which reply. `start` is the scenario's first second, since 1970."""

    def __init__(self, backend: Backend, start: float) -> None:
        self.backend = backend
        self.now = 0.0
        self.spoken: list[Transaction] = []
        self._start = start
        self._open: dict[int, _OpenRequest] = {}
        self._number = 0
        self._alarms: list[tuple[float, Callable[[], None]]] = []

    def ask(self, request: Request, take: Callable[[Reply], None]) -> None:
        """Hand a request to the engine; `take` gets its reply."""
        self._open[request.id] = _OpenRequest(self.now, request, take)
        self._do(self.backend.receive(request, self.now))

    def number(self) -> int:
        """A new request id."""
        self._number += 1
        return self._number

    def until(self, moment: float) -> None:
        """Let the time pass, waking the engine whenever it wants to be woken."""
        while (due := self._next()) is not None and due <= moment:
            self.now = max(self.now, due)
            ringing = [alarm for alarm in self._alarms if alarm[0] <= self.now]
            self._alarms = [alarm for alarm in self._alarms if alarm[0] > self.now]
            for _, ring in ringing:
                ring()
            self._do(self.backend.advance(self.now))
        self.now = max(self.now, moment)

    def wake(self, after: float, ring: Callable[[], None]) -> None:
        """Call back after so many seconds."""
        self._alarms.append((self.now + after, ring))

    def end(self) -> None:
        """Let everybody hang up."""
        for number in [*self._open]:
            self._close(number, None)

    def _next(self) -> float | None:
        times = [alarm[0] for alarm in self._alarms]
        deadline = self.backend.deadline()
        return min([*times, *([] if deadline is None else [deadline])], default=None)

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Reply):
                take = self._close(effect.request_id, effect)
                self._do(self.backend.delivered(effect.request_id, self.now))
                take(effect)
            elif isinstance(effect, Drop):
                self._close(effect.request_id, None)

    def _close(self, number: int, reply: Reply | None) -> Callable[[Reply], None]:
        ended = self._open.pop(number)
        self.spoken.append(Transaction(self._start + ended.at, ended.request, self._start + self.now, reply))
        return ended.take


class SimulatedClient:
    """One session: its cookies, its login, its CometD session, and the latest reply to a call of its own."""

    def __init__(self, stage: Simulator, endpoint: str, user: str | None) -> None:
        self._stage, self._endpoint, self._user = stage, endpoint, user
        self._cookies: dict[str, str] = {}
        self._id = ""
        self._asked_at = -1.0
        self._polls = self._messages = 0
        self._leaving = False
        self.answered = False

    def begins(self, channels: list[str]) -> None:
        """Shake hands, subscribe and poll from now on; the first try may only bring the cookie."""
        for _ in range(2):
            if not self._id:
                self._says("/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"])
        for channel in channels:
            self._says("/meta/subscribe", subscription=channel)
        if self._id:
            self._poll()

    def calls(
        self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, *, login: bool
    ) -> None:
        """Make a call of the application."""
        self.answered = False
        fields = [*headers, *self._fields(login=login)]
        request = Request(self._stage.number(), method, path, query, Headers(fields), body, _BASE)
        self._stage.ask(request, self._answer)

    def publishes(self, channel: str, data: JSON, ext: JSON) -> None:
        """Publish a message."""
        more: JSONObject = {"data": data} if ext is None else {"data": data, "ext": ext}
        self.answered = False
        self._says(channel, **more)

    def ends(self) -> None:
        """Take leave."""
        if self._id:
            self._leaving = True
            self._says("/meta/disconnect")

    def _says(self, channel: str, **more: JSON) -> None:
        self._messages += 1
        message: JSONObject = {"id": str(self._messages), "channel": channel, **more}
        if self._id:
            message["clientId"] = self._id
        fields = [("Content-Type", "application/json;charset=UTF-8"), *self._fields(login=False)]
        body = encode([message])
        request = Request(self._stage.number(), "POST", self._endpoint, "", Headers(fields), body, _BASE)
        self._stage.ask(request, self._polled if channel == "/meta/connect" else self._answer)

    def _poll(self) -> None:
        if self._id and not self._leaving:
            self._asked_at = self._stage.now
            self._polls += 1
            self._says("/meta/connect", connectionType="long-polling")

    def _polled(self, reply: Reply) -> None:
        """Poll again at once, but not for ever where the server answers at once and has nothing to say."""
        brought = self._take_messages(reply)
        if brought or self._polls == 1 or self._stage.now > self._asked_at:
            self._poll()
        else:
            self._stage.wake(_PAUSE_SECONDS, self._poll)

    def _fields(self, *, login: bool) -> list[tuple[str, str]]:
        fields = []
        if login and self._user is not None:
            pair = f"{self._user}:{self._user}"  # a password that is the name is no secret to anybody
            fields.append(("Authorization", "Basic " + base64.b64encode(pair.encode()).decode()))
        if self._cookies:
            fields.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self._cookies.items())))
        return fields

    def _take(self, reply: Reply) -> None:
        for cookie in reply.headers.get_all("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value

    def _answer(self, reply: Reply) -> None:
        self.answered = True
        self._take_messages(reply)

    def _take_messages(self, reply: Reply) -> bool:
        """Read the messages of a reply; tell whether one of them was delivered."""
        self._take(reply)
        try:
            messages = decode(reply.body)
        except NotJSON:
            return False
        found = [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
        for message in found:
            if message.get("channel") == "/meta/handshake":
                self._id = str(message.get("clientId") or "")
        return any("successful" not in message for message in found)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A request and its reply, None where none came. Times are seconds since 1970."""

    at: float
    request: Request
    ended: float
    reply: Reply | None
