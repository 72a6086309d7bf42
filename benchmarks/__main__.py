"""Run the benches: `python -m benchmarks [engine fixtures recording replaying serving]`, all where none is named."""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

from benchmarks import engine, fixtures, recording, replaying, serving
from benchmarks.processes import TWO_CORES, on_client_core


def main() -> None:
    """Run the named benches, the servers on one core and the load on the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure ratios; nothing is asserted.")
    parser.add_argument("bench", nargs="*", help="engine, fixtures, recording, replaying, serving (default: all)")
    wanted = parser.parse_args().bench or ["engine", "fixtures", "recording", "replaying", "serving"]
    on_client_core()
    print(f"Python {platform.python_version()}, {'servers on core 0, load on core 1' if TWO_CORES else 'one core'}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "engine" in wanted:
            engine.bench()
        if "fixtures" in wanted:
            fixtures.bench(folder)
        if "recording" in wanted:
            recording.bench(folder)
        if "replaying" in wanted:
            replaying.bench(folder)
        if "serving" in wanted:
            serving.bench(folder)


if __name__ == "__main__":
    main()
