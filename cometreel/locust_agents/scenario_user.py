"""The Locust user that plays a scenario's part, round after round, at the scenario's pace. Thin."""

from __future__ import annotations

import gevent
from locust.exception import StopUser

from cometreel.locust_agents.agent_user import AgentUser
from cometreel.locust_agents.event_loop import clock

__all__ = ["ScenarioUser"]

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
