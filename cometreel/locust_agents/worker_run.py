"""The agents of one process, and the schedule by which they ask. One half of a conversation with the conductor.

The crew reports every half second what it holds and how it is, and follows what it is granted: which agents it may
be, which shares of the load are its own, when the run began, and that it ends. Its clock is its own: all it is told
is how many seconds the run is old.
"""

from __future__ import annotations

import gc
import logging
import time
from functools import lru_cache
from random import Random
from typing import TypedDict

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.log import greenlet_exception_logger

from cometreel.jsonvalue import encode
from cometreel.load import (
    Arrival,
    ArrivalSchedule,
    ClosedLoop,
    Grant,
    LeaseReport,
    OwnerKind,
    PlannedRequest,
    StepTallies,
    TallyState,
    WorkerLeases,
    expectation_for,
    request_for,
)
from cometreel.locust_agents.agent import Agent, AgentContext
from cometreel.locust_agents.event_loop import EventLoop, clock
from cometreel.locust_agents.locust_stats import LocustStats
from cometreel.locust_agents.request_queue import RequestQueue
from cometreel.locust_agents.run_options import RunOptions

__all__ = ["WorkerRun", "WorkerReport", "Instructions"]

logger = logging.getLogger(__name__)

_REPORTS = 0.5  # seconds between two reports
_SETTLING = 0.05
_COLLECT_AFTER = (20_000, 50, 100)  # new objects, and rounds of the younger generations: next to none are garbage


class WorkerReport(TypedDict):
    """Crew to conductor."""

    report: LeaseReport
    ready: int
    """How many agents can ask."""
    turned_away: str
    """Why the last login failed; empty if none did."""
    final: TallyState | None
    """The figures when all is settled; None before."""
    stage: tuple[int, TallyState] | None
    """The figures of the stage that was asked for."""


class Instructions(TypedDict):
    """Conductor to crew."""

    grant: Grant
    elapsed: float | None
    """How many seconds the run is old; None before it begins."""
    rates: list[tuple[float, float]]
    """Changes of the rate: from when on, and requests per second."""
    stages: list[tuple[int, float]]
    """The stages so far, and when each begins."""
    wanted_stage: int | None
    """The stage whose figures are wanted."""
    ends: bool
    """Whether nothing new is to be sent."""


