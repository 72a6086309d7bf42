"""The Bayeux server, without I/O: requests and time in, effects out.

It is independent of scenarios. Messages are processed in `protocol` and sent by `delivery`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cometreel.bayeux.application import Application
from cometreel.bayeux.delivery import Delivery
from cometreel.bayeux.message_handlers import DISCONNECT, encoded_message
from cometreel.bayeux.message_processor import MessageProcessor
from cometreel.bayeux.messages import MalformedMessages, Message, parse_messages
from cometreel.bayeux.outbox import EncodedMessage
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.reply_channels import HttpReplyChannel, WebSocketReplyChannel
from cometreel.bayeux.session import BayeuxSession, SessionState
from cometreel.bayeux.settings import BayeuxSettings, TransportName
from cometreel.bayeux.transport import is_endpoint, read_polling
from cometreel.jsonvalue import encode
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Accept, Effect, Headers, Reply, Request

__all__ = ["BayeuxServer", "BayeuxSessionInfo", "UnpolledClient"]

_SERVER_DISCONNECT = EncodedMessage(DISCONNECT, encode({"channel": DISCONNECT, "successful": True}))


@dataclass(frozen=True, slots=True)
class BayeuxSessionInfo:
    """A snapshot of a session."""

    client_id: str
    browser: str
    transport: TransportName
    """The transport of its handshake, or `websocket` while it uses one."""
    subscriptions: frozenset[str]
    held: int | None
    """The id of the request of its held poll."""
    queued: int
    """The number of messages that are queued, or not acknowledged."""


@dataclass(frozen=True, slots=True)
class UnpolledClient:
    """A client without a held poll."""

    client_id: str
    polls: int
    """The number of its `/meta/connect` messages so far."""
    latest_request: int
    """The id of the request of the latest one; 0 if there was none."""
    queued: int
    """The number of messages that are queued, or not acknowledged."""


class BayeuxServer:
    """One Bayeux endpoint: requests and time in, effects out.

    The application may call any method from its own methods. Such a call returns no effects; the outer call returns
    them.
    """

    def __init__(self, settings: BayeuxSettings, application: Application, new_id: Callable[[str], str]) -> None:
        """Create a server; `new_id("client")` and `new_id("browser")` return a new opaque id each time."""
        self._registry = Registry(settings, application, new_id)
        self._delivery = Delivery(self._registry)
        self._protocol = MessageProcessor(self._registry, self._delivery)
        self._call_depth = 0  # of nested calls, because the application may call back
        self.polls_timed_out = 0
        """The number of held polls that were answered because they timed out."""
        self.sessions_expired = 0
        """The number of sessions that expired."""
        self.deadlines = self._registry.deadlines
        """The deadlines of all sessions; `deadlines.first` is the time of the next call to `advance`."""
        self.reply_channels = self._delivery.reply_channels
        """The requests for which `delivered` or `gone` must be called, by id."""

    @property
    def settings(self) -> BayeuxSettings:
        """The current settings."""
        return self._registry.settings

    def reconfigure(self, settings: BayeuxSettings) -> None:
        """Change the settings. Sessions, held polls and queued messages stay."""
        self._registry.settings = settings

    def read_messages(self, request: Request) -> list[Message]:
        """Return the messages of an HTTP request; none if it is refused."""
        polling = read_polling(request, self.settings)
        return [] if request.websocket or isinstance(polling, Reply) else polling.messages

    # ------------------------------------------------------------------ called by the driver
    def handles(self, path: str) -> bool:
        """True if a path, without its query, belongs to this endpoint."""
        endpoint = self._registry.settings.endpoint
        return path == endpoint or is_endpoint(path[: len(endpoint) + 1], endpoint)

    def receive(self, request: Request, now: float, *, headers: Iterable[tuple[str, str]] = ()) -> list[Effect]:
        """Process an HTTP request or a WebSocket upgrade; `headers` are added to its reply.

        The effects contain the reply, unless the request is held; then any later call may return it.
        """
        self._call_depth += 1
        try:
            if request.websocket:
                self._registry.effects.append(self._open(request, tuple(headers)))
            else:
                self._answer(request, tuple(headers), now)
        finally:
            self._call_depth -= 1
        return self._take_effects()

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Process a text frame of an accepted WebSocket."""
        self._call_depth += 1
        try:
            socket = self._delivery.reply_channels.get(request_id)
            if isinstance(socket, WebSocketReplyChannel):
                self._read_frame(socket, text, now)
        finally:
            self._call_depth -= 1
        return self._take_effects()

    def awaits_confirmation(self, request_id: int) -> bool:
        """True if `delivered` or `gone` must be called for the reply to a request or the frames of a WebSocket."""
        return request_id in self._delivery.reply_channels

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Record that the reply to a request, or the oldest unconfirmed frame of a WebSocket, was written."""
        self._call_depth += 1
        try:
            self._delivery.delivered(request_id, now)
        finally:
            self._call_depth -= 1
        return self._take_effects()

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Handle a client that disconnected before its reply was written, or a WebSocket that closed."""
        self._call_depth += 1
        try:
            self._delivery.gone(request_id, now)
        finally:
            self._call_depth -= 1
        return self._take_effects()

    def advance(self, now: float) -> list[Effect]:
        """Process everything that is due: polls that time out, sessions that expire."""
        self._call_depth += 1
        try:
            while (client_id := self._registry.deadlines.pop(now)) is not None:
                self._due(self._registry.sessions[client_id], now)
        finally:
            self._call_depth -= 1
        return self._take_effects()

    def deadline(self) -> float | None:
        """Return the time of the next call to `advance`, or None."""
        return self._registry.deadlines.first

    def release_all(self, now: float) -> list[Effect]:
        """Answer every held request and close every WebSocket, for a graceful stop. Nothing is held from now on."""
        self._call_depth += 1
        try:
            self._registry.stopping = True
            for session in tuple(self._registry.sessions.values()):
                self._delivery.release(session, now)
            for reply_channel in tuple(self._delivery.reply_channels.values()):
                if isinstance(reply_channel, WebSocketReplyChannel):
                    self._delivery.close(reply_channel, 1001, now)
        finally:
            self._call_depth -= 1
        return self._take_effects()

    # ------------------------------------------------------------------ called by the application
    def deliver(
        self, client_id: str, messages: Sequence[Message | EncodedMessage], now: float, *, batch: bool = True
    ) -> list[Effect]:
        """Queue messages (`channel`, `data`, optional `ext`) for one session and release its held poll.

        During a request of that session, the messages are added to its reply instead. Without `batch` a held poll gets
        only the first message and the others wait for the next poll, as when a real server delivers them one by one.
        """
        self._call_depth += 1
        try:
            session = self._registry.sessions.get(client_id)
            if session is not None:
                for message in messages:
                    self._queue(session, message, now)
                    if not batch:
                        self._delivery.flush(session, now)
                self._delivery.flush(session, now)
        finally:
            self._call_depth -= 1
        return self._take_effects()

    def disconnect(self, client_id: str, now: float) -> list[Effect]:
        """End a session from the server's side; its poll is released with the advice not to reconnect."""
        self._call_depth += 1
        try:
            session = self._registry.sessions.get(client_id)
            if session is not None:
                if session.state is not SessionState.NEW:
                    self._delivery.put(session, _SERVER_DISCONNECT, now)
                self._registry.end(session, "server-disconnect", now)
                self._delivery.flush(session, now)
        finally:
            self._call_depth -= 1
        return self._take_effects()

    # ------------------------------------------------------------------ information
    def session(self, client_id: str) -> BayeuxSessionInfo | None:
        """Return a snapshot of one session, or None."""
        session = self._registry.sessions.get(client_id)
        if session is None:
            return None
        return BayeuxSessionInfo(
            client_id=session.client_id,
            browser=session.browser,
            transport="websocket" if session.socket is not None else session.handshake_transport,
            subscriptions=self._registry.subscriptions.of(client_id),
            held=session.poll.reply_channel.request_id if session.poll is not None else None,
            queued=len(session.outbox),
        )

    def held_polls(self) -> int:
        """Return the number of held polls."""
        return sum(session.poll is not None for session in self._registry.sessions.values())

    def unpolled_clients(self) -> list[UnpolledClient]:
        """Return the clients without a held poll, oldest first."""
        return [
            UnpolledClient(session.client_id, session.polls, session.latest_request, len(session.outbox))
            for session in self._registry.sessions.values()
            if session.poll is None
        ]

    def subscribers(self, channel: str) -> tuple[str, ...]:
        """Return the live sessions with a subscription that matches a channel, each once."""
        return self._registry.subscriptions.recipients(channel)

    def client_ids(self) -> tuple[str, ...]:
        """Return the live sessions, oldest first."""
        return tuple(self._registry.sessions)

    def client_ids_of_browser(self, browser: str) -> tuple[str, ...]:
        """Return the live sessions with a browser cookie, oldest first."""
        return self._registry.browsers.sessions(browser)

    # ------------------------------------------------------------------ inside
    def _take_effects(self) -> list[Effect]:
        """Return the effects to the outermost caller; a call from within the application returns none."""
        if self._call_depth or not self._registry.effects:
            return []
        effects = self._registry.effects[:]
        self._registry.effects.clear()
        return effects

    def _open(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Effect:
        if "websocket" not in self.settings.transports:
            return Reply(request.id, 400, Headers(headers))
        self._delivery.open(WebSocketReplyChannel(request))
        return Accept(request.id, Headers(headers))

    def _answer(self, request: Request, headers: tuple[tuple[str, str], ...], now: float) -> None:
        polling = read_polling(request, self._registry.settings)
        if isinstance(polling, Reply):
            fields = Headers((*polling.headers, *headers))
            self._registry.effects.append(Reply(request.id, polling.status, fields, polling.body))
        else:
            reply_channel = HttpReplyChannel(request.id, polling.callback, headers)
            self._protocol.run(request, reply_channel, polling.messages, now)

    def _read_frame(self, socket: WebSocketReplyChannel, text: str, now: float) -> None:
        if len(text) > self.settings.max_message_bytes:
            self._delivery.close(socket, 1009, now)
            return
        try:
            messages = parse_messages(text)
        except MalformedMessages:
            messages = []
        if messages:
            self._protocol.run(socket.request, socket, messages, now)
        else:
            self._delivery.close(socket, 1011, now)

    def _queue(self, session: BayeuxSession, message: Message | EncodedMessage, now: float) -> None:
        encoded = message if isinstance(message, EncodedMessage) else encoded_message(message)
        index = self._registry.subscriptions
        if self.settings.deliver == "all" or index.receives(session.client_id, encoded.channel):
            self._delivery.put(session, encoded, now)
        else:
            self._registry.application.dropped(session.client_id, encoded, "no subscriber", now)

    def _due(self, session: BayeuxSession, now: float) -> None:
        if session.poll is not None:
            self.polls_timed_out += 1
            self._delivery.release(session, now)
        else:
            self.sessions_expired += 1
            self._registry.end(session, "expired", now)
            self._delivery.flush(session, now)


copy_by_constructor(__name__)
