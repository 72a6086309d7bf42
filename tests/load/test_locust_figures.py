"""Locust's statistics are the same whether each success is an event or successes are added in batches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("locust_figures.py")
EVENTS = [
    ["ack", "Place", 10],
    ["notification", "Place", 30],
    ["notification", "Place", 2000],
    ["notification", "Place", 250],
    ["notification", "Place", None],
]


def record(*listened: bool) -> Any:
    """Return the events that a listener got, and the figures of Locust."""
    command = [sys.executable, str(PROGRAM), *map(str, listened)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def figures(requests: int, failures: int, total: int, times: dict[int, int]) -> dict[str, object]:
    return {
        "requests": requests,
        "failures": failures,
        "without a time": requests - sum(times.values()),
        "total": total,
        "lowest": min(times),
        "highest": max(times),
        "times": [[time, count] for time, count in times.items()],
        "per second": requests,
    }


def test_successes_are_added_in_a_batch_while_only_locust_listens():
    assert record(False) == {
        "events": [],
        "figures": {
            "all": figures(5, 2, 2290, {10: 1, 30: 1, 250: 1, 2000: 1}),
            "ack": figures(1, 0, 10, {10: 1}),
            "notification": figures(4, 2, 2280, {30: 1, 250: 1, 2000: 1}),
        },
    }


def test_each_success_is_an_event_while_somebody_else_listens():
    assert record(True) == {"events": EVENTS, "figures": record(False)["figures"]}


def test_a_listener_may_come_and_go():
    assert record(False, True, False)["events"] == EVENTS
    assert record(False, True, False)["figures"]["all"] == figures(15, 6, 6870, {10: 3, 30: 3, 250: 3, 2000: 3})
