"""The long-polling transport: runs a Bayeux client over HTTP, with one connection for polls and one for the rest.

It sends the messages of the client, passes the replies to it, wakes it at its deadlines, and passes its events on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from cometreel.bayeux import BayeuxClient, ClientEvent, Message, Send
from cometreel.jsonvalue import JSON, encode
from cometreel.locust_agents.event_loop import Clock, Timer
from cometreel.locust_agents.http_client import HttpReply, RequestHead, lenient_json
from cometreel.locust_agents.request_queue import QueuedRequest, ReplyOrLoss, RequestSender

__all__ = ["BayeuxTransport", "DeadlineTimer", "EventCallback", "LongPollingTransport"]

CONNECT = "/meta/connect"
_ID = "<id>"
_SUFFIXES = {"/meta/handshake": "handshake", CONNECT: "connect", "/meta/disconnect": "disconnect", "": ""}


@lru_cache(maxsize=1)
def _targets(endpoint: str) -> dict[str, str]:
    """Return the path of each meta channel, and with the key `""` that of all other channels.

    Like the JavaScript client: three channels have their name in the path, all others only a slash (CometD 3.1).
    """
    return {channel: f"{endpoint}/{suffix}" for channel, suffix in _SUFFIXES.items()}


EventCallback = Callable[[Sequence[ClientEvent], float], None]
"""Receives the events of a Bayeux client (never a `Send`) and the current time."""


class BayeuxTransport(Protocol):
    """Sends and receives the messages of one Bayeux client."""

    def process(self, events: Sequence[ClientEvent], now: float) -> None:
        """Send messages, and pass all other events on."""

    def close(self) -> None:
        """Close all connections; no more events are passed on."""

    @property
    def can_push(self) -> bool:
        """True if a poll is held or a WebSocket is open."""


class DeadlineTimer:
    """Wakes one Bayeux client at its deadline. If the timer fires too early, it is set again."""

    def __init__(
        self, clock: Clock, client: BayeuxClient, on_due: Callable[[Sequence[ClientEvent], float], None]
    ) -> None:
        self._clock, self._client, self._on_due = clock, client, on_due
        self._timer: Timer | None = None

    def due(self, now: float) -> list[ClientEvent]:
        """Return the events that are due now; else set the timer."""
        if events := self._client.advance(now):
            return events
        deadline = self._client.deadline()
        if deadline is None:
            return []
        if self._timer is None or self._timer.due > deadline:
            self.cancel()
            self._timer = self._clock.call_at(deadline, self._wake)
        return []

    def cancel(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self, now: float) -> None:
        self._timer = None
        if events := self.due(now):
            self._on_due(events, now)


class LongPollingTransport:
    """Long polling on two connections: the first is shared with the agent's other requests, the second is for polls.

    `on_reply` is called with each reply before its messages are processed; it handles cookies and lost sessions.
    """

    def __init__(
        self,
        clock: Clock,
        client: BayeuxClient,
        senders: tuple[RequestSender, RequestSender],
        head: RequestHead,
        endpoint: str,
        on_events: EventCallback,
        on_reply: Callable[[HttpReply], None],
    ) -> None:
        self._client, self._head, self._on_events, self._on_reply = client, head, on_events, on_reply
        self._targets = _targets(endpoint)
        self._posts, self._polls = senders
        self._deadline_timer = DeadlineTimer(clock, client, self.process)
        self._session: JSON = None
        self._poll_start = self._poll_end = b""  # the JSON before and after the id in the polls of this session

    @property
    def can_push(self) -> bool:
        """True if a poll is held."""
        return self._polls.busy

    def close(self) -> None:
        """Close the connection for polls; the other belongs to the agent."""
        self._deadline_timer.cancel()
        self._polls.close()

    def process(self, events: Sequence[ClientEvent], now: float) -> None:
        """Send messages, and pass all other events on. A poll is sent first: the server can't push without it."""
        due = self._deadline_timer.due(now)
        others: list[ClientEvent] = []
        for event in (*due, *events) if due else events:
            if type(event) is Send:
                self._send(event)
            else:
                others.append(event)
        if others:
            self._on_events(others, now)

    def _send(self, send: Send) -> None:
        first = send.messages[0]
        channel = str(first["channel"])
        target = self._targets.get(channel) or self._targets[""]
        if channel == CONNECT:
            request = self._head.post(target, self._poll(first))
            self._polls.send(_SentMessages(request, send.patience, self, send.number))
        else:
            request = self._head.post(target, encode([*send.messages]))
            self._posts.send(_SentMessages(request, send.patience, self, send.number))

    def _poll(self, message: Message) -> bytes:
        """Return the body of a poll. Polls of one session differ in their id only."""
        if "advice" in message or "ext" in message:
            return encode([message])
        if self._session != message["clientId"]:
            self._session = message["clientId"]
            self._poll_start, _, self._poll_end = encode([{**message, "id": _ID}]).partition(_ID.encode())
        return b"%b%b%b" % (self._poll_start, str(message["id"]).encode(), self._poll_end)

    def handle_reply(self, number: int, outcome: ReplyOrLoss, now: float) -> None:
        """Handle the outcome of the request with the messages of `Send` `number`."""
        messages = None
        if isinstance(outcome, HttpReply):
            self._on_reply(outcome)
            messages = _messages(outcome)
        if messages is None:
            self.process(self._client.failed(number, now), now)
        else:
            self.process(self._client.receive(messages, now, number=number), now)


class _SentMessages(QueuedRequest):
    """The messages of one `Send`."""

    __slots__ = ("_number", "_transport")

    def __init__(self, request: bytes, patience: float, transport: LongPollingTransport, number: int) -> None:
        super().__init__(request, patience)
        self._transport, self._number = transport, number

    def on_done(self, outcome: ReplyOrLoss, now: float) -> None:
        self._transport.handle_reply(self._number, outcome, now)


def _messages(reply: HttpReply) -> list[Message] | None:
    if reply.status != 200:
        return None
    found = lenient_json(reply.body)
    messages = found if isinstance(found, list) else [found]
    objects = [message for message in messages if isinstance(message, dict)]
    return objects if len(objects) == len(messages) else None
