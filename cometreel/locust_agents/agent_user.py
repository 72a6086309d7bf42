"""The Locust user that is an agent: it joins, asks where the loop is closed, and leaves cleanly. Thin."""

from __future__ import annotations

import gevent
from locust import User, constant, task
from locust.exception import StopUser

from cometreel.locust_agents.agent import Agent
from cometreel.locust_agents.event_loop import clock
from cometreel.locust_agents.wiring import run_of
from cometreel.locust_agents.worker_run import WorkerRun

__all__ = ["AgentUser", "ScenarioUser"]

_GOODBYE = 1.0  # seconds that a goodbye may take when a test stops
_PAUSE = 1.0  # seconds until an agent without a session asks again


class AgentUser(User):
    """One agent. With `--reel-rate` the schedule asks through it; without, it asks again once it was answered.

    `wait_time` is how long it waits between the two, in a closed loop.
    """

    abstract = True
    wait_time = constant(0)

    agent: Agent | None = None
    _crew: WorkerRun | None = None

    def on_start(self) -> None:
        """Become an agent and log in; it goes on trying for as long as the test lasts."""
        self._crew = run_of(self.environment).crew
        if self._crew is None:
            raise StopUser
        self.agent = self._crew.join()
        if self.agent is None:
            raise StopUser
        self._crew.pump.at(0.0, self._enter)

    def _enter(self, _now: float) -> None:
        """Log in, on the pump: a greenlet that never went deep is 5 kB smaller, for as long as it lives."""
        assert self.agent is not None
        self.agent.begin()

    @task
    def work(self) -> None:
        """Do what this kind of user does. The only task: Locust would add another to it, and draw between the two."""
        self.ask()

    def ask(self) -> None:
        """Be there; in a closed loop, ask again and again, on the pump: switching to this greenlet would cost more."""
        assert self._crew is not None
        assert self.agent is not None
        self._crew.begun.wait()
        if self._crew.options.rate is None:
            self.agent.ready.wait()
            self.agent.when_settled = self._go_on
            self._turn(0.0)
        self.agent.left.wait()
        raise StopUser

    def _go_on(self) -> None:
        wait = self.wait_time()
        if wait > 0:
            self._later(wait)
        else:
            self._turn(0.0)

    def _turn(self, _now: float) -> None:
        assert self._crew is not None
        assert self.agent is not None
        if not self._crew.ends.is_set() and not self._crew.turn(self.agent):
            self._later(_PAUSE)

    def _later(self, seconds: float) -> None:
        assert self._crew is not None
        self._crew.pump.at(clock() + seconds, self._turn)

    def on_stop(self) -> None:
        """Say goodbye, but not for long."""
        if self.agent is not None and self._crew is not None:
            self.agent.leave()
            self.agent.left.wait(_GOODBYE)
            self.agent.close()
            self._crew.part(self.agent)


_GOLDEN = 0.6180339887498949


class ScenarioUser(AgentUser):
    """One agent that asks what the scenario asked. Rounds begin spread over the length of one."""

    abstract = True

    def ask(self) -> None:
        """Play one part for as long as the run lasts; what is late stays due at its own time."""
        assert self._crew is not None
        assert self.agent is not None
        crew, script = self._crew, self._crew.options.script
        assert script is not None
        crew.begun.wait()
        self.agent.ready.wait()
        number = self.agent.number
        begin = clock() + script.seconds * ((number * _GOLDEN) % 1)
        while True:
            for line in script.lines(number):
                due = begin + line.at
                gevent.sleep(max(due - clock(), 0))
                if crew.ends.is_set():
                    self.agent.left.wait()
                    raise StopUser
                ask, path, body = line.spoken(number, crew.options.plan.owners, self.agent.user_id or None)
                crew.ask(ask, path, body, self.agent, due)
            begin += script.seconds
