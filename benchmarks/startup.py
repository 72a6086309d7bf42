"""Measures start-up times: the URL of `cometreel serve`, `cometreel --help`, and `import cometreel` beside bare Python.

Each sample is a new process. The first, unmeasured process writes the compiled Python files, as pip does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import heading, row
from benchmarks.server_processes import on_all_cores

ROOT = Path(__file__).parents[1]
SCENARIO = ROOT / "recordings" / "workbin-desktop.yaml"
SAMPLES = 15
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def bench() -> None:
    """Print the times."""
    cometreel = str(Path(sys.executable).with_name("cometreel"))
    heading("Start-up")
    with on_all_cores():
        row("cometreel serve, until its URL is printed", _samples(lambda: _serve(cometreel)), "ms")
        row("cometreel --help", _samples(lambda: _run(cometreel, "--help")), "ms")
        bare, imported = _samples(lambda: _python("pass")), _samples(lambda: _python("import cometreel"))
    row("python -c pass", bare, "ms")
    row("import cometreel, beyond that", [after - before for before, after in zip(bare, imported, strict=True)], "ms")


def _samples(measure: Callable[[], float]) -> list[float]:
    """Return durations in milliseconds."""
    measure()
    return [measure() * 1000 for _ in range(SAMPLES)]


def _python(code: str) -> float:
    return _run(sys.executable, "-c", code)


def _run(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _serve(cometreel: str) -> float:
    command = [cometreel, "serve", str(SCENARIO)]
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"http://")
        seconds = time.perf_counter() - began
        process.terminate()
    return seconds
