"""A recorded scenario drives load: its requests, at its pace or another, from as many processes as there are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from loadtests.script import read_script
from tests.load.conftest import SCENARIOS, Start, free_port, requests

NAMES = ("request_agent_stats", "subscribe")
HOLDS = ("--reel-limit", "error == 0", "--reel-limit", "unexpected == 0", "--reel-limit", "session lost == 0")


def test_two_workers_play_it_at_twice_its_pace_and_whole_and_what_subscriptions_bring_is_not_unexpected(
    replay: Callable[..., str], locust: Start, tmp_path: Path
):
    """Among the requests are subscriptions to many workbins, acknowledged by a number for each of them."""
    agents, port, paths = 2, free_port(), [SCENARIOS / f"{name}.yaml" for name in NAMES]
    out = locust(
        *("--host", replay(*NAMES), "-u", agents, "-r", agents, "-t", "8s", "--reel-patience", "3s", *HOLDS),
        *("--processes", 2, "--master-bind-port", port, "--master-port", port, "--csv", "run"),
        *("--reel-json", "run.json", "--reel-speed", 2),
        *(word for path in paths for word in ("--reel-scenario", path)),
        file="from_scenario.py",
    ).await_end()
    told, as_recorded = json.loads((tmp_path / "run.json").read_text()), read_script(paths, 1.0)
    assert len(told["workers"]) == 2
    assert requests(tmp_path / "run")["login", "Login"] == agents
    sent = {name: entry["sent"] for name, entry in told["entries"].items() if name != "All"}
    assert len(sent) == len(as_recorded.lines(0)) == 15
    assert max(sent.values()) - min(sent.values()) <= agents, "an agent asks its part in order, and whole"
    rounds = told["seconds"] / as_recorded.seconds
    assert sum(sent.values()) > 15 * agents * (rounds + 0.25), "at the recorded pace nobody could have asked so often"
    assert max(map(len, out.splitlines())) <= 100
