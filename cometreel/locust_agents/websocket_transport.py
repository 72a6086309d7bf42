"""The WebSocket transport: runs a Bayeux client on a WebSocket, with the sans-IO protocol of the `websockets` package.

The agent's other requests use HTTP, as those of real desktops do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from cometreel.bayeux import BayeuxClient, ClientEvent, ClientState, MalformedMessages, Send, parse_messages
from cometreel.jsonvalue import JSON, encode
from cometreel.locust_agents.connection import Connection, ConnectionLoss
from cometreel.locust_agents.event_loop import EventLoop, clock
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.load_target import LoadTarget
from cometreel.locust_agents.long_polling import DeadlineTimer, EventCallback

__all__ = ["WebSocketTransport"]


class WebSocketTransport:
    """At most one WebSocket, opened when the client sends a message.

    `headers` returns the headers of the opening handshake. `on_reply` is called with its reply, which may set cookies.
    """

    def __init__(
        self,
        event_loop: EventLoop,
        client: BayeuxClient,
        target: LoadTarget,
        endpoint: str,
        on_events: EventCallback,
        headers: Callable[[], Mapping[str, str]],
        on_reply: Callable[[HttpReply], None],
    ) -> None:
        self._event_loop, self._client, self._on_events, self._headers, self._on_reply = (
            event_loop,
            client,
            on_events,
            headers,
            on_reply,
        )
        self._uri = parse_uri(f"{'wss' if target.secure else 'ws'}://{target.authority}{endpoint}")
        self._connection = Connection(event_loop, target, self)
        self._protocol: ClientProtocol | None = None
        self._early: list[bytes] = []
        self._deadline_timer = DeadlineTimer(event_loop, client, self.process)

    @property
    def can_push(self) -> bool:
        """True if there is a WebSocket with a CometD session."""
        return self._protocol is not None and self._client.state is ClientState.CONNECTED

    def close(self) -> None:
        """Close the connection; no more events are passed on."""
        self._deadline_timer.cancel()
        self._connection.close()
        self._protocol = None

    def process(self, events: Sequence[ClientEvent], now: float) -> None:
        """Send messages, and pass all other events on."""
        due = self._deadline_timer.due(now)
        others: list[ClientEvent] = []
        for event in (*due, *events):
            if isinstance(event, Send):
                self._send(event, now)
            else:
                others.append(event)
        if others:
            self._on_events(others, now)

    def _send(self, send: Send, now: float) -> None:
        body: list[JSON] = list(send.messages)
        if self._protocol is None:
            self._open()
        assert self._protocol is not None
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(encode(body))
            self._flush(self._protocol)
        else:
            self._early.append(encode(body))
        self._event_loop.call_at(now + send.patience, lambda then: self._time_out(send.number, then))

    def _time_out(self, number: int, now: float) -> None:
        """Report a missing reply to the client. The client ignores it if the reply has arrived."""
        if self._protocol is not None:
            self.process(self._client.failed(number, now), now)

    def _open(self) -> None:
        protocol = self._protocol = ClientProtocol(self._uri)
        request = protocol.connect()
        for name, value in self._headers().items():
            request.headers[name] = value
        protocol.send_request(request)
        self._flush(protocol)

    def _flush(self, protocol: ClientProtocol) -> None:
        if data := b"".join(protocol.data_to_send()):
            self._connection.send(data)

    # ------------------------------------------------------------------ events of the connection
    def data_received(self, data: bytes, now: float) -> None:
        """Handle data."""
        protocol = self._protocol
        if protocol is None:
            return
        opening = protocol.state is State.CONNECTING
        protocol.receive_data(data)
        if opening and protocol.state is State.OPEN:
            for early in self._early:
                protocol.send_text(early)
            self._early.clear()
        for event in protocol.events_received():
            if isinstance(event, Response):
                headers = tuple((k.lower().encode(), v.encode()) for k, v in event.headers.raw_items())
                self._on_reply(HttpReply(event.status_code, headers, b"", last=False))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._take(bytes(event.data), now)
        if protocol.handshake_exc is not None:
            self._connection.close()
            self.connection_lost(ConnectionLoss.CLOSED)
        elif self._protocol is protocol:
            self._flush(protocol)
            if protocol.state is not State.OPEN and not opening:
                self._connection.close()
                self.connection_lost(ConnectionLoss.CLOSED)

    def _take(self, data: bytes, now: float) -> None:
        try:
            messages = parse_messages(data)
        except MalformedMessages:
            return  # the request will time out
        self.process(self._client.receive(messages, now), now)

    def connection_lost(self, loss: ConnectionLoss) -> None:
        """Handle the end of the connection: all requests on it have failed."""
        self._protocol = None
        self._early.clear()
        now = clock()
        self.process(self._client.failed(None, now), now)
