"""The Bayeux server, without I/O: it knows nothing of scenarios, sockets or clocks.

This is its face: requests and time in, effects out. The rules are in `protocol`, the messages' ways in `delivery`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from cometreel.bayeux.application import Application
from cometreel.bayeux.delivery import Delivery
from cometreel.bayeux.messages import MalformedMessages, Message, parse_messages
from cometreel.bayeux.outbox import EncodedMessage
from cometreel.bayeux.protocol import Protocol
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.reply_channels import HttpReplyChannel, WebSocketReplyChannel
from cometreel.bayeux.rules import DISCONNECT, encoded_message
from cometreel.bayeux.session import BayeuxSession, SessionState
from cometreel.bayeux.settings import BayeuxSettings, TransportName
from cometreel.bayeux.transport import is_endpoint, read_polling
from cometreel.jsonvalue import encode
from cometreel.wire import Accept, Effect, Headers, Reply, Request

__all__ = ["BayeuxServer", "BayeuxSessionInfo"]

_GOODBYE = EncodedMessage(DISCONNECT, encode({"channel": DISCONNECT, "successful": True}))


@dataclass(frozen=True, slots=True)
class BayeuxSessionInfo:
    """What can be seen of a session from outside: a snapshot."""

    client_id: str
    browser: str
    transport: TransportName
    """The transport of its handshake, or `websocket` while it is bound to one."""
    subscriptions: frozenset[str]
    held: int | None
    """The id of the request that holds its poll, if one does."""
    queued: int
    """How many messages wait for it, or for its acknowledgement."""


class _CallDepth:
    """How deep a call is inside others: the application may call back. Entered thousands of times a second."""

    __slots__ = ("depth",)

    def __init__(self) -> None:
        self.depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.depth -= 1


class BayeuxServer:
    """One Bayeux endpoint: requests and time in, effects out.

    Any method may be called from within the application's own methods; then it returns nothing, and what it caused is
    among the effects of the outer call.
    """

    def __init__(self, settings: BayeuxSettings, application: Application, new_id: Callable[[str], str]) -> None:
        """Make a server; `new_id("client")` and `new_id("browser")` give a new opaque id each time."""
        self._registry = Registry(settings, application, new_id)
        self._delivery = Delivery(self._registry)
        self._protocol = Protocol(self._registry, self._delivery)
        self._turn = _CallDepth()

    @property
    def settings(self) -> BayeuxSettings:
        """The settings in force."""
        return self._registry.settings

    def reconfigure(self, settings: BayeuxSettings) -> None:
        """Change the settings; sessions stay, and what is held or queued already is not touched."""
        self._registry.settings = settings

    # ------------------------------------------------------------------ what the door calls
    def handles(self, path: str) -> bool:
        """Tell whether a path, without its query, belongs to this endpoint."""
        return is_endpoint(path, self.settings.endpoint)

    def receive(self, request: Request, now: float, *, headers: Iterable[tuple[str, str]] = ()) -> list[Effect]:
        """Take an HTTP request or a WebSocket upgrade; `headers` are added to whatever reply it gets.

        The reply is among the effects, or the request is held and its reply comes later, from any method.
        """
        with self._turn:
            if request.websocket:
                self._registry.effects.append(self._open(request, tuple(headers)))
            else:
                self._answer(request, tuple(headers), now)
        return self._taken()

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Take a text frame of an accepted WebSocket."""
        with self._turn:
            socket = self._delivery.lines.get(request_id)
            if isinstance(socket, WebSocketReplyChannel):
                self._read_frame(socket, text, now)
        return self._taken()

    def awaits(self, request_id: int) -> bool:
        """Tell whether it matters what becomes of the reply to a request, or of the frames of a WebSocket."""
        return request_id in self._delivery.lines

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Learn that the reply of a request, or the oldest unconfirmed frame of a WebSocket, was written."""
        with self._turn:
            self._delivery.delivered(request_id, now)
        return self._taken()

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Learn that the client hung up before its reply was written, or that a WebSocket closed."""
        with self._turn:
            self._delivery.gone(request_id, now)
        return self._taken()

    def advance(self, now: float) -> list[Effect]:
        """Do what has become due: polls that time out, sessions that expire."""
        with self._turn:
            while (client_id := self._registry.deadlines.pop(now)) is not None:
                self._due(self._registry.sessions[client_id], now)
        return self._taken()

    def deadline(self) -> float | None:
        """Give the time at which `advance` next has something to do."""
        return self._registry.deadlines.first

    def release_all(self, now: float) -> list[Effect]:
        """Answer every held request and close every WebSocket, for a graceful stop; from now on nothing is held."""
        with self._turn:
            self._registry.stopping = True
            for session in tuple(self._registry.sessions.values()):
                self._delivery.release(session, now)
            for line in tuple(self._delivery.lines.values()):
                if isinstance(line, WebSocketReplyChannel):
                    self._delivery.close(line, 1001, now)
        return self._taken()

    # ------------------------------------------------------------------ what the application calls
    def deliver(self, client_id: str, messages: Sequence[Message], now: float, *, batch: bool = True) -> list[Effect]:
        """Queue messages (`channel`, `data`, maybe `ext`) for one session and release its held poll.

        Called while that session's own request is processed, they ride on its reply instead. Without `batch` the
        poll takes the first message only and the rest wait for the next one, as when a real server is told one by one.
        """
        with self._turn:
            session = self._registry.sessions.get(client_id)
            if session is not None:
                for message in messages:
                    self._queue(session, message)
                    if not batch:
                        self._delivery.flush(session, now)
                self._delivery.flush(session, now)
        return self._taken()

    def disconnect(self, client_id: str, now: float) -> list[Effect]:
        """End a session from the server's side: its poll is released with the advice not to come again."""
        with self._turn:
            session = self._registry.sessions.get(client_id)
            if session is not None:
                if session.state is not SessionState.NEW:
                    self._delivery.put(session, _GOODBYE)
                self._registry.end(session, "kicked", now)
                self._delivery.flush(session, now)
        return self._taken()

    # ------------------------------------------------------------------ what can be seen
    def session(self, client_id: str) -> BayeuxSessionInfo | None:
        """Look at one session."""
        session = self._registry.sessions.get(client_id)
        if session is None:
            return None
        return BayeuxSessionInfo(
            client_id=session.client_id,
            browser=session.browser,
            transport="websocket" if session.socket is not None else session.home,
            subscriptions=self._registry.subscriptions.of(client_id),
            held=session.poll.line.request_id if session.poll is not None else None,
            queued=len(session.outbox),
        )

    def held_polls(self) -> int:
        """Count the polls that are held."""
        return sum(session.poll is not None for session in self._registry.sessions.values())

    def client_ids(self) -> tuple[str, ...]:
        """List the live sessions, oldest first."""
        return tuple(self._registry.sessions)

    def client_ids_of_browser(self, browser: str) -> tuple[str, ...]:
        """List the live sessions that share a browser cookie, oldest first."""
        return self._registry.browsers.sessions(browser)

    # ------------------------------------------------------------------ inside
    def _taken(self) -> list[Effect]:
        """Give the effects to the outermost caller; a call from within the application gets none."""
        if self._turn.depth:
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
        polling = read_polling(request, self.settings)
        if isinstance(polling, Reply):
            fields = Headers((*polling.headers, *headers))
            self._registry.effects.append(Reply(request.id, polling.status, fields, polling.body))
        else:
            line = HttpReplyChannel(request.id, polling.callback, headers)
            self._protocol.run(request, line, polling.messages, now)

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

    def _queue(self, session: BayeuxSession, message: Message) -> None:
        channel = str(message["channel"])
        index = self._registry.subscriptions
        if self.settings.deliver == "all" or index.receives(session.client_id, channel):
            self._delivery.put(session, encoded_message(message))

    def _due(self, session: BayeuxSession, now: float) -> None:
        if session.poll is not None:
            self._delivery.release(session, now)
        else:
            self._registry.end(session, "expired", now)
            self._delivery.flush(session, now)
