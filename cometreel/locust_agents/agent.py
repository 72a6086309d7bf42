"""One virtual agent: its login, its CometD session, its held poll, its requests, and the ledger of what became of them.

Everything happens on the pump, in callbacks that never wait. It follows the server's advice, shakes hands and
subscribes again when its session is lost, logs in again when the HTTP session is, and waits longer, by chance, with
each failure in a row. Nothing of Locust may enter.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol, TypeAlias, TypeVar

from gevent.event import Event

from cometreel.bayeux import (
    BayeuxClient,
    ClientEvent,
    ClientSettings,
    ClientState,
    Closed,
    Connected,
    Message,
    Received,
    SessionUnknown,
)
from cometreel.jsonvalue import encode
from cometreel.load import Ledger, PendingRequest, PlannedRequest, RequestOutcome
from cometreel.locust_agents.event_loop import Clock, EventLoop, Timer
from cometreel.locust_agents.http_client import HttpReply, lenient_json
from cometreel.locust_agents.identity import Identity, UserCredentials
from cometreel.locust_agents.load_target import LoadTarget
from cometreel.locust_agents.login import (
    END_SESSION,
    LoginMode,
    LoginRefused,
    LoginRequest,
    first_requests,
    log_in,
    session_gone,
)
from cometreel.locust_agents.long_polling import BayeuxTransport, LongPollingTransport
from cometreel.locust_agents.request_queue import QueuedRequest, RequestSender
from cometreel.locust_agents.request_queue import ReplyOrLoss as HttpOutcome
from cometreel.locust_agents.scenario_script import AnyAnswer
from cometreel.locust_agents.websocket_transport import WebSocketTransport

__all__ = ["Agent", "StatsSink", "AgentConfig", "AgentContext", "Transport"]

Transport: TypeAlias = Literal["long-polling", "websocket"]
_Result = TypeVar("_Result")

_STATS = "WorkbinStatsMessage"
_UNASKED = frozenset({"WorkbinStateChangeMessage", "WorkbinSubscriptionStateChangeMessage"})
_MOST_BACKOFF = 60.0
_RESPITE = 5.0  # seconds after a login in which a refusal isn't taken for the end of the HTTP session


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """How all the agents of a run behave. Times are seconds."""

    login: LoginMode = "open"
    transport: Transport = "long-polling"
    endpoint: str = "/api/v2/notifications"
    channels: tuple[str, ...] = ("/v2/me/workbins",)
    beside: tuple[str, ...] = ()
    """Operations that are sent for each of the agent's workbins after its login."""
    late: float = 2.0
    patience: float = 10.0


class StatsSink(Protocol):
    """Who keeps account of all agents of a process."""

    def sent(self, exchange: PendingRequest) -> None:
        """Enter a POST that was written."""

    def unsent(self, many: int) -> None:
        """Enter requests that waited for their turn and won't be sent any more."""

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Enter what became of requests."""

    def logged_in(self, seconds: float, error: str) -> None:
        """Enter a login: how long it took until CometD was up, or why it failed."""


@dataclass(frozen=True, slots=True)
class AgentContext:
    """Where an agent sits: what it shares with all agents of its process."""

    target: LoadTarget
    habits: AgentConfig
    books: StatsSink
    chance: Random
    timers: Clock
    line: Callable[[], RequestSender]
    """Makes a connection of one's own."""
    pump: EventLoop | None = None
    """What WebSockets are opened on."""


