"""Real servers, proxies and clients for the peer tests. A peer that is not installed fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo import peers
from demo.client_output import ClientOutput, parse_output
from demo.processes import Process

RUNNING: pytest.StashKey[list[Process]] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of each process's log when a test fails; the complete logs are in the test's folder."""
    report = yield
    if report.failed:
        for process in item.stash.get(RUNNING, []):
            report.sections.append((f"log of {process.name}", process.end_of_logs()))
    return report


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create one certificate authority for all proxies of a run, because it takes a second."""
    return tmp_path_factory.mktemp("mitmproxy")


def _peers_or_fail() -> None:
    missing = peers.missing_peers()
    if shutil.which("node") is None:
        missing.append("the program node")
    if missing:
        pytest.fail(f"peers are not installed: {', '.join(missing)}; run `make setup`", pytrace=False)


@pytest.fixture(scope="session")
def direct(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ClientOutput]:
    """Run each client directly against its own stand-in, all at once, and return their results."""
    _peers_or_fail()
    runs: dict[str, tuple[str, peers.RecordedAgent, tuple[str, ...]]] = {
        name: (name, peers.ANN, ()) for name in peers.CLIENTS
    }
    runs["again"] = ("cometd-3", peers.ANN, ())
    runs["csrf"] = ("cometd-9", peers.ANN, ("--csrf",))
    runs["ben"] = ("cometd-9", peers.BEN, ())
    with ExitStack() as stack:
        started = {}
        for run, (name, agent, arguments) in runs.items():
            folder = tmp_path_factory.mktemp(run)
            server = peers.stand_in(folder, *arguments)
            stack.enter_context(server.process)
            started[run] = stack.enter_context(peers.client(folder, name, server.url, agent))
        return {run: parse_output(process.await_end()) for run, process in started.items()}


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> Iterator[list[Process]]:
    """The processes that a test has started; they are stopped after it, in reverse order."""
    _peers_or_fail()
    running: list[Process] = []
    request.node.stash[RUNNING] = running
    yield running
    for process in reversed(running):
        process.stop()


@pytest.fixture
def stand_in(tmp_path: Path, processes: list[Process]) -> Callable[..., str]:
    """Start a new stand-in for Genesys Web Services: `stand_in("--csrf")` returns its URL."""

    def start(*arguments: str) -> str:
        server = peers.stand_in(tmp_path, *arguments, name=f"stand-in-{len(processes)}")
        processes.append(server.process)
        return server.url

    return start


@pytest.fixture
def mitmdump(tmp_path: Path, confdir: Path, processes: list[Process]) -> Callable[..., peers.PeerServer]:
    """Start mitmdump with an addon of Cometreel: `mitmdump("reverse:http://…", "record", reel_out=…)`."""

    def start(mode: str, addon: str, **options: object) -> peers.PeerServer:
        settings = {"confdir": confdir, **options}
        server = peers.mitmdump(
            tmp_path, mode, peers.ADDONS / f"{addon}.py", settings, name=f"{addon}-{len(processes)}"
        )
        processes.append(server.process)
        return server

    return start


@pytest.fixture
def start_client(tmp_path: Path, processes: list[Process]) -> Callable[..., Process]:
    """Start a third-party client on a workload: `start_client("cometd-3", url)`."""

    def start(name: str, url: str, agent: peers.RecordedAgent = peers.ANN, workload: Path = peers.WORKLOAD) -> Process:
        folder = tmp_path / f"client-{len(processes)}"
        folder.mkdir()
        process = peers.client(folder, name, url, agent, workload)
        processes.append(process)
        return process

    return start


@pytest.fixture
def client(start_client: Callable[..., Process]) -> Callable[..., ClientOutput]:
    """Run a third-party client: `client("cometd-3", url)` returns the replies and messages that it received."""

    def run(
        name: str, url: str, agent: peers.RecordedAgent = peers.ANN, workload: Path = peers.WORKLOAD
    ) -> ClientOutput:
        return parse_output(start_client(name, url, agent, workload).await_end())

    return run
