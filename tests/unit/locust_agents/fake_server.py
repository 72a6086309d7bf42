"""An agent and a replay engine in one process, in virtual time: requests are passed as bytes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from random import Random

from cometreel.engine import Backend, ReplaySettings
from cometreel.load import PendingRequest, RequestOutcome
from cometreel.locust_agents.agent import Agent, AgentConfig, AgentContext
from cometreel.locust_agents.agent_identity import UserCredentials
from cometreel.locust_agents.connection import ConnectionLoss
from cometreel.locust_agents.event_loop import Timer
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.load_target import parse_target
from cometreel.locust_agents.request_queue import QueuedRequest
from cometreel.locust_agents.request_queue import ReplyOrLoss as HttpOutcome
from cometreel.scenario import loads
from cometreel.wire import Drop, Effect, Headers, Reply, Request

__all__ = ["World"]


class MemorySender:
    """A connection to the engine that sends one request at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: list[QueuedRequest] = []
        self._current: QueuedRequest | None = None
        self._request_id = 0
        self.closed = False

    @property
    def busy(self) -> bool:
        return self._current is not None

    def send(self, queued: QueuedRequest) -> None:
        self._waiting.append(queued)
        if self._current is None:
            self._next()

    def close(self) -> None:
        self.closed, self._current = True, None
        self._waiting.clear()

    def _next(self) -> None:
        if self._waiting and self._current is None and not self.closed:
            queued = self._current = self._waiting.pop(0)
            queued.on_sent(self._world.time)
            self._request_id = self._world.send(queued.request, self.answered)
            number = self._request_id
            self._world.call_at(self._world.time + queued.patience, lambda _now: self._overdue(number))

    def _overdue(self, number: int) -> None:
        if self._current is not None and number == self._request_id:
            self.answered(ConnectionLoss.NO_REPLY)

    def answered(self, outcome: HttpOutcome) -> None:
        queued, self._current = self._current, None
        if queued is not None:
            queued.on_done(outcome, self._world.time)
            self._next()


class World:
    """Virtual time, an engine, and the recorded results of agents. If `down` is set, all connections are refused."""

    def __init__(self, scenario: str, settings: ReplaySettings, config: AgentConfig) -> None:
        self.time = 1000.0
        self.down = False
        self.requests: list[str] = []
        self.outcomes: list[str] = []
        self.logins: list[str] = []
        self.unsent_count = 0
        self.backend = Backend(loads(scenario), settings)
        self._timers: list[Timer] = []
        self._ids = itertools.count(1)
        self._answers: dict[int, Callable[[HttpOutcome], None]] = {}
        target = parse_target("http://gws.example")
        self.context = AgentContext(target, config, self, Random(1), self, lambda: MemorySender(self))

    # ------------------------------------------------------------------ stats
    def sent(self, exchange: PendingRequest) -> None:
        pass

    def unsent(self, count: int) -> None:
        self.unsent_count += count

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        self.outcomes += [type(outcome).__name__ for outcome in outcomes]

    def logged_in(self, seconds: float, error: str) -> None:
        self.logins.append(error)

    # ------------------------------------------------------------------ time
    def now(self) -> float:
        return self.time

    def call_at(self, due: float, call: Callable[[float], None]) -> Timer:
        timer = Timer(due, call)
        heapq.heappush(self._timers, timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Advance the time; everything that is due happens at its time."""
        end = self.time + seconds
        while True:
            deadline = self.backend.deadline()
            due = min(deadline if deadline is not None else end, self._timers[0].due if self._timers else end)
            if due >= end:
                break
            self.time = max(due, self.time)
            self._do(self.backend.advance(self.time))
            while self._timers and self._timers[0].due <= self.time:
                if (call := heapq.heappop(self._timers).call) is not None:
                    call(self.time)
        self.time = end

    # ------------------------------------------------------------------ the network
    def send(self, data: bytes, answered: Callable[[HttpOutcome], None]) -> int:
        head, _, body = data.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        method, target, _ = line.split(" ")
        self.requests.append(f"{method} {target}")
        number = next(self._ids)
        if self.down:
            self.call_at(self.time + 0.001, lambda _now: answered(ConnectionLoss.REFUSED))
            return number
        path, _, query = target.partition("?")
        pairs = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]
        self._answers[number] = answered
        self._do(self.backend.receive(Request(number, method, path, query, Headers(pairs), body), self.time))
        return number

    def _do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Reply):
                answered = self._answers.pop(effect.request_id)
                fields = tuple((name.lower().encode(), value.encode()) for name, value in effect.headers)
                reply = HttpReply(effect.status, fields, effect.body, last=False)
                self._do(self.backend.delivered(effect.request_id, self.time))
                self._later(answered, reply)
            elif isinstance(effect, Drop):
                self._later(self._answers.pop(effect.request_id), ConnectionLoss.CLOSED)

    def _later(self, answered: Callable[[HttpOutcome], None], outcome: HttpOutcome) -> None:
        """Call back after the current callback has returned, as a network does."""
        self.call_at(self.time, lambda _now: answered(outcome))

    def agent(self, number: int = 0, user: str = "agent-1") -> Agent:
        """Create an agent and start its login."""
        agent = Agent(number, UserCredentials(user, "x"), self.context)
        agent.start()
        return agent
