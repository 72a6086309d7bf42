"""The transcript: a journal's events put together again as calls, publishes and deliveries, session by session.

Every Bayeux reply of any kind is looked through for messages that ride along. Redelivered messages (the ack
extension) and copies for a second client of one session are recognised here. Knows nothing of scenarios.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cometreel.bayeux import is_meta
from cometreel.jsonvalue import JSON, JSONObject, same
from cometreel.recording.identities import Identities
from cometreel.recording.journal_events import RecordedBody, WireEvent

__all__ = ["RecordedCall", "RecordedDelivery", "RecordedPublish", "Transcript", "transcript_of"]

_COPY_SECONDS = 5.0
_ANCHORS = {"/meta/handshake": "handshake", "/meta/connect": "connect", "/meta/subscribe": "subscribe"}


@dataclass(slots=True, eq=False)
class RecordedCall:
    """An HTTP request that isn't Bayeux, with its reply. Times are seconds since the journal's start."""

    at: float
    session: int
    request: WireEvent
    reply_at: float
    reply: WireEvent


@dataclass(slots=True, eq=False)
class RecordedPublish:
    """A Bayeux publish, with the server's answer to it if one came. `number` is its place among the messages."""

    at: float
    session: int
    client: str
    message: JSONObject
    hidden: RecordedBody
    number: int
    reply_at: float | None = None
    reply: JSONObject | None = None


@dataclass(slots=True, eq=False)
class RecordedDelivery:
    """A message that the server delivered; `number` is its place in the reply that it rode on."""

    at: float
    session: int
    client: str
    channel: str
    message: JSONObject
    body: RecordedBody
    number: int
    flow: str

    @property
    def data(self) -> JSON:
        """What the message carries."""
        return self.message.get("data")


