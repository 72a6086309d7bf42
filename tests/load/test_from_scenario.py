"""Load from a recorded scenario, at any speed and with several workers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.stubs import free_port
from cometreel.load import Owners
from cometreel.locust_agents.scenario_script import read_script
from tests.load.conftest import SCENARIOS, Start, requests

NAMES = ("request_agent_stats", "subscribe", "add_and_pull")
HOLDS = ("--reel-limit", "error == 0", "--reel-limit", "unexpected == 0", "--reel-limit", "session lost == 0")


def test_two_workers_send_a_scenario_at_twice_its_speed(replay: Callable[..., str], locust: Start, tmp_path: Path):
    """The requests include subscriptions to several workbins, whose replies have a referenceId for each of them."""
    agents, port, paths = 2, free_port(), [SCENARIOS / f"{name}.yaml" for name in NAMES]
    out = locust(
        *("--host", replay(*NAMES), "-u", agents, "-r", agents, "-t", "9s", "--reel-patience", "3s", *HOLDS),
        *("--processes", 2, "--master-bind-port", port, "--master-port", port, "--csv", "run"),
        *("--reel-json", "run.json", "--reel-speed", 2),
        *(word for path in paths for word in ("--reel-scenario", path)),
        file="from_scenario.py",
    ).await_end()
    report, as_recorded = json.loads((tmp_path / "run.json").read_text()), read_script(paths, 1.0)
    assert len(report["workers"]) == 2
    assert requests(tmp_path / "run")["login", "Login"] == agents
    sent = {name: entry["sent"] for name, entry in report["entries"].items() if name != "All"}
    lines = Counter(line.prepare(0, Owners({}), None)[0].entry for line in as_recorded.requests_of(0))
    played = {
        name: sent.get(name, 0) / number
        for name, number in ((entry.removeprefix("RequestAgentStats "), number) for entry, number in lines.items())
    }
    assert played.keys() == sent.keys()
    assert max(played.values()) - min(played.values()) <= agents, (
        "an agent sends the requests of its role in order and completely"
    )
    rounds = agents * report["seconds"] / as_recorded.seconds
    assert max(played.values()) > rounds + 1, "at the recorded pace fewer rounds are possible"
    assert max(map(len, out.splitlines())) <= 100
