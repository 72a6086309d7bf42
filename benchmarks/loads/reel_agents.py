"""Locustfile of the benchmark: our agents, in a closed loop or at a rate."""

from __future__ import annotations

from locust.env import Environment

from benchmarks.loads.measured import Measure
from cometreel.locust_agents.agent_user import AgentUser
from cometreel.locust_agents.locust_listeners import register_listeners, run_of
from cometreel.locust_agents.run_options import read_options

register_listeners(read_options)


class MeasureRun(Measure):
    """Starts to measure when the run has begun, with an open poll for each agent."""

    def is_ready(self, environment: Environment) -> bool:
        """Return True if the run has begun."""
        worker = run_of(environment).worker
        return worker is not None and bool(worker.started.is_set())


MeasureRun("notification")


class ReelDesktop(AgentUser):
    """An agent's desktop."""
