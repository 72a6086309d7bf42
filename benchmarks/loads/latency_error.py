"""Measures the error of the measured latency of notifications: `latency_error.py URL AGENTS RATE SECONDS`, run by path.

Each notification contains the time for which the server held it; the rest of the measured latency is caused by the
network and the agent. Prints p50 and p99 of this rest in milliseconds, as JSON.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import gevent

from cometreel.jsonvalue import JSONObject, encode
from cometreel.load import (
    Answered,
    Expectation,
    Latency,
    OwnerKind,
    PendingRequest,
    PlannedRequest,
    RequestOutcome,
    request_for,
)
from cometreel.locust_agents.agent import Agent, AgentConfig, AgentContext
from cometreel.locust_agents.event_loop import EventLoop, clock
from cometreel.locust_agents.load_target import parse_target
from cometreel.locust_agents.request_queue import RequestQueue

HELD: list[float] = []


@dataclass(frozen=True, slots=True)
class Held(Expectation):
    """Stores the time for which the server held the notification."""

    def mismatch(self, data: JSONObject) -> str:
        """Accept every notification."""
        held = data["held"]
        assert isinstance(held, float)
        HELD.append(held)
        return ""


class Errors:
    """Collects the error of each latency."""

    def __init__(self) -> None:
        self.latency = Latency()

    def sent(self, exchange: PendingRequest) -> None:
        """Ignore the event."""

    def unsent(self, count: int) -> None:
        """Ignore the event."""

    def logged_in(self, seconds: float, error: str) -> None:
        """Ignore the event."""

    def add(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Record the difference between the measured latency and the hold time of the server."""
        for outcome in outcomes:
            if isinstance(outcome, Answered):
                self.latency.record(outcome.at - outcome.exchange.sent - HELD.pop())


def main() -> None:
    """Send requests at a constant rate and print the errors."""
    url, agents, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    target, event_loop, stats = parse_target(url), EventLoop(), Errors()
    context = AgentContext(
        target, AgentConfig(), stats, Random(1), event_loop, lambda: RequestQueue(event_loop, target), event_loop
    )
    all_agents = [Agent(number, None, context) for number in range(agents)]
    for agent in all_agents:
        agent.start()
    for agent in all_agents:
        agent.ready.wait(30)
    request = request_for(OwnerKind.PLACE, "Place1")
    planned, body = PlannedRequest(OwnerKind.PLACE.entry, Held("Place", "Place1")), encode(request.body)
    gc.collect()
    gc.freeze()  # as in a load test
    begin = clock()
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        if (wait := due - clock()) > 0:
            gevent.sleep(wait)
        all_agents[number % agents].request(planned, request.path, body, due)
    gevent.sleep(1)
    found = stats.latency
    figures = {"count": found.count, "p50": 1000 * found.percentile(50), "p99": 1000 * found.percentile(99)}
    print("MEASURED " + json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
