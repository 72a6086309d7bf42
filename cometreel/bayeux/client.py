"""The Bayeux client, without I/O: what CometD's own clients do, as messages to send and events to tell.

It follows the server's advice, shakes hands again when its session is lost, subscribes again, counts
acknowledgements, and backs off when nothing answers. Sending, waiting and reading the clock is its user's part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cometreel.bayeux.client_events import (
    ClientEvent,
    Closed,
    Connected,
    ConnectionBroken,
    Established,
    Failed,
    Published,
    Received,
    Send,
    SessionUnknown,
    Subscribed,
    Unsubscribed,
)
from cometreel.bayeux.client_states import AFTER, ClientSettings, ClientState, NextStep
from cometreel.bayeux.messages import Message
from cometreel.bayeux.request_context import as_object
from cometreel.bayeux.rules import CONNECT, DISCONNECT, HANDSHAKE, SUBSCRIBE, UNSUBSCRIBE
from cometreel.errors import BugError
from cometreel.jsonvalue import JSON, JSONObject

__all__ = ["BayeuxClient"]


class _PendingMessage(NamedTuple):
    """A message that was sent and not answered yet."""

    number: int
    message: Message


class BayeuxClient:
    """One client of one server. Each method gives what to send and what happened, in order."""

    def __init__(self, settings: ClientSettings | None = None) -> None:
        self.settings = settings or ClientSettings()
        self.state = ClientState.CLOSED
        self.client_id: str | None = None
        self.subscriptions: dict[str, bool] = {}
        """The channels that are wanted, and whether the session has them."""
        self._ext: JSONObject = {}
        self._heed({})
        self._backoff = 0.0
        self._proven = False
        self._batch = -1
        self._due: tuple[float, NextStep] | None = None
        self._asked: dict[str, _PendingMessage] = {}
        self._ids = 0
        self._sends = 0

    # ------------------------------------------------------------------ what the user asks
    def handshake(self, now: float, *, ext: JSONObject | None = None) -> list[ClientEvent]:
        """Begin a session; `ext` goes into this and every later handshake.

        :raises BugError: if there is a session already.
        """
        if self.state is not ClientState.CLOSED:
            raise BugError(f"a Bayeux client that is {self.state.name} can't shake hands")
        self._ext = dict(ext or {})
        self._backoff = 0.0
        return [self._shake()]

    def subscribe(self, channels: str | Iterable[str]) -> list[ClientEvent]:
        """Subscribe to channels or patterns, now or as soon as there is a session, and again in each new one."""
        for channel in _several(channels):
            self.subscriptions.setdefault(channel, False)
        return self._subscribe_missing()

    def unsubscribe(self, channels: str | Iterable[str]) -> list[ClientEvent]:
        """Give up subscriptions."""
        under_way = self._subscribing()
        had = [name for name in _several(channels) if self.subscriptions.pop(name, False) or name in under_way]
        messages = [self._message(UNSUBSCRIBE, subscription=name) for name in had]
        return [self._send(messages)] if messages and self.client_id else []

    def publish(self, channel: str, data: JSON, *, ext: JSONObject | None = None) -> list[ClientEvent]:
        """Publish one message; without a session it fails at once.

        The answer is a `Published` or a `Failed` that carries the same message.
        """
        message = self._message(channel, data=data, **({} if ext is None else {"ext": ext}))
        if self.state not in {ClientState.CONNECTING, ClientState.CONNECTED}:
            return [Failed(message, "there is no session")]
        return [self._send([message])]

    def disconnect(self) -> list[ClientEvent]:
        """End the session and wait for the answer; without one, just stop."""
        self._due = None
        if self.client_id is None or self.state is ClientState.CLOSING:
            return self._close("") if self.state not in {ClientState.CLOSED, ClientState.CLOSING} else []
        self.state = ClientState.CLOSING
        return [self._send([self._message(DISCONNECT)])]

    # ------------------------------------------------------------------ what the network brings
    def receive(self, messages: Sequence[Message], now: float, *, number: int | None = None) -> list[ClientEvent]:
        """Take the messages of a reply or a frame.

        With the number of the `Send` that they answer, what they leave unanswered has failed.
        """
        events: list[ClientEvent] = []
        for message in messages:
            if "successful" in message or str(message.get("channel")).startswith("/meta/"):
                events += self._take(message, now)
            else:
                events.append(Received(message))
        if number is not None and self._asked and any(asked.number == number for asked in self._asked.values()):
            events += self.failed(number, now)
        return events

    def failed(self, number: int | None, now: float) -> list[ClientEvent]:
        """Learn that a `Send` got no usable answer; None stands for all that are open, as when a WebSocket closes."""
        failed = [key for key, asked in self._asked.items() if number is None or asked.number == number]
        events: list[ClientEvent] = []
        for message in [self._asked.pop(key).message for key in failed]:
            events += self._fail(message, now)
        return events

    def advance(self, now: float) -> list[ClientEvent]:
        """Send what has become due: the next connect, or a new handshake."""
        if self._due is None or self._due[0] > now:
            return []
        following, self._due = self._due[1], None
        return [self._shake() if following is NextStep.HANDSHAKE else self._connect()]

    def deadline(self) -> float | None:
        """Give the time at which `advance` next has something to send."""
        return None if self._due is None else self._due[0]

    # ------------------------------------------------------------------ sending
    def _message(self, channel: str, **fields: JSON) -> Message:
        self._ids += 1
        message: Message = {"channel": channel, "id": str(self._ids), **fields}
        if self.client_id is not None:
            message["clientId"] = self.client_id
        return message

    def _send(self, messages: Sequence[Message], held: float = 0.0) -> Send:
        self._sends += 1
        for message in messages:
            self._asked[str(message["id"])] = _PendingMessage(self._sends, message)
        return Send(self._sends, tuple(messages), held + self.settings.max_network_delay)

    def _shake(self) -> Send:
        self.state, self.client_id = ClientState.HANDSHAKING, None
        self._heed({})
        self._proven, self._batch = False, -1
        self.subscriptions = dict.fromkeys(self.subscriptions, False)
        self._asked.clear()  # answers to the old session's messages mean nothing now
        message = self._message(
            HANDSHAKE,
            version="1.0",
            minimumVersion="1.0",
            supportedConnectionTypes=[self.settings.connection_type],
            advice={"timeout": round(self.settings.timeout * 1000), "interval": 0},
        )
        ext = {**self._ext, "ack": True} if self.settings.ack else self._ext
        if ext:
            message["ext"] = ext
        return self._send([message])

    def _connect(self) -> Send:
        message = self._message(CONNECT, connectionType=self.settings.connection_type)
        held = self._held
        if self.state is not ClientState.CONNECTED:
            message["advice"] = {"timeout": 0}  # to learn at once that the connection is there
            held = 0.0
        if self.settings.ack:
            message["ext"] = {"ack": self._batch}
        return self._send([message], held)

    def _subscribe_missing(self) -> list[ClientEvent]:
        if self.client_id is None or self.state is ClientState.CLOSING:
            return []
        missing = [channel for channel, has in self.subscriptions.items() if not has]
        under_way = self._subscribing() if missing else set()
        messages = [self._message(SUBSCRIBE, subscription=channel) for channel in missing if channel not in under_way]
        return [self._send(messages)] if messages else []

    def _subscribing(self) -> set[str]:
        asked = [each.message for each in self._asked.values() if each.message["channel"] == SUBSCRIBE]
        return {str(message["subscription"]) for message in asked}

    # ------------------------------------------------------------------ receiving
    def _take(self, message: Message, now: float) -> list[ClientEvent]:
        advice = message.get("advice")
        channel = message.get("channel")
        asked = self._asked.get(str(message.get("id")))
        if asked is None or asked.message["channel"] != channel:
            return self._uninvited(message)
        del self._asked[str(message["id"])]
        if isinstance(advice, dict):
            self._heed(advice)
        successful = message.get("successful") is True
        if channel in (CONNECT, HANDSHAKE):
            return self._follow(str(channel), message, now, successful=successful)
        error = str(message.get("error", ""))
        if channel == DISCONNECT:
            return self._close("")
        events = self._answered(asked.message, message) if successful else self._refuse(asked.message, error)
        if not successful and error.startswith("402") and self.state is not ClientState.CLOSING:
            events += self._lose(error, now)
        return events

    def _uninvited(self, message: Message) -> list[ClientEvent]:
        """Take a meta message that answers nothing: the server's own goodbye, or a late answer of an old session."""
        if message.get("channel") == DISCONNECT and "id" not in message and self.client_id is not None:
            return self._close("the server ended the session")
        return []

    def _follow(self, channel: str, reply: Message, now: float, *, successful: bool) -> list[ClientEvent]:
        """Do what comes after a handshake or a connect."""
        error = str(reply.get("error", ""))
        reconnect = "handshake" if not successful and error.startswith("402") else self._reconnect
        following = AFTER.get((channel, successful, reconnect)) or AFTER[channel, successful, "retry"]
        if self.state is ClientState.CLOSING:
            return []
        if following is NextStep.CLOSE:
            return self._close(error or "the server advises not to come back")
        if following is NextStep.HANDSHAKE and channel == CONNECT:
            return self._lose(error, now)
        if not successful:
            return self._break(following, now)
        return self._establish(reply) if channel == HANDSHAKE else self._go_on(reply, now)

    def _establish(self, reply: Message) -> list[ClientEvent]:
        self.client_id = str(reply.get("clientId"))
        self.state = ClientState.CONNECTING
        return [Established(self.client_id), *self._subscribe_missing(), self._connect()]

    def _go_on(self, reply: Message, now: float) -> list[ClientEvent]:
        batch = as_object(reply.get("ext")).get("ack")
        if isinstance(batch, int):
            self._batch = batch
        news: list[ClientEvent] = [] if self.state is ClientState.CONNECTED else [Connected()]
        self.state, self._proven = ClientState.CONNECTED, True
        self._backoff = 0.0
        self._due = (now + self._interval, NextStep.CONNECT)
        return [*news, *self._subscribe_missing()]

    def _answered(self, message: Message, reply: Message) -> list[ClientEvent]:
        channel = str(message["channel"])
        if channel not in {SUBSCRIBE, UNSUBSCRIBE}:
            return [Published(message, reply)]
        name = str(message["subscription"])
        if channel == UNSUBSCRIBE:
            return [Unsubscribed(name)]
        if name in self.subscriptions:
            self.subscriptions[name] = True
        return [Subscribed(name)]

    def _refuse(self, message: Message, error: str) -> list[ClientEvent]:
        if message["channel"] == SUBSCRIBE and not error.startswith("402"):
            self.subscriptions.pop(str(message["subscription"]), None)
        return [Failed(message, error)]

    # ------------------------------------------------------------------ failing
    def _fail(self, message: Message, now: float) -> list[ClientEvent]:
        """React to a message that wasn't answered."""
        channel = message["channel"]
        if channel == DISCONNECT:
            return self._close("")
        if channel not in {HANDSHAKE, CONNECT}:
            return [Failed(message, "")]
        if self.state is ClientState.CLOSING:
            return []
        return self._break(NextStep.HANDSHAKE if channel == HANDSHAKE else NextStep.CONNECT, now)

    def _break(self, following: NextStep, now: float) -> list[ClientEvent]:
        """Try again later."""
        wait = self._interval + self._wait_longer()
        if self.state is ClientState.CONNECTED:
            self.state = ClientState.CONNECTING
        self._due = (now + wait, following)
        return [ConnectionBroken(wait)]

    def _wait_longer(self) -> float:
        """Wait longer with each failure in a row (CometD 3.1 `backoffIncrement`)."""
        self._backoff = min(self._backoff + self.settings.backoff_increment, self.settings.max_backoff)
        return self.settings.jitter(self._backoff)

    def _lose(self, error: str, now: float) -> list[ClientEvent]:
        """Shake hands again: the session is gone. If it never connected, neither may the next one: wait longer."""
        wait = self._interval
        if not self._proven:
            wait += self._wait_longer()
        self.client_id = None
        self._asked.clear()
        self.state = ClientState.HANDSHAKING
        self._due = (now + wait, NextStep.HANDSHAKE)
        return [SessionUnknown(error, wait)]

    def _close(self, error: str) -> list[ClientEvent]:
        self.state, self.client_id, self._due = ClientState.CLOSED, None, None
        self._asked.clear()
        self.subscriptions = dict.fromkeys(self.subscriptions, False)
        return [Closed(error)]

    def _heed(self, advice: JSONObject) -> None:
        """Follow this advice from now on, and none that was given before (Bayeux 1.0 §3.4)."""
        self._reconnect = str(advice.get("reconnect"))
        self._interval = _seconds(advice.get("interval"), 0.0)
        self._held = _seconds(advice.get("timeout"), self.settings.timeout)


def _several(channels: str | Iterable[str]) -> Iterable[str]:
    return (channels,) if isinstance(channels, str) else channels


def _seconds(milliseconds: JSON, default: float) -> float:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or not 0 <= milliseconds < 2**53:
        return default
    return milliseconds / 1000