@dataclass(slots=True)
class Transcript:
    """Everything that was said, in order of time; `left_out` counts what can't be used, by reason."""

    calls: list[RecordedCall] = field(default_factory=list)
    publishes: list[RecordedPublish] = field(default_factory=list)
    deliveries: list[RecordedDelivery] = field(default_factory=list)
    anchors: dict[int, dict[str, float]] = field(default_factory=dict)
    handshakes: list[tuple[WireEvent, JSONObject, JSONObject]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    anonymous: int = -1
    users: Mapping[int, str] = field(default_factory=dict)
    cookies: frozenset[str] = frozenset()
    cookies_on_bayeux: bool = False
    dialect: str = ""


@dataclass(slots=True)
class _Unacknowledged:
    """The messages of the ack extension that a client hasn't acknowledged: batch number and message."""

    waiting: list[tuple[int, JSONObject]] = field(default_factory=list)

    def acknowledged(self, batch: int) -> None:
        self.waiting = [(number, message) for number, message in self.waiting if number > batch]


def transcript_of(events: Iterable[WireEvent]) -> Transcript:
    """Put the events of a journal together."""
    ordered = sorted(events, key=lambda event: event.at)
    identities = Identities(ordered)
    return _TranscriptBuilder(identities).read(ordered)


class _TranscriptBuilder:
    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._made = Transcript(sessions=identities.count, anonymous=identities.anonymous, users=identities.users)
        self._open: dict[str, WireEvent] = {}
        self._sockets: dict[str, dict[tuple[str, str], tuple[WireEvent, JSONObject, RecordedPublish | None]]] = {}
        self._unacknowledged: dict[str, _Unacknowledged] = {}
        self._clients: dict[str, str] = {}

    def read(self, events: list[WireEvent]) -> Transcript:
        made = self._made
        for event in events:
            self._read(event)
        for request in self._open.values():
            self._unfinished(request)
        made.cookies = frozenset(name for event in events for name in event.who if name != "user")
        made.cookies_on_bayeux = any(
            event.kind in ("request", "open") and event.who.keys() - {"user"}
            for event in events
            if event.body.kind == "bayeux" or event.kind == "open"
        )
        _without_copies(made)
        return made

    def _read(self, event: WireEvent) -> None:
        if event.kind == "request":
            self._open[event.flow] = event
            self._acknowledgements(event.body.messages)
        elif event.kind == "reply":
            self._replied(event)
        elif event.kind == "frame":
            self._frame(event)
        elif event.kind == "lost":
            self._made.left_out["events that the full or missing disk lost"] += event.count
        elif event.kind == "error" and event.flow in self._open:
            self._unfinished(self._open.pop(event.flow))
        elif event.kind == "unwanted":
            self._open.pop(event.flow, None)
            self._made.left_out["a request whose reply the filter didn't want"] += 1

    def _replied(self, event: WireEvent) -> None:
        request = self._open.pop(event.flow, None)
        if request is None:
            self._made.left_out["a reply whose request isn't in the journal"] += 1
        elif request.body.kind == "bayeux":
            self._bayeux(request, event)
        else:
            self._call(request, event)

    def _unfinished(self, request: WireEvent) -> None:
        channels = [message.get("channel") for message in request.body.messages]
        if channels and all(isinstance(channel, str) and is_meta(channel) for channel in channels):
            self._made.left_out["Bayeux requests still open (nothing is missing)"] += 1
        else:
            self._made.left_out[f"unfinished request: {request.method} {request.path}"] += 1

    def _call(self, request: WireEvent, reply: WireEvent) -> None:
        if reply.status == 101:
            return
        session = self._identities.session(request.flow)
        self._made.calls.append(RecordedCall(request.at, session, request, max(reply.at, request.at), reply))

    # --- Bayeux ---------------------------------------------------------------------------------------------

    def _acknowledgements(self, messages: list[JSONObject]) -> None:
        for message in messages:
            batch = _ack(message)
            if message.get("channel") == "/meta/connect" and batch is not None:
                self._waiting(_client(message)).acknowledged(batch)

    def _waiting(self, client: str) -> _Unacknowledged:
        return self._unacknowledged.setdefault(client, _Unacknowledged())

    def _bayeux(self, request: WireEvent, reply: WireEvent) -> None:
        if reply.body.kind != "bayeux":
            self._made.left_out[f"a Bayeux request answered with HTTP {reply.status} and no messages"] += 1
            return
        session = self._identities.session(request.flow)
        asked: dict[tuple[str, str], tuple[WireEvent, JSONObject, RecordedPublish | None]] = {}
        for number, message in enumerate(request.body.messages):
            asked[_id(message)] = (request, message, self._asked(request, message, number, session))
        client = next(filter(None, map(_client, request.body.messages)), "")
        self._answers(reply, client, asked, session)

    def _asked(self, event: WireEvent, message: JSONObject, number: int, session: int) -> RecordedPublish | None:
        channel = message.get("channel")
        if not isinstance(channel, str) or is_meta(channel):
            return None
        body = RecordedBody("bayeux", message, event.body.hidden)
        publish = RecordedPublish(event.at, session, _client(message), message, body, number)
        self._made.publishes.append(publish)
        return publish

    def _frame(self, event: WireEvent) -> None:
        asked = self._sockets.setdefault(event.flow, {})
        session = self._identities.session(event.flow)
        if event.body.kind != "bayeux":
            self._made.left_out["WebSocket messages that aren't Bayeux"] += 1
        elif event.client_side:
            self._acknowledgements(event.body.messages)
            for number, message in enumerate(event.body.messages):
                self._clients[event.flow] = _client(message) or self._clients.get(event.flow, "")
                asked[_id(message)] = (event, message, self._asked(event, message, number, session))
        else:
            self._answers(event, self._clients.get(event.flow, ""), asked, session)

    def _answers(
        self,
        reply: WireEvent,
        client: str,
        asked: dict[tuple[str, str], tuple[WireEvent, JSONObject, RecordedPublish | None]],
        session: int,
    ) -> None:
        delivered: list[RecordedDelivery] = []
        batch: int | None = None
        for number, message in enumerate(reply.body.messages):
            answered = asked.pop(_id(message), None) if _is_answer(message) else None
            channel = str(message.get("channel", ""))
            if channel == "/meta/connect":
                batch = _ack(message) if _ack(message) is not None else batch
            if answered is not None:
                self._answer(reply, message, *answered, session)
            elif not is_meta(channel) and not _is_answer(message):
                delivered.append(
                    RecordedDelivery(reply.at, session, client, channel, message, reply.body, number, reply.flow)
                )
        self._made.deliveries += self._new(client, batch, delivered)

    def _answer(
        self,
        reply: WireEvent,
        answer: JSONObject,
        event: WireEvent,
        message: JSONObject,
        publish: RecordedPublish | None,
        session: int,
    ) -> None:
        if publish is not None:
            publish.reply_at, publish.reply = reply.at, answer
            return
        channel = str(message.get("channel", ""))
        error = answer.get("error")
        if answer.get("successful") is False:
            self._made.left_out[f"refused {channel} (write it as a fault if it matters)"] += 1
            if isinstance(error, str):
                self._made.dialect = "4+" if "session_unknown" in error or "handshake_denied" in error else "3.x"
        elif channel == "/meta/handshake":
            self._made.handshakes.append((event, message, answer))
        anchor = _ANCHORS.get(channel)
        if anchor and answer.get("successful") is True:
            self._made.anchors.setdefault(session, {}).setdefault(anchor, event.at)

    def _new(self, client: str, batch: int | None, delivered: list[RecordedDelivery]) -> Iterator[RecordedDelivery]:
        """Leave out what the server sent before and the client hasn't acknowledged (CometD's ack extension)."""
        waiting = self._waiting(client).waiting
        expected = [message for _, message in waiting]
        for delivery in delivered:
            if expected and _same_message(expected[0], delivery.message):
                expected.pop(0)
                self._made.left_out["messages delivered again (not acknowledged in time)"] += 1
                continue
            if batch is not None:
                waiting.append((batch, delivery.message))
            yield delivery


def _is_answer(message: JSONObject) -> bool:
    return "successful" in message


def _id(message: JSONObject) -> tuple[str, str]:
    return str(message.get("channel", "")), str(message.get("id", ""))


def _client(message: JSONObject) -> str:
    client = message.get("clientId")
    return client if isinstance(client, str) else ""


def _ack(message: JSONObject) -> int | None:
    ext = message.get("ext")
    number = ext.get("ack") if isinstance(ext, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _same_message(one: JSONObject, other: JSONObject) -> bool:
    return one.get("channel") == other.get("channel") and same(one.get("data"), other.get("data"))


def _without_copies(made: Transcript) -> None:
    """Keep a message once where several CometD clients of one session got it at the same time."""
    kept: list[RecordedDelivery] = []
    recent: dict[int, list[tuple[RecordedDelivery, set[str]]]] = {}
    several = {session for session, clients in _clients_of(made.deliveries).items() if len(clients) > 1}
    for delivery in made.deliveries:
        if delivery.session not in several or not delivery.client:
            kept.append(delivery)
            continue
        window = [pair for pair in recent.get(delivery.session, []) if delivery.at - pair[0].at <= _COPY_SECONDS]
        original = next((p for p in window if _is_copy(p[0], p[1], delivery)), None)
        if original is not None:
            original[1].add(delivery.client)
            made.left_out["copies for another CometD client of the same session"] += 1
        else:
            window.append((delivery, {delivery.client}))
            kept.append(delivery)
        recent[delivery.session] = window
    made.deliveries = kept


def _is_copy(original: RecordedDelivery, clients: set[str], delivery: RecordedDelivery) -> bool:
    return delivery.client not in clients and _same_message(original.message, delivery.message)


def _clients_of(deliveries: list[RecordedDelivery]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for delivery in deliveries:
        if delivery.client:
            found.setdefault(delivery.session, set()).add(delivery.client)
    return found
