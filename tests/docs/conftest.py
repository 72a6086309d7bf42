"""A server for the commands of the pages, and one run of each page for all its tests."""

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
    """A replay of all desktop scenarios, called http://gws.example:8080 on the pages."""
    with serve_in_background(replay_app(load([ROOT / "scenarios" / name for name in SCENARIOS]))) as served:
        yield served.url


@pytest.fixture(scope="session")
def ran(gws: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Ran]:
    """Return a function that runs a page by name and text, once."""

    def once(name: str, text: str) -> Ran:
        return run(steps(text), tmp_path_factory.mktemp(name.replace(".", "-")), gws)

    return once
