"""A large HAR file is read entry by entry: memory use doesn't grow with the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.unit.traffic.har_entries import conversation, entry

MEGABYTE = 1_000_000
PROGRAM = """
import resource, sys
from cometreel.cli import run
assert run(["import", sys.argv[1], "--url", "/api/v2/"]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(path: Path) -> int:
    """Return the largest resident memory of an import, in bytes."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True)
    return int(ended.stdout.splitlines()[-1]) * 1024


def write(path: Path, megabytes: int) -> Path:
    """Write a HAR file with scripts of this total size between two conversations."""
    with path.open("w") as file:
        file.write('{"log": {"version": "1.2", "entries": [')
        file.write(",".join(map(json.dumps, conversation())))
        for number in range(2 * megabytes):
            script = entry(3 + number, "GET", f"/app-{number}.js", None, "x" * 500_000, kind="text/javascript")
            file.write("," + json.dumps(script))
        file.write("," + json.dumps(entry(1000, "GET", "/api/v2/me", None, {"statusCode": 0})))
        file.write("]}}")
    return path


def test_fifty_megabytes_take_hardly_more_memory_than_one(tmp_path: Path):
    small, large = write(tmp_path / "small.har", 1), write(tmp_path / "large.har", 50)
    assert large.stat().st_size > 50 * MEGABYTE
    assert peak(large) - peak(small) < 10 * MEGABYTE
