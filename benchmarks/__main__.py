"""Run the benchmarks: `python -m benchmarks [engine serving …]`; all of them by default."""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks import (
    conservation,
    engine,
    engine_profile,
    fixtures,
    loading,
    polls,
    recording,
    replaying,
    request_time,
    serving,
    sizes,
    startup,
    trace_post,
    working_day,
)
from benchmarks.server_processes import TWO_CORES, on_client_core

BENCHES: Final[Mapping[str, Callable[[Path], None]]] = MappingProxyType(
    {
        "conservation": conservation.bench,
        "engine": lambda _folder: engine.bench(),
        "startup": lambda _folder: startup.bench(),
        "trace": lambda _folder: trace_post.bench(),
        "profile": lambda _folder: engine_profile.bench(),
        "request": lambda _folder: request_time.bench(),
        "fixtures": fixtures.bench,
        "recording": recording.bench,
        "replaying": replaying.bench,
        "serving": serving.bench,
        "polls": polls.bench,
        "clock": working_day.bench,
        "loading": loading.bench,
        "sizes": sizes.bench,
    }
)
"""The benchmarks by name; each gets an empty folder."""


def main() -> None:
    """Run the named benchmarks, with the servers on one core and the load on the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure ratios; asserts nothing.")
    parser.add_argument("bench", nargs="*", help=f"{', '.join(BENCHES)} (default: all)")
    wanted = parser.parse_args().bench or [*BENCHES]
    if unknown := [name for name in wanted if name not in BENCHES]:
        parser.error(f"unknown benchmark {unknown[0]!r}; expected one or more of {', '.join(BENCHES)}")
    on_client_core()
    print(f"Python {platform.python_version()}, {'servers on core 0, load on core 1' if TWO_CORES else 'one core'}")
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            BENCHES[name](Path(folder))


if __name__ == "__main__":
    main()
