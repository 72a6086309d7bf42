"""One virtual agent: its login, CometD session, held poll and requests, and the ledger of their outcomes.

Everything runs in callbacks of the event loop, which never block. The agent follows the server's advice, does a new
handshake and subscribes again if the CometD session is lost, and logs in again if the HTTP session is lost. Retries
use random, growing delays. This module doesn't use Locust.
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
from cometreel.locust_agents.agent_identity import Identity, UserCredentials
from cometreel.locust_agents.event_loop import Clock, EventLoop, Timer
from cometreel.locust_agents.http_client import HttpReply, lenient_json
from cometreel.locust_agents.load_target import LoadTarget
from cometreel.locust_agents.login import (
    END_SESSION,
    LoginMode,
    LoginRefused,
    LoginRequest,
    LoginRequests,
    first_requests,
    log_in,
    log_in_as_recorded,
    session_gone,
)
from cometreel.locust_agents.long_polling import BayeuxTransport, LongPollingTransport
from cometreel.locust_agents.request_queue import CallbackRequest, QueuedRequest, RequestSender
from cometreel.locust_agents.request_queue import ReplyOrLoss as HttpOutcome
from cometreel.locust_agents.scenario_script import STATE_CHANGES, AnyAnswer, ScenarioScript
from cometreel.locust_agents.websocket_transport import WebSocketTransport
from cometreel.value_copies import copy_by_constructor

__all__ = ["Agent", "AgentConfig", "AgentContext", "StatsSink", "Transport"]

Transport: TypeAlias = Literal["long-polling", "websocket"]
_Result = TypeVar("_Result")

_STATS = "WorkbinStatsMessage"
_MAX_BACKOFF = 60.0
_GRACE = 5.0  # seconds after a login in which HTTP 401 and 403 don't mean that the HTTP session is lost


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The configuration of all agents of a run. Times are seconds."""

    login: LoginMode = "open"
    transport: Transport = "long-polling"
    endpoint: str = "/api/v2/notifications"
    channels: tuple[str, ...] = ("/v2/me/workbins",)
    after_login: tuple[str, ...] = ()
    """Operations that are sent for each of the agent's workbins after its login."""
    late: float = 2.0
    patience: float = 10.0
    script: ScenarioScript | None = None
    """The requests of a scenario, which agents send instead of those of a desktop."""

    def login_of(self, number: int, credentials: UserCredentials | None) -> LoginRequests:
        """Return the requests of an agent before the CometD handshake: recorded ones, or those of a desktop."""
        recorded = self.script.login_of(number, credentials) if self.script is not None else []
        return log_in_as_recorded(self.login, recorded) if recorded else log_in(self.login)

    @property
    def end(self) -> LoginRequest | None:
        """The last request of a session; None if agents don't log in, or the recorded login has no end."""
        if self.login == "open":
            return None
        return self.script.end if self.script is not None and self.script.logins else END_SESSION


