"""`make simulate`: plays seeds until enough actions are done, and prints the first broken promise as a unit test.

`python -m tests.simulation --actions 100000` plays the seeds from 0 on, `--seed N` one seed.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from typing import Any

from cometreel.cli.engine_form import engine_form
from tests.simulation.generation import plan_of
from tests.simulation.load_ledger import main as check_loads
from tests.simulation.real_servers import check_servers
from tests.simulation.recording_round_trip import RoundTripTotals, broken_round_trip, recordable_plan
from tests.simulation.recording_round_trip import report_failure as report_round_trip
from tests.simulation.runs import Totals, broken_promises, is_repeated, run_seed
from tests.simulation.shrinking import SMALLER_PLANS, Shrinker
from tests.simulation.transcript import conversation, transcript

_ROUND_TRIP_ONE_IN = 20
"""One seed in this many is also recorded, distilled and replayed; a seed that is repeated always is."""
_COLLECTED_AFTER = 25  # seeds
_REPORTED_AFTER = 100_000  # actions
_ACTIONS_OF_A_REQUEST = 50
"""One request of the load ledger is checked for this many actions."""


def report_failure(seed: int, *, max_runs: int = 1500) -> str:
    """Return the smallest failing plan of a seed as a unit test, and its conversation."""
    plan = plan_of(seed)
    repeated = is_repeated(seed) and not broken_promises(plan)
    arguments: dict[str, Any] = {"repeated": True} if repeated else {}
    plan = Shrinker(plan, partial(broken_promises, **arguments), SMALLER_PLANS, max_runs=max_runs).shrink()
    test = transcript(plan, seed, broken_promises, **arguments)
    return "\n".join([test, *(f"# {line}" for line in conversation(plan))])


def main(arguments: list[str]) -> int:
    """Play seeds; return 1 if one breaks a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--actions", type=int, default=100_000, help="play seeds until this many actions are done")
    parser.add_argument("--seed", type=int, help="play this seed only")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--sockets", type=int, default=0, help="play this many seeds on each server, too")
    given = parser.parse_args(arguments)
    seeds: Iterable[int] = count(given.first) if given.seed is None else [given.seed]
    totals, trips, started, reported = Totals(), RoundTripTotals(), time.process_time(), 0
    for seed in _collecting_between(seeds):
        broken = run_seed(seed, totals)
        if broken:
            print(f"seed {seed} breaks a promise: {broken[0]}")
            print(f"SEED={seed} repeats it. The smallest plan that was found:\n")
            print(report_failure(seed))
            return 1
        if given.seed is not None or seed % _ROUND_TRIP_ONE_IN == 0:
            broken = broken_round_trip(recordable_plan(seed), trips)
            if broken:
                print(f"seed {seed}: the replay of its recording differs: {broken[0]}")
                print(f"SEED={seed} repeats it. The smallest plan that was found:\n")
                print(report_round_trip(seed))
                return 1
        if totals.actions >= given.actions:
            break
        if totals.actions // _REPORTED_AFTER > reported:
            reported = totals.actions // _REPORTED_AFTER
            print(f"{totals.actions} of {given.actions} actions, {_cost(totals, started)}", file=sys.stderr, flush=True)
    print(f"{totals} in {_cost(totals, started)}, {engine_form()}")
    print(trips, flush=True)
    first = given.first if given.seed is None else given.seed
    if given.sockets and not check_servers(range(first, first + given.sockets)):
        return 1
    loads = count(1) if given.seed is None else [given.seed]
    return 0 if check_loads(loads, given.actions // _ACTIONS_OF_A_REQUEST) else 1


def _cost(totals: Totals, started: float) -> str:
    seconds = time.process_time() - started
    return f"{seconds:.0f} s of CPU time, {seconds / max(1, totals.actions) * 1e6:.0f} µs for each action"


def _collecting_between(seeds: Iterable[int]) -> Iterator[int]:
    """Yield seeds. Garbage is collected between them, not within: a run needs little memory, and is a tenth faster."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for place, seed in enumerate(seeds, start=1):
            yield seed
            if place % _COLLECTED_AFTER == 0:
                gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
