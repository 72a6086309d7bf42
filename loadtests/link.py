"""A Bayeux client on HTTP, as browsers have it: polls on one line, everything else on another. Long polling.

It sends what the client orders, gives it what comes back, wakes it when something is due, and passes on what the
client has to tell. What that means for an agent is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from cometreel.bayeux import BayeuxClient, ClientEvent, Message, Send
from cometreel.jsonvalue import JSON, encode

from .http_bytes import HttpReply, RequestHead, quick_json
from .http_line import Asking, Outcome, Requests
from .pump import Timer, Timers

__all__ = ["Alarm", "Link", "PollingLink", "Told"]

CONNECT = "/meta/connect"
_SUFFIXES = {"/meta/handshake": "handshake", CONNECT: "connect", "/meta/disconnect": "disconnect"}

Told = Callable[[Sequence[ClientEvent], float], None]
"""Who is told what happened (never a `Send`), and when."""


class Link(Protocol):
    """What carries one Bayeux client."""

    def do(self, events: Sequence[ClientEvent], now: float) -> None:
        """Send what is to be sent, and pass on the rest."""

    def close(self) -> None:
        """End all connections; nobody is told anything any more."""

    @property
    def holds(self) -> bool:
        """Whether the server holds a poll, or a WebSocket is open in its place."""


class Alarm:
    """Wakes one Bayeux client at its deadline. It sets itself anew when it finds that it rang too early."""

    def __init__(
        self, timers: Timers, client: BayeuxClient, ring: Callable[[Sequence[ClientEvent], float], None]
    ) -> None:
        self._timers, self._client, self._ring = timers, client, ring
        self._timer: Timer | None = None

    def due(self, now: float) -> list[ClientEvent]:
        """Return what the client sends by now, and wake it for the rest."""
        deadline = self._client.deadline()
        if deadline is None:
            return []
        if deadline <= now:
            return self._client.advance(now)
        if self._timer is None or self._timer.due > deadline:
            self.cancel()
            self._timer = self._timers.at(deadline, self._wake)
        return []

    def cancel(self) -> None:
        """Wake nobody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self, now: float) -> None:
        self._timer = None
        if events := self.due(now):
            self._ring(events, now)


class PollingLink:
    """Long polling on two lines: the first is the agent's own, shared with its other requests, the second is ours.

    `read` is shown each reply before its messages are: it may set cookies, or say that the session is gone.
    """

    def __init__(
        self,
        timers: Timers,
        client: BayeuxClient,
        lines: tuple[Requests, Requests],
        head: RequestHead,
        endpoint: str,
        told: Told,
        read: Callable[[HttpReply], None],
    ) -> None:
        self._client, self._head, self._endpoint, self._told, self._read = client, head, endpoint, told, read
        self._posts, self._polls = lines
        self._alarm = Alarm(timers, client, self.do)

    @property
    def holds(self) -> bool:
        """Whether a poll is under way."""
        return self._polls.busy

    def close(self) -> None:
        """End the polls; the other line is the agent's."""
        self._alarm.cancel()
        self._polls.close()

    def do(self, events: Sequence[ClientEvent], now: float) -> None:
        """Send what is to be sent, the next poll first: while there is none, nothing can be pushed."""
        due = self._alarm.due(now)
        told: list[ClientEvent] = []
        for event in (*due, *events):
            if type(event) is Send:
                self._send(event)
            else:
                told.append(event)
        if told:
            self._told(told, now)

    def _send(self, send: Send) -> None:
        channel = str(send.messages[0]["channel"])
        # the JavaScript client's way: the name behind the path for these three, else only a slash (CometD 3.1)
        target = f"{self._endpoint}/{_SUFFIXES.get(channel, '')}"
        body: list[JSON] = list(send.messages)
        asking = Asking(self._head.post(target, encode(body)), send.patience, partial(self._answered, send))
        (self._polls if channel == CONNECT else self._posts).ask(asking)

    def _answered(self, send: Send, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, HttpReply):
            self._read(outcome)
        messages = _messages(outcome)
        if messages is None:
            self.do(self._client.failed(send.number, now), now)
        else:
            self.do(self._client.receive(messages, now, number=send.number), now)


def _messages(outcome: Outcome) -> list[Message] | None:
    if not isinstance(outcome, HttpReply) or outcome.status != 200:
        return None
    found = quick_json(outcome.body)
    messages = found if isinstance(found, list) else [found]
    objects = [message for message in messages if isinstance(message, dict)]
    return objects if len(objects) == len(messages) else None
