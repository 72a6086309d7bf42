"""Checks the history of a run against the promises in docs/replay.md; it knows nothing of the engine.

`violations` returns a line for each broken promise. The rules:

- each call is answered at its time, with the predicted status and body;
- each Bayeux message is answered at its time: with success, or with the code of the predicted error;
- each notification reaches each of its receivers exactly once, or is reported as given up with the predicted reason, or
  a fault or a rule says that it is lost; a client receives nothing else;
- the notifications of a client are in the order in which they are due;
- a held poll is answered when a notification is due, and at its timeout;
- after all clients have left, nothing is kept.
"""

from __future__ import annotations

import heapq
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import comb

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.wire import Accept, Drop, Frame, Reply
from tests.simulation.answers import MessageAnswer, compared
from tests.simulation.history import Changed, Delivered, Emitted, FrameSent, Logged, Lost, Meaning, Sent
from tests.simulation.plan import CSRF_HEADER, Plan
from tests.simulation.predictions import DueEvent, Key, LiveSession, Play, Prediction, Predictor
from tests.simulation.world import World

EPSILON = 3e-6
"""The accuracy of times, in seconds: the engine counts whole microseconds."""
_NEVER = float("inf")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_MAX_REPORTS = 1000  # of one engine


@dataclass(slots=True, eq=False)
class LiveClient:
    """A CometD client, as the history shows it."""

    client_id: str
    name: str
    session: LiveSession
    browser: str
    transport: str
    acked: bool
    subscriptions: set[str] = field(default_factory=set)
    alive: bool = True
    expires: float = _NEVER
    """It has not expired before this time."""
    expired: float = _NEVER
    """It has expired at this time: later than `expires` if its server may hold a poll that it has hung up."""
    poll: int | None = None
    """The request of the poll that is not answered."""
    poll_ends: float = _NEVER
    held_until: float = 0.0
    """The latest time at which its server notices that it has hung up its poll."""
    socket: int | None = None
    owed_since: float | None = None
    """The time since which a notification is due and a poll is held."""
    in_flight: set[int] = field(default_factory=set)
    """The requests whose reply is written and not confirmed."""
    outstanding: dict[Key, list[DueEvent]] = field(default_factory=dict)
    latest: float = 0.0
    latest_order: tuple[int, float, int] = (0, 0, 0)
    acknowledged: int = 0
    repeats: bool = False
    """True if it has acknowledged less than it received, so that messages may come again."""
    received: set[Key] = field(default_factory=set)
    lossy: bool = False
    doubtful: bool = False
    """True if it is not known whether its latest request reached a live session."""


