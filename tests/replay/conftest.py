"""Fixtures of the replay tests: the folder of scenarios, and third-party clients that run as processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import peers
from demo.client_output import ClientOutput, parse_output
from demo.processes import Process

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scenarios() -> Path:
    """The folder of scenarios that ship: `cometreel addons scenarios` prints it."""
    return ROOT / "scenarios"


@pytest.fixture
def recorded() -> Path:
    """A scenario that was recorded from a real client."""
    return ROOT / "recordings" / "workbin-desktop.yaml"


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Callable[[str, str], ClientOutput]]:
    """Run an application built on a client of others to its end: `application("cometd-9", url)` is what it saw."""
    if missing := peers.missing_peers():
        pytest.fail(f"peers are not installed: {', '.join(missing)}; run `make setup`", pytrace=False)
    started: list[Process] = []

    def run(name: str, url: str) -> ClientOutput:
        folder = tmp_path / f"client-{len(started)}"
        folder.mkdir()
        started.append(peers.client(folder, name, url))
        return parse_output(started[-1].await_end())

    yield run
    for process in started:
        process.stop()
