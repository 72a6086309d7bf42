"""Distributes the tests over the workers of pytest-xdist: slow folders first, and files that share much together."""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]  # it ships no types
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it ships no types

from tests.marks import TESTS

__all__ = ["FolderScheduling", "number_of_workers", "slowest_first"]

ROOT = TESTS.parent
TOGETHER = (
    ("tests/load/", "tests/peers/test_demo.py"),
    ("tests/verify/",),
    ("tests/peers/",),
)
"""Files that run one after another in one worker, the slowest first. Load tests must not compete with each other, and
`make load` and `make demo` write the same report; the others share fixtures that take long."""
LAST = "tests/unit/"
"""Files that take so little time each that they fill the workers evenly at the end."""
MOST_WORKERS = 8


def number_of_workers() -> int:
    """Return one worker more than there are processors, because many tests wait for other processes."""
    return min(len(os.sched_getaffinity(0)) + 1, MOST_WORKERS)


def group_of(path: str) -> int | None:
    """Return which of the files in `TOGETHER` a file belongs to."""
    return next((number for number, group in enumerate(TOGETHER) if path.startswith(group)), None)


def slowest_first(item: pytest.Item) -> int:
    """Return the rank of a test in the order in which workers get them."""
    path = item.path.relative_to(ROOT).as_posix()
    group = group_of(path)
    return group if group is not None else len(TOGETHER) + path.startswith(LAST)


class FolderScheduling(LoadScopeScheduling):  # type: ignore[misc]  # its base has no types
    """Gives a worker one file at a time, or one of the groups in `TOGETHER`, in the order of collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        group = group_of(path)
        return path if group is None else TOGETHER[group][0]
