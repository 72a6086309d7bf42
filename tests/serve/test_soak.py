"""The soak: its slopes, and a run of seconds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

from benchmarks.soak import slope

ROOT = Path(__file__).parents[2]


def noisy(growth: float) -> list[tuple[float, float]]:
    """Return values of an hour, with noise, that grow by so much per hour."""
    random = Random(1)
    return [(float(at), 50 + growth * at / 3600 + random.gauss(0, 0.5)) for at in range(0, 3600, 10)]


def test_noise_is_no_growth():
    assert slope(noisy(0)).is_zero


def test_a_small_growth_is_found_in_the_noise():
    assert not slope(noisy(1)).is_zero


def test_steps_are_growth_and_a_fall_is_not():
    steps = [(float(at), float(at // 600)) for at in range(3600)]
    assert not slope(steps).is_zero
    assert slope([(at, -value) for at, value in steps]).is_zero


def test_too_few_samples_have_no_slope():
    assert slope([(0, 1), (1, 2)]).is_zero


def test_a_short_run_plays_exchanges_over_every_transport_and_writes_samples_and_a_plot(tmp_path: Path):
    """In so short a time, memory and descriptors still grow, so the exit code may be 1."""
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.15", "--out", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert (run.stderr, run.returncode in (0, 1)) == ("", True)
    played = dict(re.findall(r"(?m)^([a-z-]+) +([\d,]+) exchanges, [1-9]", run.stdout))
    assert played.keys() == {"long-polling", "callback-polling", "websocket"}
    assert "0" not in played.values()
    assert "Traceback" not in run.stdout
    lines = (tmp_path / "samples.tsv").read_text().splitlines()
    assert lines[0] == "seconds\tmemory\tdescriptors\trate\tprocessor"
    assert len(lines) > 20
    assert len(ET.parse(tmp_path / "soak.svg").findall("{*}polyline")) == 3
