"""Locust users that are agents: `AgentUser` follows a rate or a closed loop, `ScenarioUser` a recorded scenario."""

from __future__ import annotations

import gevent
from locust import User, constant, task
from locust.exception import StopUser

from cometreel.locust_agents.agent import Agent
from cometreel.locust_agents.event_loop import clock
from cometreel.locust_agents.locust_listeners import run_of
from cometreel.locust_agents.worker_run import WorkerRun

__all__ = ["AgentUser", "ScenarioUser"]

_LOGOUT_TIMEOUT = 1.0  # maximum time of a logout when a test stops, in seconds
_GOLDEN_RATIO = 0.6180339887498949
_RETRY = 1.0  # seconds until an agent without a session tries again


class AgentUser(User):
    """One agent. With `--reel-rate` the schedule sends its requests; without, it sends the next one after each answer.

    `wait_time` is the pause before the next request in a closed loop.
    """

    abstract = True
    wait_time = constant(0)

    agent: Agent | None = None
    _worker: WorkerRun | None = None

    def on_start(self) -> None:
        """Get an agent and log it in. The agent retries until the test ends.

        Locust logs a traceback if this raises StopUser.
        """
        self._worker = run_of(self.environment).worker
        if self._worker is None:
            return
        self.agent = self._worker.acquire_agent()
        if self.agent is not None:
            self._worker.event_loop.call_at(0.0, self._log_in)

    def _log_in(self, _now: float) -> None:
        """Log in. Called by the event loop: a greenlet with a small stack takes 5 kB less memory."""
        assert self.agent is not None
        self.agent.start()

    @task
    def work(self) -> None:
        """Run the agent. This is the only task, so that Locust has nothing to choose from."""
        if self.agent is None:  # the run ended before there was a free one
            raise StopUser
        self.run_agent()

    def run_agent(self) -> None:
        """Wait for the logout. In a closed loop, the event loop sends the requests, to avoid greenlet switches."""
        assert self._worker is not None
        assert self.agent is not None
        self._worker.started.wait()
        if self._worker.options.rate is None:
            self.agent.ready.wait()
            self.agent.on_idle = self._next_request
            self._send(0.0)
        self.agent.logged_out.wait()
        raise StopUser

    def _next_request(self) -> None:
        wait = self.wait_time()
        if wait > 0:
            self._send_later(wait)
        else:
            self._send(0.0)

    def _send(self, _now: float) -> None:
        assert self._worker is not None
        assert self.agent is not None
        if self.agent.on_idle is None or self._worker.stopping.is_set():  # this user or the run is stopped
            return
        if not self._worker.send_next(self.agent):
            self._send_later(_RETRY)

    def _send_later(self, seconds: float) -> None:
        assert self._worker is not None
        self._worker.event_loop.call_at(clock() + seconds, self._send)

    def on_stop(self) -> None:
        """Log out, with a short timeout. If the test goes on without this user, its requests are finished first."""
        if self.agent is not None and self._worker is not None:
            self.agent.on_idle = None
            self._worker.retire_agent(self.agent)
            self.agent.log_out()
            self.agent.logged_out.wait(_LOGOUT_TIMEOUT)
            self.agent.close()
            self._worker.release_agent(self.agent)


class ScenarioUser(AgentUser):
    """One agent that sends the requests of a scenario, in rounds. Agents start their rounds at different times."""

    abstract = True

    def run_agent(self) -> None:
        """Send the requests of one role until the run ends. A request that is sent late keeps its intended start."""
        assert self._worker is not None
        assert self.agent is not None
        worker, script = self._worker, self._worker.options.script
        assert script is not None
        worker.started.wait()
        self.agent.ready.wait()
        number = self.agent.number
        round_start = clock() + script.seconds * ((number * _GOLDEN_RATIO) % 1)
        while True:
            for request in script.requests_of(number):
                due = round_start + request.at
                gevent.sleep(max(due - clock(), 0))
                if worker.stopping.is_set():
                    self.agent.logged_out.wait()
                    raise StopUser
                planned, path, body = request.prepare(number, worker.options.plan.owners, self.agent.user_id or None)
                worker.send(planned, path, body, self.agent, due)
            round_start += script.seconds
