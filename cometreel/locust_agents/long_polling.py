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
from cometreel.locust_agents.event_loop import Clock, Timer
from cometreel.locust_agents.http_client import HttpReply, RequestHead, lenient_json
from cometreel.locust_agents.request_queue import QueuedRequest, ReplyOrLoss, RequestSender

__all__ = ["DeadlineTimer", "BayeuxTransport", "LongPollingTransport", "EventCallback"]

CONNECT = "/meta/connect"
_ID = "<id>"
_SUFFIXES = {"/meta/handshake": "handshake", CONNECT: "connect", "/meta/disconnect": "disconnect"}

EventCallback = Callable[[Sequence[ClientEvent], float], None]
"""Who is told what happened (never a `Send`), and when."""


class BayeuxTransport(Protocol):
    """What carries one Bayeux client."""

    def process(self, events: Sequence[ClientEvent], now: float) -> None:
        """Send what is to be sent, and pass on the rest."""

    def close(self) -> None:
        """End all connections; nobody is told anything any more."""

    @property
    def can_push(self) -> bool:
        """Whether the server holds a poll, or a WebSocket is open in its place."""


class DeadlineTimer:
    """Wakes one Bayeux client at its deadline. It sets itself anew when it finds that it rang too early."""

    def __init__(
        self, clock: Clock, client: BayeuxClient, on_due: Callable[[Sequence[ClientEvent], float], None]
    ) -> None:
        self._clock, self._client, self._on_due = clock, client, on_due
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
            self._timer = self._clock.call_at(deadline, self._wake)
        return []

    def cancel(self) -> None:
        """Wake nobody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self, now: float) -> None:
        self._timer = None
        if events := self.due(now):
            self._on_due(events, now)


class LongPollingTransport:
    """Long polling on two lines: the first is the agent's own, shared with its other requests, the second is ours.

    `read` is shown each reply before its messages are: it may set cookies, or say that the session is gone.
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
        self._client, self._head, self._endpoint, self._on_events, self._on_reply = (
            client,
            head,
            endpoint,
            on_events,
            on_reply,
        )
        self._posts, self._polls = senders
        self._deadline_timer = DeadlineTimer(clock, client, self.process)
        self._session: JSON = None
        self._poll_start = self._poll_end = b""  # what stands around the id in this session's polls

    @property
    def can_push(self) -> bool:
        """Whether a poll is under way."""
        return self._polls.busy

    def close(self) -> None:
        """End the polls; the other line is the agent's."""
        self._deadline_timer.cancel()
        self._polls.close()

    def process(self, events: Sequence[ClientEvent], now: float) -> None:
        """Send what is to be sent, the next poll first: while there is none, nothing can be pushed."""
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
        channel = str(send.messages[0]["channel"])
        # the JavaScript client's way: the name behind the path for these three, else only a slash (CometD 3.1)
        target = f"{self._endpoint}/{_SUFFIXES.get(channel, '')}"
        body = self._poll(send.messages[0]) if channel == CONNECT else encode([*send.messages])
        queued = QueuedRequest(self._head.post(target, body), send.patience, partial(self._handle_reply, send.number))
        (self._polls if channel == CONNECT else self._posts).send(queued)

    def _poll(self, message: Message) -> bytes:
        """Return the body of a poll. Those of one session differ by their id, a number, alone."""
        if "advice" in message or "ext" in message:
            return encode([message])
        if self._session != message["clientId"]:
            self._session = message["clientId"]
            self._poll_start, _, self._poll_end = encode([{**message, "id": _ID}]).partition(_ID.encode())
        return b"%b%b%b" % (self._poll_start, str(message["id"]).encode(), self._poll_end)

    def _handle_reply(self, number: int, outcome: ReplyOrLoss, now: float) -> None:
        messages = None
        if isinstance(outcome, HttpReply):
            self._on_reply(outcome)
            messages = _messages(outcome)
        if messages is None:
            self.process(self._client.failed(number, now), now)
        else:
            self.process(self._client.receive(messages, now, number=number), now)


def _messages(reply: HttpReply) -> list[Message] | None:
    if reply.status != 200:
        return None
    found = lenient_json(reply.body)
    messages = found if isinstance(found, list) else [found]
    objects = [message for message in messages if isinstance(message, dict)]
    return objects if len(objects) == len(messages) else None