class Checker:
    """Reads the history of one run and collects the broken promises."""

    def __init__(self, world: World) -> None:
        self.plan: Plan = world.plan
        self.world = world
        self.broken: list[str] = []
        self.predictor = Predictor(self.plan, self._close)
        self._due: list[tuple[float, int, int, int, DueEvent]] = []
        self._arrivals = 0
        self._clients: dict[tuple[int, str], LiveClient] = {}
        self._live: list[LiveClient] = []
        self._next_expiry = _NEVER
        self._owing: list[LiveClient] = []
        self._replies: dict[int, tuple[Prediction, int]] = {}
        """The prediction and the node of each call that is not answered."""
        self._overdue: list[tuple[float, int]] = []
        self._polls: dict[int, LiveClient] = {}
        self._carriers: dict[int, tuple[LiveClient, Reply]] = {}
        self._bodies: dict[int, tuple[Prediction, str]] = {}
        self._session_of: dict[int, LiveSession] = {}
        self._sockets: dict[int, LiveSession] = {}
        self._browsers: dict[int, tuple[str, ...]] = {}
        """The browser cookie of the upgrade of each WebSocket."""
        self._handshakes: dict[int, tuple[Meaning, str, LiveSession]] = {}
        self._bayeux: dict[int, LiveClient] = {}
        self._on_socket: dict[int, list[LiveClient]] = {}
        """The clients that have used a WebSocket, by its request."""
        self._announcing: set[int] = set()
        """The GET requests whose reply announces a CSRF token."""
        self._hung_up: set[int] = set()
        """The requests whose client has gone."""
        self._awaited: tuple[int, Prediction] | None = None
        """The WebSocket of the latest frame, and the answers to it that have not been sent."""
        self.given_up: Counter[tuple[str, str]] = Counter()
        self.may_give_up: Counter[str] = Counter()
        self._values: dict[tuple[Play, str], str] = {}
        """The generated values, by the play and their place in it."""
        self._places_of_values: dict[str, tuple[Play, str]] = {}
        self._now = 0.0
        options = self.plan.options
        self._lifetime, self._timeout = options.max_interval, options.timeout / 1000
        self._place = 0
        """The place of the current entry in the history."""
        self._has_rates = any(each.rate is not None for each in self.plan.faults)
        self._only_on_connect = options.connect_only

    def fail(self, text: str) -> None:
        """Record a broken promise."""
        self.broken.append(f"{self._now - 1000:.6f}: {text}")

    # ------------------------------------------------------------------ the history
    def check(self) -> list[str]:
        """Read the whole history; return the broken promises."""
        handlers = {
            Sent: self._on_sent,
            FrameSent: self._on_frame_sent,
            Emitted: self._on_emitted,
            Delivered: self._on_delivered,
            Lost: self._on_lost,
            Changed: self._on_changed,
            Logged: self._on_logged,
        }
        for place, entry in enumerate(self.world.history):
            self._place = place
            if entry.at != self._now or self._due:
                self._advance(entry.at)
            if self._awaited is not None and not isinstance(entry, Emitted | Logged):
                number, prediction = self._awaited
                self._awaited = None
                self.fail(f"a frame on {number} is not answered: expected {prediction.answers or 'its end'}")
            handlers[type(entry)](entry)  # type: ignore[operator]  # each handler takes the entries of its key
            if len(self.broken) >= 5:
                return self.broken
        self._advance(self.world.now)
        self._compare_given_up()
        self._check_chances()
        for name, count in self.world.kept.items():
            self.fail(f"after all clients have left, the engine keeps {count} {name}")
        return self.broken

    # ------------------------------------------------------------------ time
    def _advance(self, now: float) -> None:
        """Let everything happen that is due by now."""
        while True:
            event_at = self._due[0][0] if self._due else _NEVER
            if event_at > now + EPSILON / 2 and self._next_expiry > now:
                break
            if event_at <= self._next_expiry + EPSILON:
                self._now = max(self._now, event_at)
                self._perform(heapq.heappop(self._due)[-1])
            else:
                self._expire()
        self._now = now
        while self._overdue and self._overdue[0][0] < now - EPSILON:
            due, number = heapq.heappop(self._overdue)
            found = self._replies.get(number)
            if found is not None and found[0].due <= due:
                del self._replies[number]
                self.fail(f"request {number} is not answered at {due - 1000:.6f}: {found[0].exchange}")
            client = self._polls.get(number)
            if client is not None and client.poll_ends <= due and not client.lossy:
                self.fail(f"the poll {number} of {client.name} is not answered at its timeout")
                del self._polls[number]
        if self._owing:
            self._check_owed(now)

    def _check_owed(self, now: float) -> None:
        for client in [*self._owing]:
            since = client.owed_since
            if since is None or client.poll is None or not client.alive:
                self._owing.remove(client)
                client.owed_since = None
            elif since < now - EPSILON:
                self._owing.remove(client)
                client.owed_since = None
                if not client.in_flight:
                    self.fail(f"the poll {client.poll} of {client.name} is held, though a notification is due")

    def _expire(self) -> None:
        at = self._next_expiry
        self._now = max(self._now, at)
        for client in [*self._live]:
            if client.expired <= at:
                self._end(client)
        self._find_next_expiry()

    def _find_next_expiry(self) -> None:
        self._next_expiry = min([each.expired for each in self._live], default=_NEVER)

    def _keep_alive(self, client: LiveClient, now: float) -> None:
        """Restart the time until a client expires."""
        if not client.alive or client.poll is not None:
            return
        client.expires = now + self._lifetime
        client.expired = max(now, client.held_until) + self._lifetime
        self._next_expiry = min(self._next_expiry, client.expired)
        if client.expired > self._next_expiry:
            return
        self._find_next_expiry()

    def _add(self, events: Iterable[DueEvent] = ()) -> None:
        """Let notifications become due, with those of timeline entries that have started."""
        for event in (*events, *self.predictor.take_started()):
            self._arrivals += 1
            key = (round(event.due * 1_000_000) / 1_000_000, event.place, event.cause, self._arrivals)
            heapq.heappush(self._due, (*key, event))

    # ------------------------------------------------------------------ notifications
    def _perform(self, event: DueEvent, *, is_push: bool = False) -> None:  # noqa: C901, PLR0912  # a rule for each receiver
        """Give a notification to its receivers; a push goes to its own session only."""
        if event.cancelled or event.session.node < 0:
            return
        session = event.session
        if event.ends:
            for client in self._chosen(self._receiver(session), event.sender):
                self._end(client)
            return
        if event.deliver == "asker":
            if not session.clients and session.kind != "full" and any(map(self._is_doubtful, self._of_node(session))):
                session.waiting.append(event)
                for each in session.waiting:  # they are delivered now, or wait
                    each.optional = True
                    self._give_up(each, "client gone")
                    self._give(each, self._of_node(session))
                return
            clients = self._chosen(session if is_push else self._receiver(session), event.sender)
            if clients and self.plan.options.when_gone == "keep" and all(map(self._is_doubtful, clients)):
                event.optional = True
                self._give(event, clients)
                session.waiting.append(event)
            elif clients:
                session.had_client = True
                for each in session.waiting:
                    self._give(each, self._chosen(self._receiver(session)))
                session.waiting.clear()
                self._give(event, clients)
            else:
                self._keep(session, event)
        elif event.deliver == "subscribers":
            clients = [each for each in self._of_node(session) if _receives(each, event.key[0])]
            if clients:
                self._give(event, clients)
            else:
                self._give_up(event, "no subscriber")
        else:
            self._give_to_others(event)

    def _give_to_others(self, event: DueEvent) -> None:
        session = event.session
        if event.deliver == "all":
            clients = self._of_node(session)
            if clients:
                self._give_or_keep(event, clients, session)
            else:
                self._keep(session, event)
            return
        sessions = [
            each for each in self.predictor.sessions if each.node == session.node and each.role == event.deliver
        ]
        if not sessions and event.deliver in self.predictor.of_notifications:
            sessions = self._assigned(event)
        if not sessions:
            self._give_up(event, "role never assigned")
        for each in sessions:
            if each.clients:
                self._give_or_keep(event, self._chosen(each), each)
            else:
                self._keep(each, event)

    def _assigned(self, event: DueEvent) -> list[LiveSession]:
        """Give the role of a notification to the only session with a client and without a role, besides the asker."""
        asker = self._receiver(event.session)
        sessions = [each for each in self.predictor.sessions if each.node == asker.node and each.clients]
        found = [each for each in sessions if each is not asker and not each.role]
        if len(found) != 1:
            return []
        self.predictor.assign_in_turn(found[0], [event.deliver])
        return found

    def _of_node(self, session: LiveSession) -> list[LiveClient]:
        return [each for each in self._live if each.session.node == session.node]

    @staticmethod
    def _chosen(session: LiveSession, sender: str = "") -> list[LiveClient]:
        clients = [each for each in session.clients if isinstance(each, LiveClient)]
        return [each for each in clients if each.client_id == sender] or clients

    def _receiver(self, session: LiveSession) -> LiveSession:
        if session.clients:
            return session
        if session.successor is not None:
            return session.successor
        if session.kind == "full":
            return session
        only = [
            each
            for each in self.predictor.sessions
            if each.node == session.node and each.clients and not each.has_requests
        ]
        return only[0] if len(only) == 1 else session

    def _give(self, event: DueEvent, clients: list[LiveClient]) -> None:
        options = self.plan.options
        if event.due < self._now - EPSILON:  # it has waited for a client; later ones may have been given before
            event.due, event.order = self._now, (-event.order[0], *event.order[1:])
        for client in clients:
            given = event
            if event.optional or self._is_doubtful(client) or client.lossy:
                given = _optional(event)
            if options.deliver == "subscribed" and not _receives(client, event.key[0]):
                self._give_up(given, "no subscriber")
                continue
            client.outstanding.setdefault(event.key, []).append(given)
            carried = client.socket is None or client.acked or self._only_on_connect
            is_held = client.poll is not None and not client.in_flight
            if carried and is_held and client.owed_since is None and not given.optional:
                client.owed_since = max(event.due, self._now)
                self._owing.append(client)

    def _give_or_keep(self, event: DueEvent, clients: list[LiveClient], session: LiveSession) -> None:
        """Give a notification to clients; if they may have expired, a session may keep it."""
        keeps = self.plan.options.when_gone == "keep" or not session.had_client
        if keeps and all(map(self._is_doubtful, clients)):
            event.optional = True
            session.waiting.append(event)
        self._give(event, clients)

    def _is_doubtful(self, client: LiveClient) -> bool:
        """True if the client may have expired, because its server holds a poll that it has hung up."""
        return client.doubtful or client.expires <= self._now < client.expired

    def _keep(self, session: LiveSession, event: DueEvent) -> None:
        if session.ended:
            self._give_up(event, "no connection in time" if session.kind == "anonymous" else "session ended")
        elif session.had_client and self.plan.options.when_gone == "drop":
            self._give_up(event, "client gone")
        else:
            session.waiting.append(event)
            if len(session.waiting) <= self.plan.options.max_waiting:
                return
            batches = [each.batch or each for each in session.waiting]  # a batch counts as one
            if len({*batches}) > self.plan.options.max_waiting:
                for _ in range(batches.count(batches[0])):
                    self._give_up(session.waiting.pop(0), "queue full")

    def _give_up(self, event: DueEvent, reason: str) -> None:
        if not event.reported:
            return
        if event.optional:
            self.may_give_up[event.key[1]] += 1
        else:
            self.given_up[event.key[1], reason] += 1

    # ------------------------------------------------------------------ CometD clients
    def _start_client(self, number: int, message: JSONObject) -> None:
        meaning, name, session = self._handshakes.pop(number)
        client_id = str(message["clientId"])
        names = (*meaning.names, *self._browsers.get(number, ()))
        browser = next((each[2:] for each in names if each.startswith("b:")), "")
        ext = message.get("ext")
        acked = isinstance(ext, dict) and ext.get("ack") is True
        transport = "websocket" if number in self._sockets else self.world.clients[name].plan.transport
        client = LiveClient(client_id, name, session, browser, transport, acked)
        if (session.node, client_id) in self._clients:
            self.fail(f"the clientId {client_id} is given out twice")
        self._clients[session.node, client_id] = client
        self._live.append(client)
        session.clients.append(client)
        self.predictor.add_name(session, f"i:{client_id}")
        if browser:
            self.predictor.add_name(session, f"b:{browser}")
        if number in self._sockets:
            client.socket = number
            self._add_on_socket(number, client)
        self._keep_alive(client, self._now)
        self._flush_waiting(session)
        self.predictor.on_anchor(session, "handshake", self._now)
        self._add()

    def _flush_waiting(self, session: LiveSession) -> None:
        session.had_client = True
        for each in self.predictor.sessions:
            if each.node == session.node and each.waiting:
                is_receiver = each.kind == "anonymous" and self._receiver(each) is session
                if each is session or is_receiver:
                    each.had_client = True
                    for event in each.waiting:
                        self._give(event, self._chosen(session))
                    each.waiting.clear()

    def _end(self, client: LiveClient) -> None:
        """End a client: it disconnected, expired, or the server ended it."""
        if not client.alive:
            return
        client.alive = False
        self._live.remove(client)
        client.session.clients.remove(client)
        self.predictor.by_name.pop((client.session.node, f"i:{client.client_id}"), None)
        client.session.names.discard(f"i:{client.client_id}")
        if client.poll is not None:
            client.poll_ends = self._now
            heapq.heappush(self._overdue, (self._now, client.poll))

    # ------------------------------------------------------------------ requests
    def _on_sent(self, entry: Sent) -> None:
        now, meaning = entry.at, entry.meaning
        self._end_idle_sessions(entry.node, now)
        kind, number = meaning.kind, entry.request.id
        if kind == "other" and entry.request.path == "/favicon.ico":
            return
        is_bayeux = kind in ("messages", "open") or bool(meaning.messages) or entry.request.path == "/cometd"
        shakes_hands = bool(meaning.messages) and meaning.messages[0]["channel"] == "/meta/handshake"
        is_own = kind == "open" or shakes_hands
        address = entry.request.address
        session = self.predictor.resolve(entry.node, meaning, now, address, is_bayeux=is_bayeux, is_own=is_own)
        if self.predictor.has_started:
            self._add()
        self._session_of[number] = session
        if is_bayeux and self.predictor.is_locked_out(session):
            if kind != "other":
                self._expect(number, Prediction(now, 403), entry.node)
        elif kind == "open":
            self._sockets[number] = session
            self._browsers[number] = tuple(each for each in meaning.names if each.startswith("b:"))
            session.sockets += 1
        elif meaning.messages:
            browser = next((each[2:] for each in meaning.names if each.startswith("b:")), "")
            client = self._client_of(entry.node, meaning, browser, self.world.clients[entry.client].plan.transport)
            self._read(number, entry.client, meaning, session, client, now)
        elif kind in ("call", "head"):
            self._on_call(number, entry, session)
        elif kind == "other":
            self._expect_other(number, entry, 403 if self.predictor.is_locked_out(session) else 404)
        if session.kind == "anonymous" and self.plan.options.anonymous == "each":
            self._advance(now)  # what is due at once belongs to the session
            self._close(session)

    def _on_call(self, number: int, entry: Sent, session: LiveSession) -> None:
        request = entry.request
        if entry.meaning.kind == "head":
            self._expect(number, self.predictor.head(session, entry.meaning), entry.node)
            return
        if self.plan.options.auth == "csrf" and request.method == "GET":
            self._announcing.add(number)
        failed = self._has_rates and self._is_answered_with(503, number)
        prediction = self.predictor.call_with_login(session, entry.meaning, request, failed=failed)
        self._expect(number, prediction, entry.node)

    def _expect_other(self, number: int, entry: Sent, status: int) -> None:
        if entry.request.path == "/nowhere":
            self._expect(number, Prediction(entry.at, status), entry.node)

    def _expect(self, number: int, prediction: Prediction, node: int) -> None:
        self._replies[number] = prediction, node
        heapq.heappush(self._overdue, (prediction.due, number))
        self._add(prediction.events)

    def _await(self, number: int, node: int, prediction: Prediction) -> None:
        """Expect the answers to the messages of a request or a frame. A frame is answered at once."""
        if number not in self._sockets:
            self._expect(number, prediction, node)
            return
        if prediction.status != 200:  # a WebSocket is closed, with a status, too
            prediction.status, prediction.answers = None, None
        self._awaited = number, prediction

    def _on_frame_sent(self, entry: FrameSent) -> None:
        number, meaning, now = entry.request_id, entry.meaning, entry.at
        connection = self._sockets.get(number)
        if connection is None:
            return
        connection.last = now
        first = meaning.messages[0]
        client = None
        if first["channel"] != "/meta/handshake":
            client = self._clients.get((entry.node, str(first.get("clientId", ""))))
            client = client if client is not None and client.alive else None
        self._read(number, entry.client, meaning, connection, client, now)

    def _client_of(self, node: int, meaning: Meaning, browser: str, transport: str) -> LiveClient | None:
        """Return the live client of the first message, if the request may use it."""
        first = meaning.messages[0]
        if first["channel"] == "/meta/handshake":
            return None
        found = self._clients.get((node, str(first.get("clientId", ""))))
        if found is None or not found.alive or found.transport != transport:
            return None
        return None if self.plan.options.require_cookie and found.browser != browser else found

    def _read(  # noqa: C901, PLR0912  # a rule for each kind of message or owner
        self,
        number: int,
        name: str,
        meaning: Meaning,
        session: LiveSession,
        client: LiveClient | None,
        now: float,
    ) -> None:
        """Read the messages of a request or a frame."""
        answers = list[MessageAnswer]()
        reply = Prediction(now, 200, answers=answers)
        if client is not None and self._is_doubtful(client) and self._is_answered_with(402, number):
            self._make_optional(client)  # it has expired, so its request has no effect
            self._end(client)
            client = None
        if client is None:
            if meaning.messages[0]["channel"] == "/meta/handshake":
                faults = self.predictor.triggered(session, "/meta/handshake")
                self._handshakes[number] = meaning, name, session
                reply.status = None if "broken" in faults else 503 if "status" in faults else 200
                answers.append(("/meta/handshake", "403" if "error" in faults else ""))
            else:
                answers += [(str(each["channel"]), "402") for each in meaning.messages]
            self._await(number, session.node, reply)
            return
        self._bayeux[number] = client
        client.doubtful = self._is_doubtful(client)
        for message in meaning.messages:
            if not client.alive:
                break
            session = self._session_for(session, client, number, now)
            channel = str(message["channel"])
            if channel == "/meta/connect":
                self._bind(number, client)
            faults = self.predictor.triggered(session, channel)
            if "status" in faults or "broken" in faults:
                reply.status = None if "broken" in faults else 503
                break
            if faults:
                answers.append((channel, "402"))
                continue
            answers.append((channel, self._error_of(client, message)))
            if channel == "/meta/connect":
                self._on_connect(number, client, message, now, single=len(meaning.messages) == 1)
            elif channel == "/meta/disconnect":
                self._end(client)
                self.predictor.on_anchor(client.session, "disconnect", now)
                self._add()
            elif channel in ("/meta/subscribe", "/meta/unsubscribe"):
                self._on_subscription(client, str(channel), str(message["subscription"]), now)
            elif meaning.kind == "call":
                self._on_publish(number, session, client, meaning, now, reply)
            else:
                self._on_broadcast(client, message, now)
        is_poll = client.poll == number and answers == [("/meta/connect", "")]
        if client.doubtful:
            answers[:] = [(channel, None) for channel, _ in answers]
        if not (is_poll or (client.doubtful and (reply.due, reply.status) != (now, 200))):
            self._await(number, session.node, reply)
        self._keep_alive(client, now)

    def _error_of(self, client: LiveClient, message: JSONObject) -> str | None:
        """Return the code of the error of a message; a channel that nobody subscribes to may not exist any more."""
        if message["channel"] != "/meta/unsubscribe":
            return ""
        others = [each for each in self._of_node(client.session) if not self._is_doubtful(each)]
        return "" if any(message["subscription"] in each.subscriptions for each in others) else None

    def _session_for(self, session: LiveSession, client: LiveClient, number: int, now: float) -> LiveSession:
        """Return the session of a message: that of the request, or that of its client."""
        own = client.session
        if own is session:
            return session
        if session.kind == "full" and own.kind == "provisional" and not own.has_requests:
            own.successor = session
            session.clients.extend(own.clients)
            for each in own.clients:
                if isinstance(each, LiveClient):
                    each.session = session
                    self.predictor.add_name(session, f"i:{each.client_id}")
                    own.names.discard(f"i:{each.client_id}")
                    self.predictor.by_name[session.node, f"i:{each.client_id}"] = [session]
            own.clients.clear()
            session.anchors = {**own.anchors, **session.anchors}
            session.timeline = {**own.timeline, **session.timeline}
            self._flush_waiting(session)
            return session
        if number not in self._sockets and self.plan.options.require_cookie:
            return session
        own.last = now
        return own

    def _bind(self, number: int, client: LiveClient) -> None:
        """A new poll ends the one before, and its connection is that of the client from now on."""
        if client.poll is not None:
            self._polls.pop(client.poll, None)
            client.poll = client.owed_since = None
        client.held_until = 0.0
        client.socket = number if number in self._sockets else None
        if number in self._sockets:
            self._add_on_socket(number, client)

    def _add_on_socket(self, number: int, client: LiveClient) -> None:
        on_socket = self._on_socket.setdefault(number, [])
        if client not in on_socket:
            on_socket.append(client)

    def _on_connect(self, number: int, client: LiveClient, message: JSONObject, now: float, *, single: bool) -> None:
        ext = message.get("ext")
        ack = ext.get("ack") if isinstance(ext, dict) else None
        if client.acked and isinstance(ack, int) and ack < client.acknowledged:
            client.repeats = True
        self.predictor.on_anchor(client.session, "connect", now)
        self._add()
        if single:
            client.poll, client.poll_ends = number, now + self._timeout
            client.expires = client.expired = _NEVER
            self._polls[number] = client
            heapq.heappush(self._overdue, (client.poll_ends, number))

    def _on_subscription(self, client: LiveClient, channel: str, subscription: str, now: float) -> None:
        step = channel.removeprefix("/meta/")
        if step == "subscribe" and subscription not in client.subscriptions:
            client.subscriptions.add(subscription)
            self.predictor.on_subscription(client.session, step, subscription, now)
        elif step == "unsubscribe" and subscription in client.subscriptions:
            client.subscriptions.remove(subscription)
            self.predictor.on_subscription(client.session, step, subscription, now)
        self._add()

    def _on_publish(
        self, number: int, session: LiveSession, client: LiveClient, meaning: Meaning, now: float, reply: Prediction
    ) -> None:
        failed = self._has_rates and self._is_answered_with(503, number)
        prediction = self.predictor.call(session, meaning, now, client.client_id, failed=failed)
        self._add(prediction.events)
        if prediction.status == 503:
            reply.answers = [(str(meaning.messages[0]["channel"]), "503")]
        reply.due, reply.status = prediction.due, prediction.status and 200
        if prediction.due > now and number not in self._sockets:
            client.in_flight.add(number)  # the reply is delayed, with the notifications that it carries
        if prediction.status is None and self.plan.options.on_hangup == "lose":
            self._make_lossy(client)  # the reply that was not written had notifications

    def _is_answered_with(self, status: int, number: int) -> bool:
        """True if the current request is answered at once with this status, in its head or for one of its messages."""
        history, place, code = self.world.history, self._place + 1, f"{status}::"
        while place < len(history) and history[place].at == self._now:
            entry = history[place]
            if isinstance(entry, Emitted) and entry.output.request_id == number:
                output = entry.output
                if isinstance(output, Reply):
                    return output.status == status or code.encode() in output.body
                return isinstance(output, Frame) and code in output.text
            place += 1
        return False

    def _on_broadcast(self, client: LiveClient, message: JSONObject, now: float) -> None:
        channel, data = str(message["channel"]), message["data"]
        key = _key(channel, data)
        for each in self._of_node(client.session):
            if _receives(each, channel):
                event = DueEvent(now, client.session, key, reported=False)
                each.outstanding.setdefault(key, []).append(event)

    def _end_idle_sessions(self, node: int, now: float) -> None:
        limit = now - self.plan.options.max_idle
        for session in [each for each in self.predictor.sessions if each.node == node and each.last <= limit]:
            if session.clients or session.sockets:
                session.last = now
            else:
                self._close(session)

    def _close(self, session: LiveSession) -> None:
        self.predictor.end_session(session)
        for event in session.waiting:
            self._give_up(event, "no connection in time")
        session.waiting.clear()
        self._give_up_entries(session)

    def _give_up_entries(self, session: LiveSession) -> None:
        """Timeline entries that a session has reached are given up, if no session ever had their roles."""
        for index in self.predictor.never_assigned(session):
            self.given_up[f"timeline {index}.0", "role never assigned"] += 1

    # ------------------------------------------------------------------ what the server sends
    def _on_emitted(self, entry: Emitted) -> None:
        output, number = entry.output, entry.output.request_id
        if number in self._hung_up and self.plan.options.on_hangup == "keep":
            self.fail(f"something is sent on request {number}, whose client has gone: {type(output).__name__}")
        if isinstance(output, Reply):
            self._learn(entry, number, output)
            found = self._replies.pop(number, None)
            if found is not None:
                self._check_reply(number, output, found[0])
            if found is None or found[0].answers is not None:
                self._on_bayeux_reply(number, output)
        elif isinstance(output, Frame):
            self._on_frame(entry, number, output.text)
        elif isinstance(output, Accept):
            self._learn_cookies(number, output.headers.fields)
        elif isinstance(output, Drop):
            self._on_drop(number)

    def _learn_cookies(self, number: int, fields: tuple[tuple[str, str], ...]) -> None:
        session = self._session_of.get(number)
        if session is None:
            return
        for name, value in fields:
            if name != "Set-Cookie":
                continue
            cookie, _, rest = value.partition(";")[0].partition("=")
            prefix = "b:" if cookie == "BAYEUX_BROWSER" else "c:"
            known = self.predictor.find(session.node, [prefix + rest])
            if known is not None and known is not session:
                self.fail(f"the {cookie} of another session is given out")
            if prefix == "c:":
                self.predictor.add_name(session, prefix + rest)
            elif number in self._handshakes:
                meaning, client, owner = self._handshakes[number]
                names = (*[each for each in meaning.names if each[:2] != "b:"], prefix + rest)
                self._handshakes[number] = meaning._replace(names=names), client, owner

    def _learn(self, entry: Emitted, number: int, reply: Reply) -> None:
        """Keep the names that a reply gives to a session."""
        if self.plan.options.auth == "csrf":
            self._learn_token(number, reply)
        if any(name == "Set-Cookie" for name, _ in reply.headers.fields):
            self._learn_cookies(number, reply.headers.fields)
        if number in self._handshakes and reply.status == 200:
            self._learn_handshake(entry, reply.body)

    def _learn_token(self, number: int, reply: Reply) -> None:
        """Keep the CSRF token that the reply to a GET announces: it is always that of the session, and of no other."""
        session, token = self._session_of.get(number), reply.headers.get(CSRF_HEADER)
        if session is None:
            return
        if token is None:
            if number in self._announcing:
                self.fail(f"the reply to the GET {number} announces no CSRF token")
        elif session.token not in ("", token) or any(
            each.token == token for each in self.predictor.sessions if each is not session
        ):
            self.fail(f"request {number} gets another CSRF token than that of its session")
        else:
            session.token = token

    def _learn_handshake(self, entry: Emitted, body: bytes) -> None:
        text = self.world.clients[entry.client].transport.text_of(body)
        message = json.loads(text)[-1]
        number = entry.output.request_id
        if message.get("successful"):
            self._start_client(number, message)
        else:
            del self._handshakes[number]

    def _check_reply(self, number: int, reply: Reply, prediction: Prediction) -> None:
        if reply.status != prediction.status:
            self.fail(f"request {number} gets status {reply.status}; expected {prediction.status}")
        elif abs(self._now - prediction.due) > EPSILON:
            due = prediction.due - 1000
            self.fail(f"request {number} is answered by {prediction.exchange!r}; expected that at {due:.6f}")
        elif prediction.answers is not None:
            self._check_answers(number, reply, prediction.answers)
        elif prediction.body is not None:
            self._check_body(number, reply, prediction)

    def _check_answers(self, number: int, reply: Reply, expected: list[MessageAnswer]) -> None:
        if reply.status != 200:
            return
        left, others = compared(reply.body.removeprefix(b"take(").removesuffix(b")"), expected, {"/meta/disconnect"})
        if left or others:
            self.fail(f"request {number} gets no answers {left}, but {others}")

    def _check_body(self, number: int, reply: Reply, prediction: Prediction) -> None:
        body = json.loads(reply.body)
        if prediction.play is not None:
            self._check_generated(body, prediction.play, "reply")
        value = body.pop("sid", None)
        if value is not None:
            if prediction.session is not None:
                self._session_of[number] = prediction.session
            self.predictor.add_name(self._session_of[number], f"v:{value}")
        if body != prediction.body:
            self.fail(f"request {number} gets {body}; expected {prediction.body}")

    def _check_data(self, data: JSON, event: DueEvent | None) -> None:
        """Check the generated values of a notification, if it is known which one it is."""
        if event is not None and event.play is not None and isinstance(data, dict):
            self._check_generated({**data}, event.play, event.part)

    def _check_generated(self, found: JSONObject, play: Play, part: str) -> None:
        """Remove the generated values of a reply or a notification: equal plays have equal ones, others do not."""
        for member, place in (("uuid", ""), ("own", part)):
            value = str(found.pop(member, None))
            if not _UUID.fullmatch(value):
                self.fail(f"the {part} of {play} has the value {value!r}; expected a UUID")
            elif self._values.setdefault((play, place), value) != value:
                self.fail(f"the {part} of {play} has another value than the rest of the play, or an equal play")
            elif self._places_of_values.setdefault(value, (play, place)) != (play, place):
                self.fail(f"the {part} of {play} has the value of {self._places_of_values[value]}")

    def _on_bayeux_reply(self, number: int, reply: Reply) -> None:
        client = self._polls.pop(number, None)
        if client is not None and client.poll == number:
            client.poll = client.owed_since = None
            self._keep_alive(client, self._now)
            self._check_answers(number, reply, [("/meta/connect", None)])
        client = client or self._bayeux.get(number)
        if client is None:
            return
        client.doubtful = False
        if not (client.acked or self._only_on_connect):
            client.owed_since = None  # the reply to a request carries what is due meanwhile
        if reply.status == 200:
            self._carriers[number] = client, reply
            if not client.acked:
                client.in_flight.add(number)

    def _on_frame(self, entry: Emitted, number: int, text: str) -> None:
        if self._awaited is not None and self._awaited[0] == number:
            self._check_frame(number, text, self._awaited[1])
        if number in self._handshakes and '"/meta/handshake"' in text:
            message = json.loads(text)[-1]
            if message.get("successful"):
                self._start_client(number, message)
            else:
                del self._handshakes[number]
        if number in self._bayeux and '"successful":' in text:
            self._bayeux[number].doubtful = False
        if '"/meta/connect"' in text:
            client = self._polls.pop(number, None)
            if client is not None and client.poll == number:
                client.poll = client.owed_since = None
                self._keep_alive(client, self._now)

    def _check_frame(self, number: int, text: str, prediction: Prediction) -> None:
        """Check the answers to the latest frame; a held poll on the WebSocket may be answered, too."""
        left, others = compared(text, prediction.answers or (), {"/meta/connect", "/meta/disconnect"})
        if others:
            self.fail(f"a frame on {number} gets the answers {others}; expected {prediction.answers}")
        if prediction.status is not None:
            prediction.answers = left
            self._awaited = (number, prediction) if left else None

    def _on_drop(self, number: int) -> None:
        if self._awaited is not None and self._awaited[0] == number and self._awaited[1].status is None:
            self._awaited = None
        found = self._replies.pop(number, None)
        if found is not None and found[0].status is not None:
            self.fail(f"the connection of request {number} is closed; expected status {found[0].status}")

    # ------------------------------------------------------------------ what clients receive
    def _on_delivered(self, entry: Delivered) -> None:
        number, content = entry.request_id, entry.content
        carried = self._carriers.pop(number, None)
        client = carried[0] if carried is not None else None
        if client is not None:
            client.in_flight.discard(number)
        if not isinstance(content, list):
            return
        for message in content:
            assert isinstance(message, dict)
            ext = message.get("ext")
            if "data" in message and "successful" not in message:
                self._receive(entry, client, message)
            elif message.get("channel") == "/meta/connect" and isinstance(ext, dict) and "ack" in ext:
                owner = client or self._client_on(number)
                if owner is not None:
                    owner.acknowledged = max(owner.acknowledged, int(str(ext["ack"])))
            if message.get("successful") is False:
                self._on_refusal(entry, client, message)

    def _on_refusal(self, entry: Delivered, client: LiveClient | None, message: JSONObject) -> None:
        """A live client must not be unknown, unless a fault says so."""
        channel = str(message["channel"])
        if client is None or not client.alive or self.predictor.has_faults(channel) or self._is_doubtful(client):
            return
        if str(message.get("error", "")).startswith("402"):
            self.fail(f"{channel} of the live client {client.name} is refused: {message.get('error')}")

    def _client_on(self, number: int, key: Key | None = None) -> LiveClient | None:
        """Return the client of a WebSocket; if it had several, the one that expects a notification first."""
        clients = self._on_socket.get(number, ())
        expecting = [each for each in reversed(clients) if key in each.outstanding]
        if key is not None and expecting:
            return min(expecting, key=lambda each: each.outstanding[key][0].due)
        return clients[-1] if clients else None

    def _receive(self, entry: Delivered, client: LiveClient | None, message: JSONObject) -> None:
        key = _key(str(message["channel"]), message["data"])
        client = client or self._client_on(entry.request_id, key)
        if client is None:
            self.fail(f"{entry.client} receives {key} without a CometD session")
            return
        found = client.outstanding.get(key)
        is_certain = found is not None and len(found) == 1 and not client.repeats
        if not found:
            if not (client.repeats and key in client.received):
                self.fail(f"{entry.client} receives {key}, which is not for it or which it has received before")
            return
        in_order = (place for place, each in enumerate(found) if not _is_after(client, each))
        event = found.pop(next(in_order, 0))  # an earlier equal one may have been dropped, because the queue was full
        if event.optional:  # it may also be a later equal one
            later = next((place for place, each in enumerate(found) if not each.optional), None)
            if later is not None:
                found[later] = _optional(found[later])
        if not found:
            del client.outstanding[key]
        if client.acked:
            client.received.add(key)
        if event.due > self._now + EPSILON:
            self.fail(f"{entry.client} receives {key} before it is due")
        is_shared = len(self._on_socket.get(entry.request_id, ())) > 1  # it may be that of another client
        if not (event.optional or is_shared):
            self._check_order(entry, client, event)
            self._check_data(message["data"], event if is_certain else None)

    def _check_order(self, entry: Delivered, client: LiveClient, event: DueEvent) -> None:
        if _is_after(client, event):
            in_one_reply_at_a_time = client.alive and self.plan.options.on_hangup == "keep"
            if in_one_reply_at_a_time and not client.repeats:
                self.fail(f"{entry.client} receives {event.key} after a later notification")
        else:
            client.latest, client.latest_order = event.due, event.order

    def _on_lost(self, entry: Lost) -> None:  # noqa: C901  # a rule for each kind of owner
        number = entry.request_id
        self._hung_up.add(number)
        self._replies.pop(number, None)
        client = self._polls.get(number)
        lose = self.plan.options.on_hangup == "lose"
        if client is not None:
            del self._polls[number]
            client.poll = client.owed_since = None
            if lose and number not in self._sockets:
                client.held_until = client.poll_ends  # its server does not notice
            self._keep_alive(client, entry.at)
        self._handshakes.pop(number, None)
        carried = self._carriers.pop(number, None)
        session = self._sockets.pop(number, None)
        if session is not None:
            session.sockets -= 1
            for each in self._on_socket.get(number, ()):
                if lose:
                    self._make_lossy(each)
            for each in self._live:
                if each.socket == number:
                    each.socket = None
                    self._keep_alive(each, entry.at)
        for waiting in (client, carried[0] if carried is not None else None):
            if waiting is not None:
                waiting.in_flight.discard(number)
                if lose:
                    self._make_lossy(waiting)

    @staticmethod
    def _make_lossy(client: LiveClient) -> None:
        """From now on, the client may lose notifications: its server doesn't notice that it hung up."""
        client.lossy = True
        Checker._make_optional(client)

    @staticmethod
    def _make_optional(client: LiveClient) -> None:
        for events in client.outstanding.values():
            for event in events:
                event.optional = True

    # ------------------------------------------------------------------ the environment
    def _on_changed(self, entry: Changed) -> None:
        what, node = entry.what, entry.node
        if what == "speed":
            for each in range(self.plan.options.nodes):
                self.predictor.set_speed(each, float(str(entry.value)))
        elif what == "probe":
            self._end_idle_sessions(node, entry.at)
        elif what in ("reload", "edit"):
            self.predictor.reload(node, edited=what == "edit")
            self._add()
        elif what == "push":
            for session in [*self.predictor.sessions]:
                self._perform(DueEvent(entry.at, session, ("/pushed", "push.0", str(entry.value))), is_push=True)
        elif what in ("reset", "restart", "crash"):
            if what == "restart":
                self._give_up_all_entries(node)
            self._discard(node, entry.at, crash=what == "crash")
            if what != "reset":
                self.predictor.set_speed(node, None)

    def _give_up_all_entries(self, node: int) -> None:
        for session in self.predictor.sessions:
            if session.node == node:
                self._give_up_entries(session)

    def _discard(self, node: int, now: float, *, crash: bool) -> None:  # noqa: C901  # a rule for each kind of owner
        """Forget everything of a server; it answers held requests now, unless it crashed."""
        for number, (prediction, of_node) in [*self._replies.items()]:
            if of_node == node:
                prediction.due = now
                if crash:
                    del self._replies[number]
        for *_, event in self._due:
            if event.session.node == node:
                event.cancelled = True
        for client in [each for each in self._live if each.session.node == node]:
            self._make_lossy(client)
            self._end(client)
            if crash and client.poll is not None:
                self._polls.pop(client.poll, None)
        for client in self._clients.values():
            if client.session.node == node:
                self._make_lossy(client)
        for session in self.predictor.sessions:
            if session.node == node:
                for event in session.waiting:
                    event.optional = True
                    self._give_up(event, "")
                session.waiting.clear()
        self.predictor.forget_all(node)
        self._sockets = {number: each for number, each in self._sockets.items() if each.node != node}
        self._find_next_expiry()

    def _on_logged(self, entry: Logged) -> None:
        if entry.level == "error":
            self.fail(f"the server logs an error: {entry.text}")

    # ------------------------------------------------------------------ the end
    def _check_chances(self) -> None:
        """A fault with a rate is triggered equally in equal sessions, and about as often as its rate says."""
        for request in self.predictor.unequal_chances:
            self.fail(f"the fault is triggered in one session and not in another: {request}")
        for index, fault in enumerate(self.plan.faults):
            seen = [applies for (one, *_), applies in self.predictor.chances.items() if one == index]
            if fault.rate is not None and _is_unlikely(sum(seen), len(seen), fault.rate):
                self.fail(f"fault {index} is triggered {sum(seen)} of {len(seen)} times; its rate is {fault.rate}")

    def _compare_given_up(self) -> None:
        """Compare what was given up with what was not received."""
        for client in self._clients.values():
            for events in client.outstanding.values():
                for event in events:
                    self._give_up(event, "client gone")
        reported = Counter(self.world.given_up)
        if sum(reported.values()) >= _MAX_REPORTS:
            return
        full = self.plan.options.max_queue < 1000
        for name in {each for each, _ in (*reported, *self.given_up)} | {*self.may_give_up}:
            want = {reason: count for (one, reason), count in self.given_up.items() if one == name}
            have = {reason: count for (one, reason), count in reported.items() if one == name}
            spare = self.may_give_up[name]
            missing = sum(want.values()) - sum(have.values())
            if missing > 0:
                self.fail(f"{missing} of {name!r} are neither received nor reported; expected {want}, found {have}")
            elif (
                -missing > spare and not full
            ):  # what a client did not acknowledge is dropped, too, if it is the oldest
                self.fail(f"{-missing} too many of {name!r} are given up; expected {want}, found {have}")
            elif not spare and not full and want != have:
                self.fail(f"{name!r} is given up with other reasons; expected {want}, found {have}")


