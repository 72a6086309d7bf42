"""A server that stands in for the reader's own, and each page run once for all tests of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cometreel.scenario import load
from cometreel.serve import replay_app, serve_in_background
from tests.docs.pages import ROOT, steps
from tests.docs.shell import Ran, run

SCENARIOS = ("login_workload.yaml", "request_agent_stats.yaml", "request_stats.yaml")


@pytest.fixture(scope="session")
def gws() -> Iterator[str]:
    """A replay of a whole desktop, which the pages call http://gws.example:8080."""
    with serve_in_background(replay_app(load([ROOT / "scenarios" / name for name in SCENARIOS]))) as served:
        yield served.url


@pytest.fixture(scope="session")
def ran(gws: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Ran]:
    """Run a page, given its name and its text."""

    def once(name: str, text: str) -> Ran:
        return run(steps(text), tmp_path_factory.mktemp(name.replace(".", "-")), gws)

    return once
