"""Measures a locustfile and prints the figures as one line of JSON; then Locust ends.

Counts the requests of one type in Locust's statistics after all users have started, and the CPU time of the process in
this period. It doesn't listen to Locust's events, which would add the time of the listener to each request.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import gevent
from locust import events
from locust.env import Environment

WARM = float(os.environ.get("BENCH_WARM", "2"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))


def memory() -> int:
    """Return the resident memory of this process in bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


class Measure:
    """Counts the requests of one type, and all errors."""

    def __init__(self, counted: str) -> None:
        self._counted = counted
        self._memory = 0
        self._spawning = 0.0
        events.test_start.add_listener(self._start)

    def _count(self, environment: Environment) -> int:
        return sum(each.num_requests for (_, kind), each in environment.stats.entries.items() if kind == self._counted)

    def _start(self, environment: Environment, **_: object) -> None:
        self._memory, self._spawning = memory(), time.perf_counter()
        gevent.spawn(self._measure, environment)

    def is_ready(self, environment: Environment) -> bool:
        """Return True if all users have started; a locustfile may override this."""
        runner = environment.runner
        return runner is not None and runner.state == "running"

    def _measure(self, environment: Environment) -> None:
        while not self.is_ready(environment):
            gevent.sleep(0.02)
        ramp = time.perf_counter() - self._spawning
        gevent.sleep(WARM)
        count, cpu, begin = self._count(environment), time.process_time(), time.perf_counter()
        grown = memory() - self._memory
        gevent.sleep(SECONDS)
        figures = {
            "count": self._count(environment) - count,
            "cpu": time.process_time() - cpu,
            "wall": time.perf_counter() - begin,
            "memory": grown,
            "ramp": ramp,
            "errors": environment.stats.total.num_failures,
        }
        print("MEASURED " + json.dumps(figures), flush=True)
        os._exit(0)