def _is_unlikely(times: int, of: int, rate: float) -> bool:
    """True if something with this probability almost never happens so often, or so seldom."""
    chances = [comb(of, each) * rate**each * (1 - rate) ** (of - each) for each in range(of + 1)]
    return min(sum(chances[: times + 1]), sum(chances[times:])) < 1e-8


def _optional(event: DueEvent) -> DueEvent:
    return DueEvent(event.due, event.session, event.key, order=event.order, optional=True)


def _is_after(client: LiveClient, event: DueEvent) -> bool:
    """True if a client has received a notification that is due later."""
    if event.due < client.latest - EPSILON:
        return True
    same_cause = bool(event.order[0]) and event.order[0] == client.latest_order[0]
    return same_cause and event.due <= client.latest + EPSILON and event.order < client.latest_order


def _receives(client: LiveClient, channel: str) -> bool:
    """True if a client has a subscription that matches a channel."""
    return channel in client.subscriptions or "/**" in client.subscriptions


def _key(channel: str, data: JSON) -> Key:
    """Return the key of a notification that was received."""
    if not isinstance(data, dict):
        return channel, repr(data), ""
    number = str(data.get("referenceId", ""))
    event = str(data.get("e", ""))
    if "n" in data:
        number = f"{number}:{data['n']}" if not event.startswith(("push", "broadcast")) else str(data["n"])
    for name in ("ref", "now"):
        if name in data:
            number = f"{number}:{data[name]}"
    return channel, event, number


def violations(world: World) -> list[str]:
    """Return the promises that a run has broken."""
    return Checker(world).check()
