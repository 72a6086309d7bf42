"""Settings for all tests: Hypothesis, marks, and the distribution over the workers of pytest-xdist."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.marks import marks_of, running, watch
from tests.workers import FolderScheduling, number_of_workers, slowest_first

if TYPE_CHECKING:
    from xdist.remote import Producer  # type: ignore[import-untyped]  # it ships no types

pytest_plugins = ["pytester"]

# A slow machine is no failure. CI always searches the same examples, so that a red run is red again; elsewhere each
# run looks at new ones.
settings.register_profile(
    "cometreel",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("cometreel")


def pytest_configure() -> None:
    """Watch over the programs that tests start."""
    watch()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests, before `-m` selects; in a worker, start with the slowest folders."""
    for item in items:
        for mark in marks_of(item):
            item.add_marker(mark)
    if hasattr(config, "workerinput"):
        items.sort(key=slowest_first)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test start only the programs that its marks name."""
    with running(item):
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Return the number of workers for `-n auto`."""
    return number_of_workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FolderScheduling:
    """Distribute files and some whole folders, whatever `--dist` is."""
    return FolderScheduling(config, log)