class WorkerRun:
    """The agents of one process, while a run lasts."""

    def __init__(self, environment: Environment, options: RunOptions, name: str) -> None:
        self.options, self.name = options, name
        assert environment.runner is not None
        self._runner = environment.runner
        self._began: float | None = None
        self.stages = StepTallies(name, 0.0)
        self.books = LocustStats(environment, self.stages)
        self.pump = EventLoop()
        # no secret, and different in each process: it only spreads retries
        chance = Random(name)  # noqa: S311
        self._seat = AgentContext(options.target, options.habits, self.books, chance, self.pump, self._line, self.pump)
        self._holding = WorkerLeases(name)
        self._agents: dict[int, Agent] = {}
        self._in_order: list[Agent] | None = None
        self._wanted = 0
        self._schedule: ArrivalSchedule | None = None
        self._changes = 0
        self._turns = ClosedLoop(options.plan)
        self._wanted_stage: int | None = None
        self._measured = clock(), time.process_time()
        self._final: TallyState | None = None
        self._collected_after = gc.get_threshold()
        self.begun, self.ends, self._granted = Event(), Event(), Event()
        self._greenlets = [gevent.spawn(self._report_for_ever), gevent.spawn(self._serve)]
        for greenlet in self._greenlets:
            greenlet.link_exception(greenlet_exception_logger(logger))

    # ------------------------------------------------------------------ its agents
    def join(self) -> Agent | None:
        """Become an agent; wait until one is granted. None if the run ends before."""
        self._wanted += 1
        while (number := self._holding.take_agent()) is None:
            if self.ends.is_set():
                return None
            self._granted.clear()
            self._granted.wait(_REPORTS)
        users = self.options.users
        agent = Agent(number, users[number] if users else None, self._seat)
        self._agents[number], self._in_order = agent, None
        return agent

    @property
    def _asking(self) -> list[Agent]:
        """The agents by their numbers: a request's draw chooses the same one in each run."""
        if self._in_order is None:
            self._in_order = [self._agents[number] for number in sorted(self._agents)]
        return self._in_order

    def _line(self) -> RequestQueue:
        return RequestQueue(self.pump, self.options.target)

    def part(self, agent: Agent) -> None:
        """Be that agent no longer."""
        self._wanted -= 1
        if self._agents.get(agent.number) is agent:
            del self._agents[agent.number]
            self._in_order = None
            self._holding.give_agent(agent.number)

    def turn(self, agent: Agent) -> bool:
        """Let an agent ask once, in a closed loop; return whether it could."""
        arrival = self._turns.take(agent.number)
        return self._ask(arrival.kind, arrival.owner, agent, clock())

    # ------------------------------------------------------------------ what is due
    def _seconds(self, now: float) -> float:
        return 0.0 if self._began is None else now - self._began

    def _serve(self) -> None:
        """Send what is due, for as long as the run lasts. What is late stays due at its own time."""
        self.begun.wait()
        gc.collect()
        gc.freeze()  # the agents are here to stay: the collector needn't look at them again and again
        gc.set_threshold(*_COLLECT_AFTER)
        if self.options.rate is None:
            return
        self._schedule = ArrivalSchedule(self.options.plan, self.options.rate, self._holding.shares)
        while not self.ends.is_set():
            for arrival in self._schedule.due(self._seconds(clock())):
                self._arrive(arrival)
            wait = self._schedule.next_at() - self._seconds(clock())
            gevent.sleep(min(max(wait, 0.0), _REPORTS))

    def _arrive(self, arrival: Arrival) -> None:
        assert self._began is not None
        agents = self._asking
        agent = agents[arrival.draw % len(agents)] if agents else None
        self._ask(arrival.kind, arrival.owner, agent, self._began + arrival.at)

    def _ask(self, kind: OwnerKind, owner: str, agent: Agent | None, intended: float) -> bool:
        own_id = None if agent is None or owner else agent.user_id or None
        ask, path, body = _spoken(kind, owner, own_id)
        return self.ask(ask, path, body, agent, intended)

    def ask(self, ask: PlannedRequest, path: str, body: bytes | None, agent: Agent | None, intended: float) -> bool:
        """Send a request that was meant for this time; return whether it could be."""
        assert self._began is not None
        seconds = intended - self._began
        self.stages.due(seconds)
        if agent is None or not agent.request(ask, path, body, intended):
            self.stages.unsent(seconds)
            return False
        return True

    # ------------------------------------------------------------------ the conversation
    def _report_for_ever(self) -> None:
        while True:
            self.send_report()
            gevent.sleep(_REPORTS)

    def send_report(self) -> None:
        """Say how it is, and ask for what is needed."""
        now = clock()
        for number in self._holding.expired(self._served(), now):
            self._dismiss(number)
        stage = self.stages.stage(self._wanted_stage) if self._wanted_stage is not None else None
        self._measure()
        report: WorkerReport = {
            "report": self._holding.report(self._wanted, now),
            "ready": sum(agent.ready.is_set() for agent in self._asking),
            "turned_away": self.books.turned_away,
            "final": self._final,
            "stage": (self._wanted_stage, stage.state()) if stage is not None and self._wanted_stage else None,
        }
        self._runner.send_message("reel-report", report)

    def _measure(self) -> None:
        """Enter how this process is."""
        agents = self._asking
        self.stages.whole.gauge(
            sessions=sum(agent.up for agent in agents),
            held=sum(agent.holds for agent in agents),
            in_flight=sum(agent.in_flight for agent in agents),
        )
        now, used = clock(), time.process_time()
        if now > self._measured[0] + _REPORTS / 2:
            if self._began is not None and not self.ends.is_set():
                share = (used - self._measured[1]) / (now - self._measured[0])
                self.stages.cpu(100 * share, self._seconds(now))
            self._measured = now, used

    def follow(self, orders: Instructions) -> None:
        """Follow what the conductor says."""
        now = clock()
        for number in self._holding.granted(orders["grant"], self._served(), now):
            self._dismiss(number)
        self._granted.set()
        if orders["elapsed"] is not None and self._began is None:
            self._began = self.stages.whole.start = now - orders["elapsed"]
            self.begun.set()
        for number, since in orders["stages"]:
            self.stages.begin(number, since)
        self._follow_load([(since, rate) for since, rate in orders["rates"]])
        self._wanted_stage = orders["wanted_stage"]
        if orders["ends"] and not self.ends.is_set():
            self.ends.set()
            self.begun.set()
            self._greenlets.append(gevent.spawn(self._settle))

    def _follow_load(self, rates: list[tuple[float, float]]) -> None:
        """Take the shares that are ours now, and the rate that is due."""
        self._turns.follow(self._holding.shares.keys())
        if self._schedule is None:
            return
        for since, per_second in rates[self._changes :]:
            self._schedule.rate = self._schedule.rate.changed(since, per_second)
        self._changes = len(rates)
        self._schedule.follow(self._holding.shares)

    def _served(self) -> float:
        return self._schedule.served if self._schedule else 0.0

    def _dismiss(self, number: int) -> None:
        agent, self._in_order = self._agents.pop(number, None), None
        if agent is not None:
            agent.close()

    def _settle(self) -> None:
        """Wait until each request is answered or given up; then the figures are final."""
        end = clock() + 2 * self.options.habits.patience + 1
        while any(agent.in_flight for agent in self._asking) and clock() < end:
            gevent.sleep(_SETTLING)
        self._measure()
        self._final = self.stages.whole.state()
        self.send_report()

    def close(self) -> None:
        """Stop everything that still runs."""
        gc.unfreeze()
        gc.set_threshold(*self._collected_after)
        for greenlet in self._greenlets:
            greenlet.kill(block=False)
        for agent in list(self._agents.values()):
            agent.close()
        self.pump.stop()


@lru_cache(maxsize=65_536)
def _spoken(kind: OwnerKind, owner: str, own_id: str | None) -> tuple[PlannedRequest, str, bytes]:
    """What is asked, its path and its body: the same objects each time."""
    call = request_for(kind, owner)
    return PlannedRequest(kind.entry, expectation_for(kind, owner, own_id)), call.path, encode(call.body)
