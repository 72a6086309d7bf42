"""Processes for the load tests: servers on loopback, and Locust with a locustfile."""

from __future__ import annotations

import csv
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from demo.processes import TIMEOUT, Process

ROOT = Path(__file__).parents[2]
LOADTESTS = ROOT / "loadtests"
SCENARIOS = ROOT / "scenarios"
OWNERS = [
    *("--reel-owners", "place=Place{1..20}"),
    *("--reel-owners", "agent-group=Group{1..5}"),
    *("--reel-owners", "place-group=PlaceGroup{1..5}"),
]
MIX = ("--reel-mix", "agent=40,place=30,agent-group=20,place-group=10")
RUNNING: pytest.StashKey[list[Process]] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the end of each process's log to the report of a failed test."""
    report = yield
    if report.failed:
        for process in item.stash.get(RUNNING, []):
            report.sections.append((f"log of {process.name}", process.end_of_logs(120)))
    return report


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> Iterator[list[Process]]:
    """The processes of a test; the latest is stopped first."""
    running: list[Process] = []
    request.node.stash[RUNNING] = running
    yield running
    for process in reversed(running):
        process.stop()


Start = Callable[..., Process]


@pytest.fixture
def faulty(tmp_path: Path, processes: list[Process]) -> Callable[..., str]:
    """Start a server with faults: `faulty(drop=10, double=10)`, per thousand POSTs."""

    def start(seed: str = "7", **faults: int) -> str:
        command: list[str | Path] = [
            sys.executable,
            ROOT / "tests" / "load" / "faulty_server.py",
            json.dumps(faults),
            seed,
        ]
        process = Process(f"faulty-{len(processes)}", command, tmp_path)
        processes.append(process)
        port = process.await_line(r"^port (\d+)")[1]
        return f"http://127.0.0.1:{port}"

    return start


@pytest.fixture
def replay(tmp_path: Path, processes: list[Process]) -> Callable[..., str]:
    """Start a replay of shipped scenarios: `replay("csrf", reel_auth="csrf")` returns its URL."""

    def start(*names: str, **options: object) -> str:
        command: list[str | Path] = [Path(sys.executable).with_name("mitmdump"), "--mode", "reverse:http://127.0.0.1:9"]
        command += ["-s", ROOT / "proxy_addons" / "replay.py", "--listen-host", "127.0.0.1", "--listen-port", "0"]
        settings = {"flow_detail": 0, "confdir": tmp_path / "mitmproxy", **options}
        for key, value in [*settings.items(), *(("reel_scenario", SCENARIOS / f"{name}.yaml") for name in names)]:
            command += ["--set", f"{key}={value}"]
        process = Process("replay", command, tmp_path)
        processes.append(process)
        return "http://" + process.await_line(r"listening at (127\.0\.0\.1:\d+)")[1]

    return start


@pytest.fixture
def locust(tmp_path: Path, processes: list[Process]) -> Start:
    """Start Locust: `locust("--host", url, "-u", 20, …)`, headless without a web port."""

    def start(*arguments: object, file: str = "agent_stats.py") -> Process:
        quiet = [] if "--web-port" in arguments or "--worker" in arguments else ["--headless", "--only-summary"]
        command: list[str | Path] = [Path(sys.executable).with_name("locust"), "-f", LOADTESTS / file, *quiet]
        command += map(str, arguments)
        process = Process(f"locust-{len(processes)}", command, tmp_path)
        processes.append(process)
        return process

    return start


@pytest.fixture
def http_server() -> Iterator[Callable[..., str]]:
    """Start a server that answers all requests with one status: `http_server("404 Not Found")` returns its URL."""
    running: list[ThreadingHTTPServer] = []

    def start(status: str, body: object = None) -> str:
        code = int(status.split(maxsplit=1)[0])

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                text = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer  # noqa: N815  # the names that http.server looks for

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def await_log(process: Process, pattern: str) -> None:
    """Wait until the standard error of a process matches a pattern."""
    end = time.monotonic() + TIMEOUT
    while not re.search(pattern, process.err.read_text()):
        assert time.monotonic() < end, f"{process.name} did not say {pattern!r}"
        time.sleep(0.05)


def counts(url: str) -> dict[str, int]:
    """Return the number of each fault that the server has counted."""
    found: dict[str, int] = httpx.get(f"{url}/counts", verify=False).json()  # self-signed certificate
    return found


def failures(prefix: Path) -> dict[str, int]:
    """Return the number of each failure in the `--csv` files, over all rows."""
    found: dict[str, int] = {}
    with Path(f"{prefix}_failures.csv").open() as file:
        for row in csv.DictReader(file):
            key = f"{row['Method']}: {row['Error']}"
            found[key] = found.get(key, 0) + int(row["Occurrences"])
    return found


def requests(prefix: Path) -> dict[tuple[str, str], int]:
    """Return the number of requests in each row of the `--csv` files."""
    with Path(f"{prefix}_stats.csv").open() as file:
        return {(row["Type"], row["Name"]): int(row["Request Count"]) for row in csv.DictReader(file)}
