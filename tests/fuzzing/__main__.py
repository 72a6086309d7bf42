"""Fuzzes targets: `python -m tests.fuzzing [TARGET …] [--inputs N | --seconds S] [--seed N]`.

Each target runs in a process of its own, as many at the same time as there are processors. An input that fails is
reduced, printed and saved in `tests/fuzzing/failing`; `make test` checks it from then on.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.fuzzing.fuzzer import fuzz_target
from tests.fuzzing.targets import TARGETS

SECONDS = 30.0  # of each target, by default


def main() -> int:
    """Fuzz the named targets, all by default; return 1 if an input failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description="Check generated inputs.")
    parser.add_argument("target", nargs="*", help=f"{', '.join(TARGETS)} (default: all)")
    parser.add_argument("--inputs", type=int, help="the number of inputs of each target, such as 1000000")
    parser.add_argument("--seconds", type=float, help=f"the time of each target (default: {SECONDS:g}, or no limit)")
    parser.add_argument("--seed", type=int, help="the first seed (default: a new one)")
    options = parser.parse_args()
    wanted = options.target or [*TARGETS]
    if unknown := [name for name in wanted if name not in TARGETS]:
        parser.error(f"unknown target {unknown[0]!r}; expected one or more of {', '.join(TARGETS)}")
    first_seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000_000
    seconds = options.seconds if options.seconds or options.inputs else SECONDS
    processors = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(processors, get_context("spawn"), max_tasks_per_child=1) as pool:
        runs = [pool.submit(fuzz_target, name, first_seed, options.inputs, seconds) for name in wanted]
        return max([run.result() for run in runs])


if __name__ == "__main__":
    raise SystemExit(main())
