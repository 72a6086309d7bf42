"""The mutation check: `python -m tests.mutants [PACKAGE …] [--only TEXT] [--write]`, or `make mutants`.

It plants the faults of the YAML files beside this file, one at a time, in copies of the tree, and counts those that the
unit tests or the simulation notice. The exit code is 1 if a package has less than 95 %, or a survivor no explanation.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

from tests.mutants.mutants import PACKAGES, PRODUCT, Mutant, MutantInvalid, read_mutants
from tests.mutants.runner import ALL_TESTS, FOLDERS, TestsFailed, copies, measured, run
from tests.mutants.table import is_enough, problems, rows, survivors, write_table


def main() -> int:
    """Run the mutants and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"one of {', '.join(PACKAGES)} (default: all)")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="mutants whose place, function or fault has this text"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="run the unit tests of the package only: they notice fewer mutants, never more",
    )
    parser.add_argument("--write", action="store_true", help="update the table in docs/testing.md")
    options = parser.parse_args()
    if unknown := sorted(set(options.packages) - set(PACKAGES)):
        parser.error(f"unknown package {', '.join(unknown)}; expected {', '.join(PACKAGES)}")
    if options.write and options.only:
        parser.error("--write needs all mutants of a package; leave out --only")
    packages = options.packages or PACKAGES
    started = time.monotonic()
    try:
        mutants = [each for name in packages for each in read_mutants(name)]
        mutants = [each for each in mutants if _selected(each, options.only)]
        if invalid := problems(mutants):
            raise MutantInvalid("\n".join(invalid))
        with copies() as made:
            own = [folder for name in packages for folder in FOLDERS[name]]
            tests = measured(made, _progress, own if options.quick else ALL_TESTS)
            _progress(f"the tests pass without a mutant ({time.monotonic() - started:.0f} s)")
            outcomes = run(made, tests, mutants, _progress)
    except (MutantInvalid, TestsFailed) as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join([*rows(outcomes), "", *survivors(outcomes)]))
    minutes = (time.monotonic() - started) / 60
    print(f"{len(outcomes)} mutants in {minutes:.1f} minutes, {_processor_minutes():.1f} minutes of processor time")
    if options.write:
        write_table(outcomes)
    return 0 if is_enough(outcomes) else 1


def _selected(mutant: Mutant, text: str) -> bool:
    return any(text in part for part in (mutant.place, mutant.where, mutant.fault))


def _processor_minutes() -> float:
    """Return the processor time of the tests, which doesn't depend on other programs; the copies are closed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    assert PRODUCT.is_dir()
    sys.exit(main())
