"""Equal seeds give equal bytes in another process, and with the compiled engine (`make compiled`)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.generation import plan_of
from tests.simulation.runs import bytes_of
from tests.simulation.world import play

ROOT = Path(__file__).parents[2]
SEEDS = range(8)
_PROGRAM = "from tests.simulation.test_equal_bytes import digests; print(*digests(), sep='\\n')"


def digests() -> list[str]:
    """Return a line for each seed, with the digest of all bytes that the servers have sent."""
    lines = []
    for seed in SEEDS:
        sent = bytes_of(play(plan_of(seed)))
        digest = hashlib.sha256(repr(sorted(sent.items())).encode()).hexdigest()
        lines.append(f"{seed}: {sum(map(len, sent.values()))} outputs {digest}")
    return lines


def test_a_pure_engine_in_another_process_sends_equal_bytes():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == digests()
