"""`make simulate`: plays seeds until enough actions are done, and prints the first broken promise as a unit test.

`python -m tests.simulation --actions 100000` plays the seeds from 0 on, `--seed N` one seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from itertools import count

from tests.simulation.generation import plan_of
from tests.simulation.load_ledger import main as check_loads
from tests.simulation.real_servers import check_servers
from tests.simulation.recording_round_trip import RoundTripTotals, broken_round_trip
from tests.simulation.runs import Totals, run_seed
from tests.simulation.shrinking import Shrinker, broken_promises
from tests.simulation.transcript import conversation, transcript

ROUND_TRIP_ONE_IN = 20
"""One seed in this many is also recorded, distilled and replayed; a seed that is repeated always is."""


def report_failure(seed: int) -> str:
    """Return the smallest failing plan of a seed as a unit test, and its conversation."""
    plan = Shrinker(plan_of(seed)).shrink()
    test = transcript(plan, seed, broken_promises(plan))
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
    totals, trips, started = Totals(), RoundTripTotals(), time.process_time()
    for seed in seeds:
        broken = run_seed(seed, totals)
        if broken:
            print(f"seed {seed} breaks a promise: {broken[0]}")
            print(f"SEED={seed} repeats it. The smallest plan that was found:\n")
            print(report_failure(seed))
            return 1
        if given.seed is not None or seed % ROUND_TRIP_ONE_IN == 0:
            differences = broken_round_trip(seed, trips)
            if differences:
                print(
                    f"seed {seed}: the replay of its recording differs. SEED={seed} repeats it.", *differences, sep="\n"
                )
                return 1
        if totals.actions >= given.actions:
            break
    seconds = time.process_time() - started
    print(trips)
    print(f"{totals} in {seconds:.0f} s of CPU time, {seconds / max(1, totals.actions) * 1e6:.0f} µs for each action")
    first = given.first if given.seed is None else given.seed
    if given.sockets and not check_servers(range(first, first + given.sockets)):
        return 1
    if given.seed is not None:
        return 0
    return 0 if check_loads(count(1), given.actions // 5) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
