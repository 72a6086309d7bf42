"""The story of `make load`: twenty seconds of load on the replay, all five kinds, nothing lost, a report written.

The replay is one process, the load another; nothing leaves this machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo import peers
from demo.peers import ROOT

SCENARIO = ROOT / "scenarios" / "request_agent_stats.yaml"
REPORT = ROOT / "load-report.html"
KINDS = ("agent", "place", "agent-group", "place-group", "user")
OWNERS = (
    "place=Place1",
    "agent-group=ServiceAgentGroup",
    "place-group=ServicePlaceGroup",
    "user=28383e5523c7479cae4afa8df88d66df",
)


@contextmanager
def replay(folder: Path) -> Iterator[str]:
    """The server: the scenario replayed by mitmdump. Yields its URL; another server needs another body only."""
    options: dict[str, object] = {"reel_scenario": SCENARIO}
    server = peers.mitmdump(folder, "reverse:http://127.0.0.1:9", peers.ADDONS / "replay.py", options, name="replay")
    with server.process:
        yield server.url


def load(url: str) -> int:
    """Run Locust on it for twenty seconds; return its exit code, 1 if anything was lost or failed."""
    command = [str(Path(sys.executable).with_name("locust")), "-f", str(ROOT / "loadtests" / "agent_stats.py")]
    command += ["--headless", "--only-summary", "--loglevel", "WARNING", "--host", url, "-u", "20", "-r", "20"]
    command += ["--reel-rate", "soak 20 for 20s", "--reel-mix", ",".join(f"{kind}=20" for kind in KINDS)]
    for owner in OWNERS:
        command += ["--reel-owners", owner]
    for limit in ("lost == 0", "error == 0"):
        command += ["--reel-limit", limit]
    return subprocess.run([*command, "--html", str(REPORT)], cwd=ROOT, check=False).returncode


def main() -> None:
    """Start the server, put the load on it, end with its exit code."""
    with tempfile.TemporaryDirectory() as name, replay(Path(name)) as url:
        code = load(url)
    sys.exit(code)


if __name__ == "__main__":
    main()
