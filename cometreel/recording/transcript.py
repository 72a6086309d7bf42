"""The transcript of a journal: its events as calls, publishes and deliveries, with their sessions.

Delivered messages are read from every Bayeux reply. Redelivered messages (acknowledgement extension) and copies for a
second client of the same session are detected and left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cometreel.bayeux import is_meta
from cometreel.jsonvalue import JSON, JSONObject, decode_encoded, encode, same
from cometreel.recording.bindings import RecordedBinding, find_bindings, names_by_token
from cometreel.recording.identities import Identities
from cometreel.recording.journal_events import RedactedPaths, WireEvent
from cometreel.recording.session_cookie import BROWSER_COOKIE, find_session_cookie

__all__ = ["COPY_SECONDS", "RecordedCall", "RecordedDelivery", "RecordedPublish", "Transcript", "build_transcript"]

_MessageKey: TypeAlias = tuple[str, str]
"""Channel and id of a message."""
_SentMessage: TypeAlias = "tuple[WireEvent, JSONObject, RecordedPublish | None]"
COPY_SECONDS = 5.0
"""The longest time between two deliveries of one message."""
_LIVE_SECONDS = 45.0  # a poll of 30 seconds, and the time until a client without a poll expires
_SWITCHING_PROTOCOLS = 101  # the reply to the upgrade to a WebSocket
_ENDED = "a CometD session that the server ended (add an event with `disconnect: true` to replay it)"
_ANCHORS = {"/meta/handshake": "handshake", "/meta/connect": "connect", "/meta/subscribe": "subscribe"}


@dataclass(slots=True, eq=False)
class RecordedCall:
    """An HTTP request that isn't Bayeux, with its reply. Times are in seconds since the start of the journal.

    `anonymous` is true if nothing in it identifies a session.
    """

    at: float
    session: int
    request: WireEvent
    reply_at: float
    reply: WireEvent
    anonymous: bool = False


@dataclass(slots=True, eq=False)
class RecordedPublish:
    """A Bayeux publish and its acknowledgement, if any. `number` is its index in the messages of the request.

    `hidden` are the replaced values of all messages of the request.
    """

    at: float
    session: int
    client: str
    channel: str
    encoded: bytes
    hidden: RedactedPaths
    number: int
    reply_at: float | None = None
    encoded_reply: bytes | None = None

    @property
    def reply(self) -> JSONObject | None:
        """The acknowledgement; a new one each time."""
        return None if self.encoded_reply is None else _message(self.encoded_reply)

    @property
    def message(self) -> JSONObject:
        """The message; a new one each time."""
        return _message(self.encoded)

    @property
    def data(self) -> JSON:
        """The data of the message."""
        return self.message.get("data")


@dataclass(slots=True, eq=False)
class RecordedDelivery:
    """A message that the server delivered."""

    at: float
    session: int
    client: str
    channel: str
    encoded: bytes
    flow: str

    @property
    def message(self) -> JSONObject:
        """The message; a new one each time."""
        return _message(self.encoded)

    @property
    def data(self) -> JSON:
        """The data of the message."""
        return self.message.get("data")


@dataclass(slots=True)
class Transcript:
    """The recorded traffic, ordered by time; `left_out` counts events that can't be used, by reason."""

    calls: list[RecordedCall] = field(default_factory=list)
    publishes: list[RecordedPublish] = field(default_factory=list)
    deliveries: list[RecordedDelivery] = field(default_factory=list)
    anchors: dict[int, dict[str, float]] = field(default_factory=dict)
    """The first time of each event of a CometD client (`handshake`, `connect`, `subscribe`), by session."""
    subscriptions: dict[int, dict[str, float]] = field(default_factory=dict)
    """The time of the first subscription to each channel or pattern, by session."""
    handshakes: list[tuple[WireEvent, JSONObject, JSONObject]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    users: Mapping[int, str] = field(default_factory=dict)
    identities: Identities = field(default_factory=lambda: Identities((), None))
    cookie: str | None = None
    """The name of the session cookie."""
    bindings: list[RecordedBinding] = field(default_factory=list)
    """The rules for the values that identify a session."""
    browser_cookie: bool = False
    """True if a client sent Bayeux's own cookie with a Bayeux request."""
    in_form: bool = False
    """True if a client sent Bayeux messages in a form."""
    connections: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    """The times from which and until which a client of each session could receive messages, in order."""
    dialect: str = ""

    def is_connected(self, session: int, at: float) -> bool:
        """True if a client of a session could receive messages at a time."""
        return any(start <= at <= end for start, end in self.connections.get(session, ()))


@dataclass(slots=True)
class _Unacknowledged:
    """Batch numbers and messages that a client hasn't acknowledged (acknowledgement extension)."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)

    def acknowledge(self, batch: int) -> None:
        self.messages = [(number, message) for number, message in self.messages if number > batch]


def build_transcript(events: Sequence[WireEvent]) -> Transcript:
    """Build the transcript of a journal's events, which are ordered by time."""
    cookie = find_session_cookie(events)
    identities = Identities(events, cookie)
    bindings = find_bindings(events, identities)
    if bindings:
        identities = Identities(events, cookie, names_by_token(bindings))
    transcript = _TranscriptBuilder(identities).build(events)
    transcript.cookie, transcript.bindings = cookie, bindings
    return transcript


class _TranscriptBuilder:
    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._transcript = Transcript(sessions=identities.count, users=identities.users, identities=identities)
        self._open: dict[str, WireEvent] = {}
        self._sent_on_websocket: dict[str, dict[_MessageKey, _SentMessage]] = {}
        self._unacknowledged: dict[str, _Unacknowledged] = {}
        self._clients: dict[str, str] = {}
        self._live: dict[int, set[str]] = {}  # the clients that have not disconnected, by session
        self._started: dict[str, float] = {}  # the times of the handshakes, by client

    def build(self, events: Sequence[WireEvent]) -> Transcript:
        transcript = self._transcript
        for event in events:
            self._add(event)
        for request in self._open.values():
            self._add_unanswered(request)
        transcript.browser_cookie = any(
            event.kind in ("request", "open") and BROWSER_COOKIE in event.identity
            for event in events
            if event.body.kind == "bayeux" or event.kind == "open"
        )
        _remove_copies(transcript, self._started)
        return transcript

    def _add(self, event: WireEvent) -> None:
        if event.body.partly:
            self._transcript.left_out[event.body.partly] += 1
        if event.body.kind == "bayeux":
            self._transcript.in_form = self._transcript.in_form or event.body.in_form
            self._add_connection(event)
        if event.kind == "request":
            self._open[event.flow] = event
            self._acknowledge(event.body.messages)
        elif event.kind == "reply":
            self._add_reply(event)
        elif event.kind == "frame":
            self._add_frame(event)
        elif event.kind == "lost":
            self._transcript.left_out["events that could not be written to the journal"] += event.count
        elif event.kind == "error" and event.flow in self._open:
            self._add_unanswered(self._open.pop(event.flow))
        elif event.kind == "unwanted":
            request = self._open.pop(event.flow, None)
            where = f": {request.method} {request.path}" if request and event.text else ""
            reason = event.text or "a request whose reply the filter excludes"
            self._transcript.left_out[reason + where] += max(event.count, 1)

    def _add_connection(self, event: WireEvent) -> None:
        """Record that a session has a live client for some time, or no more after it has disconnected."""
        session, connections = self._identities.session(event.flow), self._transcript.connections
        if event.kind == "request" or event.client_side:
            clients = self._live.setdefault(session, set())
            for message in event.body.messages:
                clients.discard("")  # a handshake, whose client has an id now
                if message.get("channel") == "/meta/disconnect":
                    clients.discard(_client(message))
                else:
                    clients.add(_client(message))
        times = connections.setdefault(session, [])
        start = times.pop()[0] if times and times[-1][1] >= event.at else event.at
        times.append((start, event.at + (_LIVE_SECONDS if self._live.get(session) else 0.0)))

    def _add_reply(self, event: WireEvent) -> None:
        request = self._open.pop(event.flow, None)
        if event.status == _SWITCHING_PROTOCOLS:
            return
        if request is None:
            self._transcript.left_out["a reply without its request"] += 1
        elif request.body.kind == "bayeux":
            self._add_bayeux(request, event)
        else:
            self._add_call(request, event)

    def _add_unanswered(self, request: WireEvent) -> None:
        channels = [message.get("channel") for message in request.body.messages]
        if channels and all(isinstance(channel, str) and is_meta(channel) for channel in channels):
            self._transcript.left_out["a Bayeux request that is still open (no data is missing)"] += 1
        else:
            self._transcript.left_out[f"a request without a reply: {request.method} {request.path}"] += 1

    def _add_call(self, request: WireEvent, reply: WireEvent) -> None:
        session = self._identities.session(request.flow)
        anonymous = self._identities.is_anonymous(request.flow)
        call = RecordedCall(request.at, session, request, reply.at, reply, anonymous)
        self._transcript.calls.append(call)

    # --- Bayeux ---------------------------------------------------------------------------------------------

    def _acknowledge(self, messages: list[JSONObject]) -> None:
        for message in messages:
            batch = _ack(message)
            if message.get("channel") == "/meta/connect" and batch is not None:
                self._unacknowledged_of(_client(message)).acknowledge(batch)

    def _unacknowledged_of(self, client: str) -> _Unacknowledged:
        return self._unacknowledged.setdefault(client, _Unacknowledged())

    def _add_bayeux(self, request: WireEvent, reply: WireEvent) -> None:
        if reply.body.kind == "omitted":
            self._transcript.left_out[f"the reply to a Bayeux request: {reply.body.value}"] += 1
            return
        if reply.body.kind != "bayeux":
            self._transcript.left_out[f"a Bayeux request whose reply (HTTP {reply.status}) contains no messages"] += 1
            return
        session = self._identities.session(request.flow)
        sent: dict[_MessageKey, _SentMessage] = {}
        messages = request.body.messages
        for number, message in enumerate(messages):
            sent[_key(message)] = (request, message, self._add_publish(request, message, number, session))
        client = next(filter(None, map(_client, messages)), "")
        self._add_messages(reply, client, sent, session)

    def _add_publish(self, event: WireEvent, message: JSONObject, number: int, session: int) -> RecordedPublish | None:
        channel = message.get("channel")
        if not isinstance(channel, str) or is_meta(channel):
            return None
        encoded, hidden = encode(message), event.body.hidden
        publish = RecordedPublish(event.at, session, _client(message), channel, encoded, hidden, number)
        self._transcript.publishes.append(publish)
        return publish

    def _add_frame(self, event: WireEvent) -> None:
        sent = self._sent_on_websocket.setdefault(event.flow, {})
        session = self._identities.session(event.flow)
        if event.body.kind != "bayeux":
            self._transcript.left_out["a WebSocket message that isn't Bayeux"] += 1
        elif event.client_side:
            messages = event.body.messages
            self._acknowledge(messages)
            for number, message in enumerate(messages):
                self._clients[event.flow] = _client(message) or self._clients.get(event.flow, "")
                sent[_key(message)] = (event, message, self._add_publish(event, message, number, session))
        else:
            self._add_messages(event, self._clients.get(event.flow, ""), sent, session)

    def _add_messages(
        self,
        reply: WireEvent,
        client: str,
        sent: dict[_MessageKey, _SentMessage],
        session: int,
    ) -> None:
        delivered: list[RecordedDelivery] = []
        batch: int | None = None
        for message in reply.body.messages:
            request = sent.pop(_key(message), None) if _is_reply(message) else None
            channel = str(message.get("channel", ""))
            if channel == "/meta/connect":
                batch = _ack(message)
            if request is not None:
                self._add_acknowledgement(reply, message, *request, session)
            elif channel == "/meta/disconnect" and _is_reply(message):
                self._transcript.left_out[_ENDED] += 1
            elif not is_meta(channel) and not _is_reply(message):
                delivered.append(RecordedDelivery(reply.at, session, client, channel, encode(message), reply.flow))
        self._transcript.deliveries += self._without_redelivered(client, batch, delivered)

    def _add_acknowledgement(
        self,
        reply: WireEvent,
        acknowledgement: JSONObject,
        event: WireEvent,
        message: JSONObject,
        publish: RecordedPublish | None,
        session: int,
    ) -> None:
        if publish is not None:
            publish.reply_at, publish.encoded_reply = reply.at, encode(acknowledgement)
            return
        channel = str(message.get("channel", ""))
        error = acknowledgement.get("error")
        if acknowledgement.get("successful") is False:
            self._transcript.left_out[f"a rejected {channel} (add a fault to replay it)"] += 1
            if isinstance(error, str):
                self._transcript.dialect = "4+" if "session_unknown" in error or "handshake_denied" in error else "3.x"
        elif channel == "/meta/handshake":
            self._transcript.handshakes.append((event, message, acknowledgement))
            self._started[_client(acknowledgement)] = reply.at
        anchor = _ANCHORS.get(channel)
        if anchor and acknowledgement.get("successful") is True:
            anchors = self._transcript.anchors.setdefault(session, {})
            anchors.setdefault(anchor, event.at)
            for subscription in _subscriptions(message) if anchor == "subscribe" else ():
                self._transcript.subscriptions.setdefault(session, {}).setdefault(subscription, event.at)

    def _without_redelivered(
        self, client: str, batch: int | None, delivered: list[RecordedDelivery]
    ) -> Iterator[RecordedDelivery]:
        """Yield the deliveries without redelivered messages of the acknowledgement extension."""
        unacknowledged = self._unacknowledged_of(client).messages
        expected = [message for _, message in unacknowledged]
        for delivery in delivered:
            if expected and _same_message(expected[0], delivery.encoded):
                expected.pop(0)
                self._transcript.left_out["a redelivered message (not acknowledged in time)"] += 1
                continue
            if batch is not None:
                unacknowledged.append((batch, delivery.encoded))
            yield delivery


def _is_reply(message: JSONObject) -> bool:
    return "successful" in message


def _key(message: JSONObject) -> _MessageKey:
    return str(message.get("channel", "")), str(message.get("id", ""))


def _client(message: JSONObject) -> str:
    client = message.get("clientId")
    return client if isinstance(client, str) else ""


def _subscriptions(message: JSONObject) -> list[str]:
    wanted = message.get("subscription")
    return [name for name in (wanted if isinstance(wanted, list) else [wanted]) if isinstance(name, str)]


def _ack(message: JSONObject) -> int | None:
    ext = message.get("ext")
    number = ext.get("ack") if isinstance(ext, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _message(encoded: bytes) -> JSONObject:
    message = decode_encoded(encoded)
    assert isinstance(message, dict)
    return message


def _same_message(one: bytes, other: bytes) -> bool:
    if one == other:
        return True
    first, second = _message(one), _message(other)
    return first.get("channel") == second.get("channel") and same(first.get("data"), second.get("data"))


def _remove_copies(transcript: Transcript, started: Mapping[str, float]) -> None:
    """Keep one copy of a message that several CometD clients of one session received at the same time.

    `started` are the times from which the clients can receive messages; those of the others are unknown.
    """
    kept: list[RecordedDelivery] = []
    recent: dict[int, list[tuple[RecordedDelivery, set[str]]]] = {}
    several = {session for session, clients in _clients_of(transcript.deliveries).items() if len(clients) > 1}
    for delivery in transcript.deliveries:
        if delivery.session not in several or not delivery.client:
            kept.append(delivery)
            continue
        window = [pair for pair in recent.get(delivery.session, []) if delivery.at - pair[0].at <= COPY_SECONDS]
        start = started.get(delivery.client, -math.inf)
        original = next((p for p in window if start < p[0].at and _is_copy(p[0], p[1], delivery)), None)
        if original is not None:
            original[1].add(delivery.client)
            transcript.left_out["a copy for another CometD client of the same session"] += 1
        else:
            window.append((delivery, {delivery.client}))
            kept.append(delivery)
        recent[delivery.session] = window
    transcript.deliveries = kept


def _is_copy(original: RecordedDelivery, clients: set[str], delivery: RecordedDelivery) -> bool:
    return delivery.client not in clients and _same_message(original.encoded, delivery.encoded)


def _clients_of(deliveries: list[RecordedDelivery]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for delivery in deliveries:
        if delivery.client:
            found.setdefault(delivery.session, set()).add(delivery.client)
    return found
