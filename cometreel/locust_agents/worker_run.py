"""The worker side of a run: the agents of one process and the schedule of their requests.

Every half second it reports its leases and state to the coordinator, and applies the instructions that it gets back:
leased agents and load shares, start and end of the run. The clocks of processes are not compared: instructions contain
the age of the run in seconds.
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
from cometreel.locust_agents.locust_stats import FLUSH_INTERVAL, LocustStats
from cometreel.locust_agents.request_queue import RequestQueue
from cometreel.locust_agents.run_options import RunOptions

__all__ = ["Instructions", "WorkerReport", "WorkerRun"]

logger = logging.getLogger(__name__)

_REPORT_INTERVAL = 0.5  # seconds between two reports
_FINISH_INTERVAL = 0.05
_CONTACT = 2.0  # seconds after which a master that sends nothing is out of contact
_GC_THRESHOLDS = (20_000, 50, 100)  # fewer collections: nearly no objects are garbage


class WorkerReport(TypedDict):
    """Message from a worker to the coordinator."""

    report: LeaseReport
    ready: int
    """Number of agents that can send requests."""
    login_error: str
    """Error of the last failed login; empty if none failed."""
    final: TallyState | None
    """The final figures; None before the end."""
    step: tuple[int, TallyState] | None
    """Number and figures of the requested step."""


class Instructions(TypedDict):
    """Message from the coordinator to a worker."""

    grant: Grant
    elapsed: float | None
    """Age of the run in seconds; None before its start."""
    rates: list[tuple[float, float]]
    """Changes of the rate: the time, and requests per second."""
    steps: list[tuple[int, float]]
    """The steps so far: number and start."""
    wanted_step: int | None
    """The step whose figures are requested."""
    stop: bool
    """True if no new requests are to be sent."""


class WorkerRun:
    """The agents of one process during a run."""

    def __init__(self, environment: Environment, options: RunOptions, name: str) -> None:
        self.options, self.name = options, name
        assert environment.runner is not None
        self._runner = environment.runner
        self._began: float | None = None
        self.tallies = StepTallies(name, 0.0)
        self.stats = LocustStats(environment, self.tallies)
        self.event_loop = EventLoop()
        # not a secret; different in each process, to spread retries
        random = Random(name)  # noqa: S311
        self._context = AgentContext(
            options.target, options.config, self.stats, random, self.event_loop, self._new_sender, self.event_loop
        )
        self._flush_stats(clock())
        self._leases = WorkerLeases(name)
        self._agents: dict[int, Agent] = {}
        self._sorted_agents: list[Agent] | None = None
        self._joining, self._retired = set[Agent](), set[Agent]()
        self._wanted = 0
        self._schedule: ArrivalSchedule | None = None
        self._applied_rates = 0
        self._closed_loop = ClosedLoop(options.plan)
        self._wanted_step: int | None = None
        self._measured = clock(), time.process_time()
        self._final: TallyState | None = None
        self._instructed_at = clock()
        self._leaving = self._closed = False
        self._finish_by = float("inf")
        self._old_gc_thresholds = gc.get_threshold()
        self.started, self.stopping, self._granted = Event(), Event(), Event()
        self._greenlets = [gevent.spawn(self._report_loop), gevent.spawn(self._send_scheduled)]
        for greenlet in self._greenlets:
            greenlet.link_exception(greenlet_exception_logger(logger))

    # ------------------------------------------------------------------ agents
    def acquire_agent(self) -> Agent | None:
        """Wait for a leased agent and return it; None if the run ends before."""
        self._wanted += 1
        while (number := self._leases.acquire_agent()) is None:
            if self.stopping.is_set():
                return None
            self._granted.clear()
            self._granted.wait(_REPORT_INTERVAL)
        users = self.options.users
        agent = Agent(number, users[number] if users else None, self._context)
        self._agents[number], self._sorted_agents = agent, None
        if self._began is not None:
            self._joining.add(agent)
        return agent

    @property
    def _senders(self) -> list[Agent]:
        """The agents that send the due requests, by number, so that a draw selects the same agent in each run.

        Agents that replace those of another worker during the run are added when they have logged in.
        """
        if self._sorted_agents is None:
            others = self._joining | self._retired
            agents = [self._agents[number] for number in sorted(self._agents)]
            self._sorted_agents = [agent for agent in agents if agent not in others]
        return self._sorted_agents

    def _add_joined(self) -> None:
        """Let the new agents that have logged in send due requests."""
        joined = {agent for agent in self._joining if agent.ready.is_set() or agent.logged_out.is_set()}
        if joined:
            self._joining -= joined
            self._sorted_agents = None

    def _new_sender(self) -> RequestQueue:
        return RequestQueue(self.event_loop, self.options.target)

    def retire_agent(self, agent: Agent) -> None:
        """Send no due requests with this agent any more, and wait until those in progress are finished.

        At the end of the run there is nothing to wait for: `_finish` has done it.
        """
        if self.stopping.is_set():
            return
        self._retired.add(agent)
        self._sorted_agents = None
        finish_by = clock() + self._longest_request
        while agent.in_flight and clock() < min(finish_by, self._finish_by):
            gevent.sleep(_FINISH_INTERVAL)

    def release_agent(self, agent: Agent) -> None:
        """Release an agent."""
        self._wanted -= 1
        self._retired.discard(agent)
        if self._agents.get(agent.number) is agent:
            del self._agents[agent.number]
            self._sorted_agents = None
            self._leases.release_agent(agent.number)

    def send_next(self, agent: Agent) -> bool:
        """Send the next request of an agent in a closed loop; return True if it was sent."""
        arrival = self._closed_loop.next_request(agent.number)
        return self._send(arrival.kind, arrival.owner, agent, clock())

    # ------------------------------------------------------------------ requests
    def _seconds(self, now: float) -> float:
        return 0.0 if self._began is None else now - self._began

    def _send_scheduled(self) -> None:
        """Send the due requests until the run ends. A request that is sent late keeps its intended start."""
        self.started.wait()
        gc.collect()
        gc.freeze()  # the agents live until the end: exclude them from garbage collection
        gc.set_threshold(*_GC_THRESHOLDS)
        if self.options.rate is None:
            return
        self._schedule = ArrivalSchedule(self.options.plan, self.options.rate, self._leases.shares)
        while not self.stopping.is_set():
            for arrival in self._schedule.due(self._seconds(clock())):
                self._send_arrival(arrival)
            wait = self._schedule.next_at() - self._seconds(clock())
            gevent.sleep(min(max(wait, 0.0), _REPORT_INTERVAL))

    def _send_arrival(self, arrival: Arrival) -> None:
        assert self._began is not None
        agents = self._senders
        agent = agents[arrival.draw % len(agents)] if agents else None
        self._send(arrival.kind, arrival.owner, agent, self._began + arrival.at)

    def _send(self, kind: OwnerKind, owner: str, agent: Agent | None, intended: float) -> bool:
        own_id = None if agent is None or owner else agent.user_id or None
        planned, path, body = _prepared(kind, owner, own_id)
        return self.send(planned, path, body, agent, intended)

    def send(
        self, planned: PlannedRequest, path: str, body: bytes | None, agent: Agent | None, intended: float
    ) -> bool:
        """Send a request with this intended start; return True if it was sent."""
        assert self._began is not None
        seconds = intended - self._began
        self.tallies.due(seconds)
        if agent is None or not agent.request(planned, path, body, intended):
            self.tallies.unsent(seconds)
            return False
        return True

    def _flush_stats(self, now: float) -> None:
        self.stats.flush()
        self.event_loop.call_at(now + FLUSH_INTERVAL, self._flush_stats)

    # ------------------------------------------------------------------ messages
    def _report_loop(self) -> None:
        while True:
            self.send_report()
            gevent.sleep(_REPORT_INTERVAL)

    def send_report(self) -> None:
        """Send a report to the coordinator."""
        now = clock()
        self._add_joined()
        for number in self._leases.drop_expired(self._served_until(), now):
            self._close_agent(number)
        step = self.tallies.step(self._wanted_step) if self._wanted_step is not None else None
        self._measure()
        report: WorkerReport = {
            "report": self._leases.report(self._wanted, now, leaving=self._leaving),
            "ready": sum(agent.ready.is_set() for agent in self._agents.values()),
            "login_error": self.stats.login_error,
            "final": self._final,
            "step": (self._wanted_step, step.state()) if step is not None and self._wanted_step else None,
        }
        self._runner.send_message("reel-report", report)

    def _measure(self) -> None:
        """Update the gauges and take a CPU sample."""
        agents = self._agents.values()
        self.tallies.whole.set_gauges(
            sessions=sum(agent.connected for agent in agents),
            held=sum(agent.can_push for agent in agents),
            in_flight=sum(agent.in_flight for agent in agents),
        )
        now, used = clock(), time.process_time()
        if now > self._measured[0] + _REPORT_INTERVAL / 2:
            if self._began is not None and not self.stopping.is_set():
                share = (used - self._measured[1]) / (now - self._measured[0])
                self.tallies.add_cpu_sample(100 * share, self._seconds(now))
            self._measured = now, used

    @property
    def has_contact(self) -> bool:
        """True if the run is not closed, and the coordinator has sent instructions lately."""
        return not self._closed and clock() < self._instructed_at + _CONTACT

    def apply(self, instructions: Instructions) -> None:
        """Apply the instructions of the coordinator."""
        now = self._instructed_at = clock()
        for number in self._leases.apply_grant(instructions["grant"], self._served_until(), now):
            self._close_agent(number)
        self._granted.set()
        if instructions["elapsed"] is not None and self._began is None:
            self._began = self.tallies.whole.start = now - instructions["elapsed"]
            self.started.set()
        for number, since in instructions["steps"]:
            self.tallies.add_step(number, since)
        self._apply_load([(since, rate) for since, rate in instructions["rates"]])
        self._wanted_step = instructions["wanted_step"]
        if instructions["stop"] and not self.stopping.is_set():
            self._stop_sending()
            self._greenlets.append(gevent.spawn(self._finish))

    def _stop_sending(self) -> None:
        self.stopping.set()
        self.started.set()

    def leave(self) -> None:
        """Send no new requests, finish those in progress, and send the final figures.

        This worker was told to quit, but not by its master. The other workers take over its load at once.
        """
        if self.stopping.is_set():
            return
        self._leaving = True
        self._stop_sending()
        self.send_report()
        self._finish()

    def cut_short(self) -> None:
        """Don't wait any longer for requests in progress."""
        self._finish_by = clock()

    def _apply_load(self, rates: list[tuple[float, float]]) -> None:
        """Apply the leased shares and the changes of the rate."""
        self._closed_loop.set_shares(self._leases.shares.keys())
        if self._schedule is None:
            return
        for since, per_second in rates[self._applied_rates :]:
            self._schedule.rate = self._schedule.rate.changed(since, per_second)
        self._applied_rates = len(rates)
        self._schedule.set_shares(self._leases.shares)

    def _served_until(self) -> float:
        return self._schedule.served_until if self._schedule else 0.0

    def _close_agent(self, number: int) -> None:
        agent, self._sorted_agents = self._agents.pop(number, None), None
        if agent is not None:
            agent.close()

    def _is_finished(self) -> bool:
        """Return True if no request is in progress, and a worker that leaves has returned its shares.

        The coordinator can't know which requests were due before a worker left that hasn't returned its shares.
        """
        has_returned = not self._leaving or not self.has_contact or self._leases.are_returned
        return has_returned and not any(agent.in_flight for agent in self._agents.values())

    @property
    def _longest_request(self) -> float:
        """Seconds after which a request has an outcome: its reply and its notification may take the patience each."""
        return 2 * self.options.config.patience + 1

    def _finish(self) -> None:
        """Wait until all requests are finished; then send the final figures."""
        self._finish_by = min(self._finish_by, clock() + self._longest_request)
        while not self._is_finished() and clock() < self._finish_by:
            gevent.sleep(_FINISH_INTERVAL)
        self._measure()
        self.stats.flush()
        self._final = self.tallies.whole.state()
        self.send_report()

    def close(self) -> None:
        """Stop all greenlets and close all agents."""
        self._closed = True
        gc.unfreeze()
        gc.set_threshold(*self._old_gc_thresholds)
        for greenlet in self._greenlets:
            greenlet.kill(block=False)
        for agent in list(self._agents.values()):
            agent.close()
        self.stats.flush()
        self.event_loop.stop()


@lru_cache(maxsize=65_536)
def _prepared(kind: OwnerKind, owner: str, own_id: str | None) -> tuple[PlannedRequest, str, bytes]:
    """Return a request, its path and its body. The result is cached."""
    call = request_for(kind, owner)
    return PlannedRequest(kind.entry, expectation_for(kind, owner, own_id)), call.path, encode(call.body)