class StatsSink(Protocol):
    """Collects the results of all agents in this process."""

    def sent(self, exchange: PendingRequest) -> None:
        """Record a POST that was sent."""

    def unsent(self, count: int) -> None:
        """Record queued requests that will not be sent."""

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Record outcomes of requests."""

    def logged_in(self, seconds: float, error: str) -> None:
        """Record a login: the time until the CometD session was ready, or the error."""


@dataclass(frozen=True, slots=True)
class AgentContext:
    """Settings and services shared by all agents of a process."""

    target: LoadTarget
    config: AgentConfig
    stats: StatsSink
    random: Random
    clock: Clock
    new_sender: Callable[[], RequestSender]
    """Returns a new connection."""
    event_loop: EventLoop | None = None
    """The event loop for WebSockets."""


class Agent:
    """A virtual agent. Call `start`, then `log_out`, then `close`.

    `number` starts at 0 and identifies the same agent in each run. `ready` is set while the agent can send requests.
    `idle` is true while no request is in progress. `logged_out` is set when the logout is complete.
    """

    def __init__(self, number: int, credentials: UserCredentials | None, context: AgentContext) -> None:
        self.number, self.user_id = number, ""
        self._context, config = context, context.config
        self.ledger = Ledger(f"agent-{number + 1}", late=config.late, patience=config.patience)
        self.ready, self.logged_out = Event(), Event()
        self.idle = True
        self._stats, self._patience = context.stats, config.patience
        self._identity, self._credentials = Identity(context.target.authority, config.login, credentials), credentials
        self._posts = context.new_sender()
        self._client = BayeuxClient(ClientSettings(connection_type=config.transport, jitter=self._jitter))
        self._transport = self._make_transport()
        self._login_started = self._backoff = self._logged_in_at = 0.0
        self._queued = 0
        self.on_idle: Callable[[], None] | None = None
        """Called when the last request in progress has finished: in a closed loop, it sends the next request."""
        self._logging_in = self._stopping = False
        self._timeout: Timer | None = None

    def _make_transport(self) -> BayeuxTransport:
        context, identity = self._context, self._identity
        endpoint = context.config.endpoint
        if context.config.transport == "websocket":
            assert context.event_loop is not None
            return WebSocketTransport(
                context.event_loop,
                self._client,
                context.target,
                endpoint,
                self._handle_events,
                identity.websocket_headers,
                self._handle_reply,
            )
        senders = self._posts, context.new_sender()
        return LongPollingTransport(
            context.clock, self._client, senders, identity.head, endpoint, self._handle_events, self._handle_reply
        )

    # ------------------------------------------------------------------ public methods
    @property
    def connected(self) -> bool:
        """True if there is a CometD session."""
        return self._client.client_id is not None

    @property
    def can_push(self) -> bool:
        """True if a poll is held or a WebSocket is open, so the server can push."""
        return self._transport.can_push

    @property
    def in_flight(self) -> int:
        """Number of requests without a final outcome."""
        return self._queued + self.ledger.in_flight

    def start(self) -> None:
        """Log in, do the CometD handshake, subscribe and poll. `ready` is set when all this is complete."""
        self._login_started = self._context.clock.now()
        self._log_in()

    def request(self, planned: PlannedRequest, path: str, body: bytes | None, intended: float) -> bool:
        """Send a POST, or a GET if the body is None. Return False if there is no session to send it in."""
        if not self.ready.is_set():
            return False
        self._queued += 1
        self.idle = False
        head = self._identity.head
        request = head.get(path) if body is None else head.post(path, body)
        self._posts.send(_SentPost(request, self._patience, self, planned, intended))
        return True

    def log_out(self) -> None:
        """Disconnect and end the session. `logged_out` is set when the server has replied."""
        self._stopping = True
        self.ready.clear()
        if self.connected:
            self._transport.process(self._client.disconnect(), self._context.clock.now())
        else:
            self._end_session()

    def close(self) -> None:
        """Close all connections and finish all open exchanges."""
        self._stopping = True
        self.ready.clear()
        if self._timeout is not None:
            self._timeout.cancel()
        self._transport.close()
        self._posts.close()
        self._record(self.ledger.close(self._context.clock.now()))
        self._record_unsent(self._queued)
        self.logged_out.set()

    # ------------------------------------------------------------------ login
    def _log_in(self) -> None:
        if not (self._logging_in or self._stopping):
            self._logging_in = True
            steps = self._context.config.login_of(self.number, self._credentials)
            self._run_steps(steps, self._logged_in, None)

    def _logged_in(self, user_id: str) -> None:
        self._logging_in, self._backoff, self._logged_in_at = False, 0.0, self._context.clock.now()
        self.user_id = user_id or self.user_id
        if self._client.state is ClientState.CLOSED:
            now = self._context.clock.now()
            self._client.subscribe(self._context.config.channels)
            self._transport.process(self._client.handshake(now), now)

    def _run_steps(
        self,
        steps: Generator[LoginRequest, HttpOutcome, _Result],
        then: Callable[[_Result], None],
        outcome: HttpOutcome | None,
    ) -> None:
        """Send the next request of a login; its reply triggers the request after it."""
        try:
            step = next(steps) if outcome is None else steps.send(outcome)
        except StopIteration as end:
            then(end.value)
            return
        except LoginRefused as error:
            self._login_failed(str(error))
            return

        def answered(outcome: HttpOutcome, _now: float) -> None:
            if isinstance(outcome, HttpReply):
                self._identity.update(outcome)
            if not self._stopping:
                self._run_steps(steps, then, outcome)

        self._posts.send(CallbackRequest(self._identity.request(step), self._context.config.patience, answered))

    def _login_failed(self, error: str) -> None:
        self._logging_in = False
        self._context.stats.logged_in(self._context.clock.now() - self._login_started, error)
        self._backoff = min(max(1.0, 2 * self._backoff), _MAX_BACKOFF)
        self._context.clock.call_at(
            self._context.clock.now() + self._jitter(self._backoff), lambda _now: self._log_in()
        )

    def _login_complete(self, workbins: list[str]) -> None:
        self._context.stats.logged_in(self._context.clock.now() - self._login_started, "")
        self.ready.set()
        for operation in self._context.config.after_login:
            for workbin in workbins:
                body = encode({"operationName": operation})
                answer = AnyAnswer() if operation == "RequestStats" else None
                self.request(
                    PlannedRequest(operation, answer), f"/api/v2/workbins/{workbin}", body, self._context.clock.now()
                )

    def _jitter(self, seconds: float) -> float:
        """Return a random delay between `seconds / 2` and `seconds`, so that agents don't retry together."""
        return seconds * (0.5 + self._context.random.random() / 2)

    # ------------------------------------------------------------------ CometD events
    def _handle_reply(self, reply: HttpReply) -> None:
        self._identity.update(reply)
        if reply.status != 200 and session_gone(reply) and self._context.clock.now() > self._logged_in_at + _GRACE:
            self._log_in()

    def _handle_events(self, events: Sequence[ClientEvent], now: float) -> None:
        for event in events:
            if type(event) is Received:
                self._received(event.message, now)
            elif isinstance(event, Connected):
                self._connected()
            elif isinstance(event, SessionUnknown):
                self._record(self.ledger.session_lost(now))
            elif isinstance(event, Closed):
                self._closed()

    def _received(self, message: Message, now: float) -> None:
        """Record a notification that answers a request. State changes answer none."""
        data = message.get("data")
        if not isinstance(data, dict):
            return
        kind = data.get("messageType")
        if kind == _STATS or ("referenceId" in data and kind not in STATE_CHANGES):
            self._record(self.ledger.notified(data, now))

    def _connected(self) -> None:
        if self.ready.is_set() or self._stopping:
            return
        config = self._context.config
        as_recorded = config.script is not None and config.script.logins and not config.after_login
        if config.login == "open" or as_recorded:
            self._login_complete([])
        else:
            self._run_steps(first_requests(), self._login_complete, None)

    def _closed(self) -> None:
        """Handle the end of the CometD session: after a logout, or if the server advises not to reconnect."""
        if self._stopping:
            self._end_session()
        else:
            self._record(self.ledger.session_lost(self._context.clock.now()))
            self.ready.clear()
            self._login_failed("CometD: the server advises not to reconnect")

    def _end_session(self) -> None:
        end = self._context.config.end
        if end is None:
            self.logged_out.set()
        else:
            end_session = self._identity.request(end)
            self._posts.send(
                CallbackRequest(
                    end_session, self._context.config.patience, lambda _outcome, _now: self.logged_out.set()
                )
            )

    # ------------------------------------------------------------------ outcomes
    def request_sent(self, planned: PlannedRequest, intended: float, now: float) -> PendingRequest:
        """Record a POST that is sent now."""
        self._queued -= 1
        exchange = self.ledger.sent(planned, intended, now)
        self._stats.sent(exchange)
        self._set_timeout()
        return exchange

    def reply_received(self, exchange: PendingRequest | None, outcome: HttpOutcome, now: float) -> None:
        """Record the outcome of a POST. `exchange` is None if it was never sent."""
        if exchange is None:
            self._record_unsent(1)
        elif isinstance(outcome, HttpReply):
            self._record(self.ledger.replied(exchange, outcome.status, lenient_json(outcome.body), now))
            self._handle_reply(outcome)
        else:
            self._record(self.ledger.failed(exchange, now))

    def _record_unsent(self, count: int) -> None:
        """Record queued requests that will not be sent."""
        self._queued -= count
        self._context.stats.unsent(count)
        self._check_idle()

    def _record(self, outcomes: Sequence[RequestOutcome]) -> None:
        if outcomes:
            self._stats.add(outcomes)
            self._check_idle()

    def _check_idle(self) -> None:
        if self.idle or self._queued or self.ledger.in_flight:
            return
        self.idle = True
        if self.on_idle is not None and not self._stopping:
            self.on_idle()

    def _set_timeout(self) -> None:
        """Set a timer for the next deadline of the ledger. If the timer fires too early, it is set again."""
        if self._timeout is None and (deadline := self.ledger.deadline()) is not None:
            self._timeout = self._context.clock.call_at(deadline, self._time_out)

    def _time_out(self, now: float) -> None:
        self._timeout = None
        self._record(self.ledger.advance(now))
        self._set_timeout()


class _SentPost(QueuedRequest):
    """One request of an agent, from the queue to its reply."""

    __slots__ = ("_agent", "_exchange", "_intended", "_planned")

    def __init__(self, request: bytes, patience: float, agent: Agent, planned: PlannedRequest, intended: float) -> None:
        super().__init__(request, patience)
        self._agent, self._planned, self._intended = agent, planned, intended
        self._exchange: PendingRequest | None = None

    def on_sent(self, now: float) -> None:
        self._exchange = self._agent.request_sent(self._planned, self._intended, now)

    def on_done(self, outcome: HttpOutcome, now: float) -> None:
        self._agent.reply_received(self._exchange, outcome, now)


copy_by_constructor(__name__)
