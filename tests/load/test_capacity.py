"""The search for capacity, on a server with a known maximum rate."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.load.conftest import MIX, OWNERS, Start

SHORT = ("--reel-find-capacity", "--reel-step", "2s", "--reel-patience", "1s", "--reel-spacing", "constant")
RUN = ("-u", 10, "-r", 10, *SHORT, *MIX, *OWNERS, "--reel-limit", "lost == 0", "--reel-json", "run.json")


def steps(out: str) -> dict[float, str]:
    """Return the result of each rate in the terminal report."""
    found = re.findall(r"^ *([\d.]+)/s  (held|lost == 0)$", out, re.MULTILINE)
    return {float(rate): why for rate, why in found}


def test_the_capacity_of_a_server_is_found(faulty: Callable[..., str], locust: Start, tmp_path: Path):
    out = locust("--host", faulty(above=60), "--reel-rate", 40, *RUN).await_end(110)
    tried = steps(out)
    assert (tried[40.0], tried[80.0]) == ("held", "lost == 0")
    found = json.loads((tmp_path / "run.json").read_text())
    capacity = found["capacity"]
    assert 40 <= capacity["rate"] < capacity["broken"] <= 80
    assert capacity["stopped"] == "the limits break above it"
    assert f"capacity: {capacity['rate']:.1f}/s; the limits break above it\n" in out
    assert capacity["rate"] == max(rate for rate, why in tried.items() if why == "held")
    assert found["due"] >= 0.98 * found["sent"] > 0
    assert found["passed"]


def test_a_search_without_a_passing_rate_fails(faulty: Callable[..., str], locust: Start):
    out = locust("--host", faulty(drop=1000), "--reel-rate", 16, *RUN, "--reel-step", "1s").await_end(110, expected=1)
    assert steps(out) == dict.fromkeys([16.0, 8.0, 4.0, 2.0], "lost == 0")
    assert "capacity: below 2.0/s; no rate held the limits\n" in out
