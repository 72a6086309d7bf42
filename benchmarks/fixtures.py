"""Measures the cost of a server per test: start, first request, stop; and the cost per test of a pytest run.

Each server is new, as with the fixture `reel`; the scenario file is already loaded, as for the second test that uses
it. For comparison, the cost of a test with an empty fixture is printed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from benchmarks.figures import heading, row
from cometreel.pytest_plugin import Reel
from cometreel.pytest_plugin.plugin_options import PluginOptions

SCENARIO = Path(__file__).parents[1] / "scenarios" / "request_agent_stats.yaml"
SERVERS, FEW, MANY = 50, 20, 220
ASKED = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place1"}

WITH = f"""
import os, pytest

@pytest.mark.reel({str(SCENARIO)!r}, speed=0)
@pytest.mark.parametrize("number", range(int(os.environ["TESTS"])))
def test_it(reel, number):
    assert reel.url
"""
WITHOUT = """
import os, pytest

@pytest.fixture
def empty():
    yield

@pytest.mark.parametrize("number", range(int(os.environ["TESTS"])))
def test_it(empty, number):
    assert True
"""


def bench(folder: Path) -> None:
    """Print the milliseconds of each step, of a test in a pytest run, and of the import of the plugin."""
    heading("Fixtures: cost of a server per test (goal: milliseconds)")
    steps: dict[str, list[float]] = {"play": [], "first request": [], "stop": []}
    for _ in range(SERVERS):
        for name, seconds in _one().items():
            steps[name].append(seconds * 1000)
    for name, samples in steps.items():
        row(f"reel: {name}", samples[1:], "ms")
    for name, source in (("pytest, per test with `reel`", WITH), ("pytest, per test with an empty fixture", WITHOUT)):
        row(name, _pytest(folder / str(len(source)), source), "ms")
    row("import of the plugin, without pytest", [_import() for _ in range(10)], "ms")


def _one() -> dict[str, float]:
    """Play, send one request, stop; return the seconds of each."""
    began = time.perf_counter()
    reel = Reel((SCENARIO.parent,), PluginOptions("", "once", strict=False), print, shown_from=SCENARIO.parent)
    reel.play(SCENARIO, speed=0)
    played = time.perf_counter()
    with httpx.Client(base_url=reel.url) as client:
        sent = time.perf_counter()
        client.post("/api/v2/workbins", json=ASKED).raise_for_status()
        answered = time.perf_counter()
    stopping = time.perf_counter()
    reel.close()
    return {
        "play": played - began,
        "first request": answered - sent,
        "stop": time.perf_counter() - stopping,
    }


def _pytest(folder: Path, source: str, turns: int = 5) -> list[float]:
    """Return the milliseconds per test: the difference between a run with many tests and one with few."""
    folder.mkdir()
    (folder / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", str(folder)]

    def run(tests: int) -> float:
        began = time.perf_counter()
        environment = {**os.environ, "TESTS": str(tests)}
        subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)
        return time.perf_counter() - began

    run(FEW)
    return [(run(MANY) - run(FEW)) * 1000 / (MANY - FEW) for _ in range(turns)]


def _import() -> float:
    code = (
        "import time, pytest; t = time.perf_counter(); import cometreel.pytest_plugin; print(time.perf_counter() - t)"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return float(printed) * 1000
