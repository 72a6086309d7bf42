"""The Bayeux client, without I/O: it returns messages to send and events, as CometD's own clients do.

It follows the server's advice, sends a new handshake when its session is lost, subscribes again, counts
acknowledgements, and backs off when there is no reply. The caller sends, waits and reads the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cometreel.bayeux.channels import is_meta
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
from cometreel.bayeux.client_states import NEXT_STEPS, ClientSettings, ClientState, NextStep
from cometreel.bayeux.message_handlers import CONNECT, DISCONNECT, HANDSHAKE, SUBSCRIBE, UNSUBSCRIBE
from cometreel.bayeux.messages import Message
from cometreel.bayeux.request_context import as_object
from cometreel.errors import BugError
from cometreel.jsonvalue import JSON, JSONObject

__all__ = ["BayeuxClient"]


class _PendingMessage(NamedTuple):
    """A message that was sent and has no reply yet."""

    number: int
    message: Message


class BayeuxClient:
    """One client of one server. Each method returns the messages to send and the events, in order."""

    def __init__(self, settings: ClientSettings | None = None) -> None:
        self.settings = settings or ClientSettings()
        self.state = ClientState.CLOSED
        self.client_id: str | None = None
        self.subscriptions: dict[str, bool] = {}
        """The wanted channels, and whether the session is subscribed to each."""
        self._ext: JSONObject = {}
        self._follow_advice({})
        self._backoff = 0.0
        self._was_connected = False
        self._batch = -1
        self._due: tuple[float, NextStep] | None = None
        self._pending: dict[str, _PendingMessage] = {}
        self._ids = 0
        self._sends = 0

    # ------------------------------------------------------------------ called by the user
    def handshake(self, now: float, *, ext: JSONObject | None = None) -> list[ClientEvent]:
        """Start a session; `ext` is sent with this and every later handshake.

        :raises BugError: if there is a session.
        """
        if self.state is not ClientState.CLOSED:
            raise BugError(f"a Bayeux client that is {self.state.name} can't shake hands")
        self._ext = dict(ext or {})
        self._backoff = 0.0
        return [self._send_handshake()]

    def subscribe(self, channels: str | Iterable[str]) -> list[ClientEvent]:
        """Subscribe to channels or patterns, as soon as there is a session, and again in each new session."""
        for channel in _several(channels):
            self.subscriptions.setdefault(channel, False)
        return self._subscribe_missing()

    def unsubscribe(self, channels: str | Iterable[str]) -> list[ClientEvent]:
        """End subscriptions."""
        in_progress = self._subscribing()
        had = [name for name in _several(channels) if self.subscriptions.pop(name, False) or name in in_progress]
        messages = [self._message(UNSUBSCRIBE, subscription=name) for name in had]
        return [self._send(messages)] if messages and self.client_id else []

    def publish(self, channel: str, data: JSON, *, ext: JSONObject | None = None) -> list[ClientEvent]:
        """Publish one message; without a session it fails at once.

        The result is a `Published` or a `Failed` event with the same message.
        """
        message = self._message(channel, data=data, **({} if ext is None else {"ext": ext}))
        if self.state not in {ClientState.CONNECTING, ClientState.CONNECTED}:
            return [Failed(message, "there is no session")]
        return [self._send([message])]

    def disconnect(self) -> list[ClientEvent]:
        """End the session and wait for the reply; without a session, just stop."""
        self._due = None
        if self.client_id is None or self.state is ClientState.CLOSING:
            return self._close("") if self.state not in {ClientState.CLOSED, ClientState.CLOSING} else []
        self.state = ClientState.CLOSING
        return [self._send([self._message(DISCONNECT)])]

    # ------------------------------------------------------------------ called by the network code
    def receive(self, messages: Sequence[Message], now: float, *, number: int | None = None) -> list[ClientEvent]:
        """Process the messages of a reply or a frame.

        `number` is that of the `Send` that they answer: its messages without a reply have failed.
        """
        events: list[ClientEvent] = []
        for message in messages:
            if "successful" in message or str(message.get("channel")).startswith("/meta/"):
                events += self._receive_meta(message, now)
            else:
                events.append(Received(message))
        if number is not None and self._pending:
            events += self.failed(number, now)
        return events

    def failed(self, number: int | None, now: float) -> list[ClientEvent]:
        """Handle a `Send` without a usable reply; None means all pending ones, as when a WebSocket closes."""
        failed = [key for key, pending in self._pending.items() if number is None or pending.number == number]
        events: list[ClientEvent] = []
        for message in [self._pending.pop(key).message for key in failed]:
            events += self._fail(message, now)
        return events

    def advance(self, now: float) -> list[ClientEvent]:
        """Send the message that is due: the next connect, or a new handshake."""
        if self._due is None or self._due[0] > now:
            return []
        next_step, self._due = self._due[1], None
        return [self._send_handshake() if next_step is NextStep.HANDSHAKE else self._connect()]

    def deadline(self) -> float | None:
        """Return the time at which `advance` next has a message to send, or None."""
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
            self._pending[str(message["id"])] = _PendingMessage(self._sends, message)
        return Send(self._sends, tuple(messages), held + self.settings.max_network_delay)

    def _send_handshake(self) -> Send:
        self.state, self.client_id = ClientState.HANDSHAKING, None
        self._follow_advice({})
        self._was_connected, self._batch = False, -1
        self.subscriptions = dict.fromkeys(self.subscriptions, False)
        self._pending.clear()  # replies to messages of the old session are ignored
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
            message["advice"] = {"timeout": 0}  # so that the reply comes at once
            held = 0.0
        if self.settings.ack:
            message["ext"] = {"ack": self._batch}
        return self._send([message], held)

    def _subscribe_missing(self) -> list[ClientEvent]:
        if False not in self.subscriptions.values() or self.client_id is None or self.state is ClientState.CLOSING:
            return []
        missing = [channel for channel, has in self.subscriptions.items() if not has]
        in_progress = self._subscribing()
        messages = [self._message(SUBSCRIBE, subscription=channel) for channel in missing if channel not in in_progress]
        return [self._send(messages)] if messages else []

    def _subscribing(self) -> set[str]:
        pending = [each.message for each in self._pending.values() if each.message["channel"] == SUBSCRIBE]
        return {str(message["subscription"]) for message in pending}

    # ------------------------------------------------------------------ receiving
    def _receive_meta(self, message: Message, now: float) -> list[ClientEvent]:
        advice = message.get("advice")
        channel = message.get("channel")
        pending = self._pending.get(str(message.get("id")))
        if pending is None or pending.message["channel"] != channel:
            return self._unexpected(message)
        del self._pending[str(message["id"])]
        if isinstance(advice, dict):
            self._follow_advice(advice)
        successful = message.get("successful") is True
        if channel in (CONNECT, HANDSHAKE):
            return self._after_reply(str(channel), message, now, successful=successful)
        error = str(message.get("error", ""))
        if channel == DISCONNECT:
            return self._close("")
        events = self._answered(pending.message, message) if successful else self._refuse(pending.message, error)
        if not successful and error.startswith("402") and self.state is not ClientState.CLOSING:
            events += self._lose_session(error, now)
        return events

    def _unexpected(self, message: Message) -> list[ClientEvent]:
        """Process a meta message that is no reply to a pending one: the server's disconnect, or a late reply."""
        if message.get("channel") == DISCONNECT and "id" not in message and self.client_id is not None:
            return self._close("the server ended the session")
        return []

    def _after_reply(self, channel: str, reply: Message, now: float, *, successful: bool) -> list[ClientEvent]:
        """Continue after the reply to a handshake or a connect."""
        error = str(reply.get("error", ""))
        reconnect = "handshake" if not successful and error.startswith("402") else self._reconnect
        next_step = NEXT_STEPS.get((channel, successful, reconnect)) or NEXT_STEPS[channel, successful, "retry"]
        if self.state is ClientState.CLOSING:
            return []
        if next_step is NextStep.CLOSE:
            return self._close(error or "the server's advice is not to reconnect")
        if next_step is NextStep.HANDSHAKE and channel == CONNECT:
            return self._lose_session(error, now)
        if not successful:
            return self._retry_later(next_step, now)
        return self._establish(reply) if channel == HANDSHAKE else self._connect_succeeded(reply, now)

    def _establish(self, reply: Message) -> list[ClientEvent]:
        self.client_id = str(reply.get("clientId"))
        self.state = ClientState.CONNECTING
        return [Established(self.client_id), *self._subscribe_missing(), self._connect()]

    def _connect_succeeded(self, reply: Message, now: float) -> list[ClientEvent]:
        batch = as_object(reply.get("ext")).get("ack")
        if isinstance(batch, int):
            self._batch = batch
        events: list[ClientEvent] = [] if self.state is ClientState.CONNECTED else [Connected()]
        self.state, self._was_connected = ClientState.CONNECTED, True
        self._backoff = 0.0
        self._due = (now + self._interval, NextStep.CONNECT)
        return [*events, *self._subscribe_missing()]

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
        """Continue after a message that got no reply."""
        channel = message["channel"]
        if channel == DISCONNECT:
            return self._close("")
        if channel not in {HANDSHAKE, CONNECT}:
            return [Failed(message, "")]
        if self.state is ClientState.CLOSING:
            return []
        return self._retry_later(NextStep.HANDSHAKE if channel == HANDSHAKE else NextStep.CONNECT, now)

    def _retry_later(self, next_step: NextStep, now: float) -> list[ClientEvent]:
        """Schedule another attempt."""
        wait = self._interval + self._increase_backoff()
        if self.state is ClientState.CONNECTED:
            self.state = ClientState.CONNECTING
        self._due = (now + wait, next_step)
        return [ConnectionBroken(wait)]

    def _increase_backoff(self) -> float:
        """Increase and return the wait after consecutive failures (CometD 3.1 `backoffIncrement`)."""
        self._backoff = min(self._backoff + self.settings.backoff_increment, self.settings.max_backoff)
        return self.settings.jitter(self._backoff)

    def _lose_session(self, error: str, now: float) -> list[ClientEvent]:
        """Schedule a handshake because the session is lost. The wait is longer if the session never connected."""
        wait = self._interval
        if not self._was_connected:
            wait += self._increase_backoff()
        self.client_id = None
        self.state = ClientState.HANDSHAKING
        self._due = (now + wait, NextStep.HANDSHAKE)
        return [*self._fail_pending(), SessionUnknown(error, wait)]

    def _close(self, error: str) -> list[ClientEvent]:
        self.state, self.client_id, self._due = ClientState.CLOSED, None, None
        self.subscriptions = dict.fromkeys(self.subscriptions, False)
        return [*self._fail_pending(), Closed(error)]

    def _fail_pending(self) -> list[ClientEvent]:
        """Fail the publishes of a session that is over; later replies to its messages are ignored."""
        messages = [pending.message for pending in self._pending.values()]
        self._pending.clear()
        return [Failed(message, "") for message in messages if not is_meta(str(message["channel"]))]

    def _follow_advice(self, advice: JSONObject) -> None:
        """Apply this advice, which replaces all earlier advice (Bayeux 1.0 §3.4)."""
        self._reconnect = str(advice.get("reconnect"))
        self._interval = _seconds(advice.get("interval"), 0.0)
        self._held = _seconds(advice.get("timeout"), self.settings.timeout)


def _several(channels: str | Iterable[str]) -> Iterable[str]:
    return (channels,) if isinstance(channels, str) else channels


def _seconds(milliseconds: JSON, default: float) -> float:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or not 0 <= milliseconds < 2**53:
        return default
    return milliseconds / 1000
