"""`make load`: a 20-second load test against the replay, with forty agents and all five kinds of owner."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from demo import peers
from demo.processes import Process, ProcessFailed

__all__ = ["OUT", "load"]

OUT = peers.ROOT / "build" / "demo"
"""The folder of the pages that the demo writes."""
SCENARIO = peers.ROOT / "scenarios" / "request_agent_stats.yaml"
OWNERS = (
    "place=Place1",
    "agent-group=ServiceAgentGroup",
    "place-group=ServicePlaceGroup",
    "user=28383e5523c7479cae4afa8df88d66df",
)
"""The owners in the scenario; its agents also request their own statistics."""


def load(folder: Path, report: Path) -> str:
    """Run Locust against the replay, write its report as a page, and return its output.

    :raises ProcessFailed: if a request is lost, or if one of the programs fails.
    """
    programs = Path(sys.executable).parent
    replay = Process("replay", [programs / "cometreel", "serve", SCENARIO, "--no-admin"], folder)
    with replay:
        command: list[str | Path] = [programs / "locust", "-f", peers.ROOT / "loadtests" / "agent_stats.py"]
        command += ["--headless", "--host", replay.await_line(r"^http://\S+$")[0], "--only-summary"]
        command += ["-u", "40", "-r", "40", "-t", "20s", "--reel-rate", "150", "--reel-limit", "lost == 0"]
        command += [word for owner in OWNERS for word in ("--reel-owners", owner)]
        report.parent.mkdir(parents=True, exist_ok=True)
        return Process("locust", [*command, "--html", report], folder).await_end(120)


def main() -> int:
    """Run the load test and print its report."""
    with tempfile.TemporaryDirectory(prefix="cometreel-load-") as folder:
        print(load(Path(folder), OUT / "load.html"))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProcessFailed as error:
        sys.exit(f"load: {error}")
