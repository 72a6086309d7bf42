"""The table of `make mutants`, and its copy in `docs/testing.md`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.mutants import PACKAGES, PRODUCT, Mutant, MutantInvalid
from tests.mutants.runner import Outcome

PAGE = Path(__file__).parents[2] / "docs/testing.md"
BEGIN, END = "<!-- mutants: python -m tests.mutants --write -->", "<!-- end of mutants -->"
HEAD = (
    "| package | mutants | noticed by unit tests | noticed by simulation only | survived | noticed |",
    "|---|---|---|---|---|---|",
)
GOAL = 0.95
"""The part of the mutants of a package that must be noticed."""


def problems(mutants: Iterable[Mutant]) -> list[str]:
    """Return why mutants can't be applied, and which are the same."""
    found: list[str] = []
    seen: dict[tuple[str, str], str] = {}
    for mutant in mutants:
        path = PRODUCT / mutant.module
        if not path.is_file():
            found.append(f"tests/mutants/{mutant.place}: there is no cometreel/{mutant.module}")
            continue
        try:
            key = mutant.module, mutant.applied(path.read_text())
        except MutantInvalid as error:
            found.append(str(error))
            continue
        if key in seen:
            found.append(f"tests/mutants/{mutant.place}: the same mutant as {seen[key]}")
        seen[key] = mutant.place
    return found


def rows(outcomes: list[Outcome]) -> list[str]:
    """Return the table, with a row for each package."""
    return [*HEAD, *_rows_by_package(outcomes).values()]


def survivors(outcomes: list[Outcome]) -> list[str]:
    """Return a line for each survivor."""
    return [_survivor(each) for each in outcomes if not each.noticed_by]


def is_enough(outcomes: list[Outcome]) -> bool:
    """True if each package reaches the goal and each survivor is explained."""
    explained = all(each.noticed_by or each.mutant.survives for each in outcomes)
    return explained and all(_part_noticed(group) >= GOAL for group in _by_package(outcomes).values())


def write_table(outcomes: list[Outcome]) -> None:
    """Replace the rows and survivors of the packages that ran."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    ran = _by_package(outcomes)
    kept_rows = {name: row for name, row in _written_rows(old).items() if name not in ran}
    kept_survivors = [
        line for line in _written_survivors(old) if not line.startswith(tuple(f"- {name} " for name in ran))
    ]
    new_rows = kept_rows | _rows_by_package(outcomes)
    lines = [*HEAD, *(new_rows[name] for name in PACKAGES if name in new_rows)]
    listed = sorted([*kept_survivors, *survivors(outcomes)])
    PAGE.write_text("\n".join([before + BEGIN, *lines, *([""] if listed else []), *listed, END + after]))


def written_counts() -> dict[str, int]:
    """Return the number of mutants of each package in the page."""
    old = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    return {name: int(row.split("|")[2]) for name, row in _written_rows(old).items()}


def _rows_by_package(outcomes: list[Outcome]) -> dict[str, str]:
    return {name: _row(name, group) for name, group in _by_package(outcomes).items()}


def _row(name: str, outcomes: list[Outcome]) -> str:
    survived = sum(not each.noticed_by for each in outcomes)
    simulation = sum(each.by_simulation for each in outcomes)
    unit = len(outcomes) - survived - simulation
    return f"| {name} | {len(outcomes)} | {unit} | {simulation} | {survived} | {_part_noticed(outcomes):.1%} |"


def _part_noticed(outcomes: list[Outcome]) -> float:
    return sum(bool(each.noticed_by) for each in outcomes) / len(outcomes)


def _by_package(outcomes: list[Outcome]) -> dict[str, list[Outcome]]:
    names = dict.fromkeys(each.mutant.package for each in outcomes)
    return {name: [each for each in outcomes if each.mutant.package == name] for name in names}


def _survivor(outcome: Outcome) -> str:
    mutant = outcome.mutant
    return f"- {mutant.package} `{mutant.where}`, {mutant.fault}: {mutant.survives or 'unexplained'}"


def _written_rows(text: str) -> dict[str, str]:
    return {found[1]: found[0] for found in re.finditer(r"^\| (\w+) \| \d.*$", text, re.MULTILINE)}


def _written_survivors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("- ")]