class Agent:
    """An agent, from `begin` to `leave` and `close`.

    `number` counts from 0, and is the same agent in each run. `ready` is set while it can ask, `settled` says
    that nothing is under way, `left` is set once it has said goodbye.
    """

    def __init__(self, number: int, who: UserCredentials | None, seat: AgentContext) -> None:
        self.number, self.user_id = number, ""
        self._seat, habits = seat, seat.habits
        self.ledger = Ledger(f"agent-{number + 1}", late=habits.late, patience=habits.patience)
        self.ready, self.left = Event(), Event()
        self.settled = True
        self._identity = Identity(seat.target.authority, habits.login, who)
        self._posts = seat.line()
        self._client = BayeuxClient(ClientSettings(connection_type=habits.transport, jitter=self._jitter))
        self._link = self._make_link()
        self._begun = self._backoff = self._entered_at = 0.0
        self._queued = 0
        self.when_settled: Callable[[], None] | None = None
        """Called whenever nothing is under way any more: in a closed loop the next request follows."""
        self._entering = self._leaving = False
        self._patience: Timer | None = None

    def _make_link(self) -> BayeuxTransport:
        seat, identity = self._seat, self._identity
        endpoint = seat.habits.endpoint
        if seat.habits.transport == "websocket":
            assert seat.pump is not None
            return WebSocketTransport(
                seat.pump, self._client, seat.target, endpoint, self._told, identity.fields, self._read
            )
        lines = self._posts, seat.line()
        return LongPollingTransport(seat.timers, self._client, lines, identity.head, endpoint, self._told, self._read)

    # ------------------------------------------------------------------ what its user sees and asks
    @property
    def up(self) -> bool:
        """Whether there is a CometD session."""
        return self._client.client_id is not None

    @property
    def holds(self) -> bool:
        """Whether the server can push: it holds a poll, or there is a WebSocket."""
        return self._link.holds

    @property
    def in_flight(self) -> int:
        """How many requests are neither answered nor given up."""
        return self._queued + self.ledger.in_flight

    def begin(self) -> None:
        """Log in, shake hands, subscribe, poll; `ready` is set when all that is done."""
        self._begun = self._seat.timers.now()
        self._enter()

    def request(self, ask: PlannedRequest, path: str, body: bytes | None, intended: float) -> bool:
        """Send a POST, or a GET, that was meant for this time; or return False, where there is no session for it."""
        if self._leaving or not self.ready.is_set():
            return False
        self._queued += 1
        self.settled = False
        post = _SentPost(self, ask, intended)
        head = self._identity.head
        request = head.get(path) if body is None else head.post(path, body)
        self._posts.ask(QueuedRequest(request, self._seat.habits.patience, post.done, post.began))
        return True

    def leave(self) -> None:
        """Say goodbye as a desktop does; `left` is set when the server has heard it."""
        self._leaving = True
        self.ready.clear()
        if self.up:
            self._link.do(self._client.disconnect(), self._seat.timers.now())
        else:
            self._say_goodbye()

    def close(self) -> None:
        """End all connections, and settle what is still open."""
        self._leaving = True
        self.ready.clear()
        if self._patience is not None:
            self._patience.cancel()
        self._link.close()
        self._posts.close()
        self._books(self.ledger.close(self._seat.timers.now()))
        self._drop(self._queued)
        self.left.set()

    # ------------------------------------------------------------------ login
    def _enter(self) -> None:
        if not (self._entering or self._leaving):
            self._entering = True
            self._walk(log_in(self._seat.habits.login), self._entered, None)

    def _entered(self, user_id: str) -> None:
        self._entering, self._backoff, self._entered_at = False, 0.0, self._seat.timers.now()
        self.user_id = user_id or self.user_id
        if self._client.state is ClientState.CLOSED:
            now = self._seat.timers.now()
            self._client.subscribe(self._seat.habits.channels)
            self._link.do(self._client.handshake(now), now)

    def _walk(
        self,
        steps: Generator[LoginRequest, HttpOutcome, _Result],
        then: Callable[[_Result], None],
        outcome: HttpOutcome | None,
    ) -> None:
        """Make the next step; the reply to it makes the one after."""
        try:
            step = next(steps) if outcome is None else steps.send(outcome)
        except StopIteration as end:
            then(end.value)
            return
        except LoginRefused as error:
            self._turned_away(str(error))
            return

        def answered(outcome: HttpOutcome, _now: float) -> None:
            if isinstance(outcome, HttpReply):
                self._identity.take(outcome)
            if not self._leaving:
                self._walk(steps, then, outcome)

        self._posts.ask(QueuedRequest(self._identity.request(step), self._seat.habits.patience, answered))

    def _turned_away(self, error: str) -> None:
        self._entering = False
        self._seat.books.logged_in(self._seat.timers.now() - self._begun, error)
        self._backoff = min(max(1.0, 2 * self._backoff), _MOST_BACKOFF)
        self._seat.timers.at(self._seat.timers.now() + self._jitter(self._backoff), lambda _now: self._enter())

    def _settle_in(self, workbins: list[str]) -> None:
        self._seat.books.logged_in(self._seat.timers.now() - self._begun, "")
        self.ready.set()
        for operation in self._seat.habits.beside:
            for workbin in workbins:
                body = encode({"operationName": operation})
                answer = AnyAnswer() if operation == "RequestStats" else None
                self.request(
                    PlannedRequest(operation, answer), f"/api/v2/workbins/{workbin}", body, self._seat.timers.now()
                )

    def _jitter(self, seconds: float) -> float:
        """Spread what many agents do after the same failure: between half of the time and the whole."""
        return seconds * (0.5 + self._seat.chance.random() / 2)

    # ------------------------------------------------------------------ what CometD brings
    def _read(self, reply: HttpReply) -> None:
        self._identity.take(reply)
        if session_gone(reply) and self._seat.timers.now() > self._entered_at + _RESPITE:
            self._enter()

    def _told(self, events: Sequence[ClientEvent], now: float) -> None:
        for event in events:
            if type(event) is Received:
                self._received(event.message, now)
            elif isinstance(event, Connected):
                self._connected()
            elif isinstance(event, SessionUnknown):
                self._books(self.ledger.session_lost(now))
            elif isinstance(event, Closed):
                self._closed()

    def _received(self, message: Message, now: float) -> None:
        """Enter a notification that answers a request; state changes come unasked."""
        data = message.get("data")
        if not isinstance(data, dict):
            return
        kind = data.get("messageType")
        if kind == _STATS or ("referenceId" in data and kind not in _UNASKED):
            self._books(self.ledger.notified(data, now))

    def _connected(self) -> None:
        if self.ready.is_set() or self._leaving:
            return
        if self._seat.habits.login == "open":
            self._settle_in([])
        else:
            self._walk(first_requests(), self._settle_in, None)

    def _closed(self) -> None:
        """The session is over: as this agent wished, or the server advises not to come back."""
        if self._leaving:
            self._say_goodbye()
        else:
            self._books(self.ledger.session_lost(self._seat.timers.now()))
            self.ready.clear()
            self._turned_away("CometD: the server advises not to come back")

    def _say_goodbye(self) -> None:
        if self._seat.habits.login == "open":
            self.left.set()
        else:
            goodbye = self._identity.request(END_SESSION)
            self._posts.ask(QueuedRequest(goodbye, self._seat.habits.patience, lambda _outcome, _now: self.left.set()))

    # ------------------------------------------------------------------ what becomes of requests
    def wrote(self, ask: PlannedRequest, intended: float, now: float) -> PendingRequest:
        """Enter a POST that is written now."""
        self._queued -= 1
        exchange = self.ledger.sent(ask, intended, now)
        self._seat.books.sent(exchange)
        self._be_patient()
        return exchange

    def replied(self, exchange: PendingRequest | None, outcome: HttpOutcome, now: float) -> None:
        """Enter the reply to a POST, or that there is none; without an exchange it was never written."""
        if exchange is None:
            self._drop(1)
        elif isinstance(outcome, HttpReply):
            self._books(self.ledger.acked(exchange, outcome.status, lenient_json(outcome.body), now))
            self._read(outcome)
        else:
            self._books(self.ledger.failed(exchange, now))

    def _drop(self, many: int) -> None:
        """Enter that so many requests in the queue won't be sent."""
        self._queued -= many
        self._seat.books.unsent(many)
        self._settle()

    def _books(self, outcomes: Sequence[RequestOutcome]) -> None:
        if outcomes:
            self._seat.books.add(outcomes)
            self._settle()

    def _settle(self) -> None:
        if self.settled or self._queued or self.ledger.in_flight:
            return
        self.settled = True
        if self.when_settled is not None and not self._leaving:
            self.when_settled()

    def _be_patient(self) -> None:
        """Give up what isn't answered when its time is over. A timer that rings too early sets itself anew."""
        if self._patience is None and (deadline := self.ledger.deadline()) is not None:
            self._patience = self._seat.timers.at(deadline, self._lose_patience)

    def _lose_patience(self, now: float) -> None:
        self._patience = None
        self._books(self.ledger.advance(now))
        self._be_patient()


class _SentPost:
    """One request on its way through the line."""

    __slots__ = ("_agent", "_ask", "_exchange", "_intended")

    def __init__(self, agent: Agent, ask: PlannedRequest, intended: float) -> None:
        self._agent, self._ask, self._intended = agent, ask, intended
        self._exchange: PendingRequest | None = None

    def began(self, now: float) -> None:
        self._exchange = self._agent.wrote(self._ask, self._intended, now)

    def done(self, outcome: HttpOutcome, now: float) -> None:
        self._agent.replied(self._exchange, outcome, now)
