"""Records outcomes in Locust's statistics and prints its figures: `locust_figures.py [LISTENED…]`, run by path.

The outcomes are recorded once for each argument; if it is `True`, a listener gets Locust's `request` events meanwhile.
Importing Locust patches the process for gevent, so tests run this in a process of its own.
"""

from __future__ import annotations

import json
import sys

from locust.env import Environment

from cometreel.load import Acknowledged, Answered, Lost, PendingRequest, PlannedRequest, RequestOutcome, StepTallies
from cometreel.locust_agents.event_loop import clock
from cometreel.locust_agents.locust_stats import LocustStats


def outcomes() -> list[RequestOutcome]:
    """Return an acknowledgement after 10 ms, answers after 30 ms, 2 s (late) and 250 ms, and a lost notification."""
    start = clock()
    request = PendingRequest(1, "agent-1", PlannedRequest("Place", None), start, start)
    return [
        Acknowledged(request, start + 0.010),
        Answered(request, start + 0.030, late=False),
        Answered(request, start + 2.0, late=True),
        Answered(request, start + 0.250, late=False),
        Lost(request, start + 10),
    ]


def main() -> None:
    """Print the events and the figures as JSON."""
    environment = Environment(user_classes=[])
    environment.create_local_runner()
    events: list[tuple[str, str, int | None]] = []

    def listen(request_type: str, name: str, response_time: float | None, **_: object) -> None:
        events.append((request_type, name, None if response_time is None else round(response_time)))

    stats = LocustStats(environment, StepTallies("worker", 0.0))
    for listened in sys.argv[1:]:
        if listened == "True":
            environment.events.request.add_listener(listen)
        stats.add(outcomes())
        if listened == "True":
            environment.events.request.remove_listener(listen)
    stats.flush()
    stats.flush()
    entries = [environment.stats.total, *environment.stats.entries.values()]
    figures = {
        entry.method or "all": {
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "without a time": entry.num_none_requests,
            "total": round(entry.total_response_time),
            "lowest": round(entry.min_response_time or 0),
            "highest": round(entry.max_response_time),
            "times": sorted(entry.response_times.items()),
            "per second": sum(entry.num_reqs_per_sec.values()),
        }
        for entry in entries
    }
    print(json.dumps({"events": events, "figures": figures}), flush=True)


if __name__ == "__main__":
    main()
