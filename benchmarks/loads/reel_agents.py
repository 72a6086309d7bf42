"""Our agents, in a closed loop or at a rate: the locustfile of the bench."""

from __future__ import annotations

from locust.env import Environment

from benchmarks.loads.measured import Measure
from cometreel.locust_agents.agent_user import AgentUser
from cometreel.locust_agents.run_options import read_options
from cometreel.locust_agents.wiring import run_of, wire

wire(read_options)


class WhenAsking(Measure):
    """Agents are there when the run has begun: each holds a poll by then."""

    def settled(self, environment: Environment) -> bool:
        """Whether it has begun."""
        crew = run_of(environment).crew
        return crew is not None and bool(crew.begun.is_set())


WhenAsking("notification")


class Desktop(AgentUser):
    """An agent's desktop."""
