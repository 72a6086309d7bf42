"""A run that is stopped from outside reports the same complete figures as one that ends by itself."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.stubs import free_port
from demo.processes import TIMEOUT
from tests.load.conftest import LOADTESTS, MIX, OWNERS, Start, await_log, counts

CTRL_C = b"\x03"
RATE = ("--reel-rate", 40, "--reel-patience", "6s", "--reel-late", "4s", *MIX, *OWNERS)
REPORTS = ("--reel-limit", "error == 0", "--reel-json", "run.json", "--reel-junit", "run.xml", "--html", "run.html")
RUN = ("-u", 8, "-r", 8, *RATE, *REPORTS)
SLOW = {"delay": 1000}
"""Each notification comes after 2 seconds, so a stop always interrupts open requests."""


class Terminal:
    """Locust in the foreground of a terminal: Ctrl-C reaches all its processes."""

    def __init__(self, arguments: tuple[object, ...], folder: Path) -> None:
        self._leader, follower = pty.openpty()
        locust = str(Path(sys.executable).with_name("locust"))
        take_terminal = (
            "import os,sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"
        )
        command = [sys.executable, "-c", take_terminal, locust, "-f", LOADTESTS / "agent_stats.py", "--headless"]
        self._popen: subprocess.Popen[bytes] = subprocess.Popen(
            [*map(str, command), "--only-summary", *map(str, arguments)],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            cwd=folder,
            start_new_session=True,
        )
        os.close(follower)
        os.set_blocking(self._leader, False)
        self.seen, self.group = "", self._popen.pid

    def read(self) -> None:
        """Add to `seen` what was printed."""
        try:
            while piece := os.read(self._leader, 65536):
                self.seen += piece.decode(errors="replace").replace("\r\n", "\n")
        except OSError:  # nothing more, or the other end is closed
            pass

    def await_text(self, pattern: str) -> None:
        """Wait until a pattern was printed."""
        end = time.monotonic() + TIMEOUT
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, self.seen
            time.sleep(0.05)
            self.read()

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._leader, key)

    def await_end(self) -> int:
        """Return the exit code."""
        end = time.monotonic() + 2 * TIMEOUT
        while self._popen.poll() is None:
            assert time.monotonic() < end, self.seen
            time.sleep(0.05)
            self.read()
        self.read()
        return self._popen.returncode

    def close(self) -> None:
        """End all processes of the terminal."""
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait(TIMEOUT)
        os.close(self._leader)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Start Locust in a terminal."""
    running: list[Terminal] = []

    def start(*arguments: object) -> Terminal:
        running.append(Terminal(arguments, tmp_path))
        return running[-1]

    yield start
    for each in running:
        each.close()


def await_requests(url: str, number: int = 40) -> None:
    """Wait until the server has answered this many requests."""
    end = time.monotonic() + TIMEOUT
    while counts(url).get("delay", 0) < number:
        assert time.monotonic() < end, counts(url)
        time.sleep(0.1)


def processes(number: int) -> tuple[object, ...]:
    port = free_port()
    return () if number == 1 else ("--processes", number, "--master-bind-port", port, "--master-port", port)


def check_complete(url: str, folder: Path, out: str) -> dict[str, Any]:
    """All reports contain each request that the server has counted, and each was answered. Return the figures."""
    made = counts(url)["delay"]
    report: dict[str, Any] = json.loads((folder / "run.json").read_text())
    assert (report["sent"], report["expected"], report["answered"]) == (made, made, made)
    assert report["limits"] == [{"limit": "error == 0", "found": "0", "passed": True}]
    assert report["seconds"] > 0.5
    assert f"{made} of {made} expected notifications came" in out
    page = (folder / "run.html").read_text()
    assert f"{made} of {made} expected notifications came" in page
    assert page.count('<section class="reel">') == 1
    assert 'tests="1" failures="0"' in (folder / "run.xml").read_text()
    assert "Traceback" not in out
    assert "abandoned" not in out
    return report


def warnings(report: Mapping[str, Any]) -> list[str]:
    """Return the warnings of a report, without the one that depends on how busy the machine is."""
    return [each for each in report["warnings"] if not each.startswith("requests waited before they were sent")]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("limit", [(), ("-t", "5m")], ids=["no limit", "-t"])
def test_ctrl_c_in_a_terminal(
    number: int, limit: tuple[str, ...], faulty: Callable[..., str], terminal: Callable[..., Terminal], tmp_path: Path
):
    url = faulty(**SLOW)
    run = terminal("--host", url, *RUN, *limit, *processes(number))
    await_requests(url)
    run.press(CTRL_C)
    assert run.await_end() == 0, run.seen
    assert warnings(check_complete(url, tmp_path, run.seen)) == []


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("limit", [(), ("-t", "5m")], ids=["no limit", "-t"])
def test_sigterm(number: int, limit: tuple[str, ...], faulty: Callable[..., str], locust: Start, tmp_path: Path):
    url = faulty(**SLOW)
    (tmp_path / "run.html").write_text("<body>the page of an earlier run</body>")
    run = locust("--host", url, *RUN, *limit, *processes(number))
    await_requests(url)
    run.stop(signal.SIGTERM)
    out = run.await_end()
    check_complete(url, tmp_path, out + run.err.read_text())
    assert "earlier run" not in (tmp_path / "run.html").read_text()


def test_sigterm_to_all_processes_of_a_run(
    faulty: Callable[..., str], terminal: Callable[..., Terminal], tmp_path: Path
):
    """A service manager may do this."""
    url = faulty(**SLOW)
    run = terminal("--host", url, *RUN, *processes(2))
    await_requests(url)
    os.killpg(run.group, signal.SIGTERM)
    assert run.await_end() == 0, run.seen
    assert warnings(check_complete(url, tmp_path, run.seen)) == []


@pytest.mark.parametrize("number", [1, 2])
def test_ctrl_c_while_the_time_limit_ends_the_run(
    number: int, faulty: Callable[..., str], terminal: Callable[..., Terminal], tmp_path: Path
):
    url = faulty(**SLOW)
    run = terminal("--host", url, *RUN, "-t", "5s", *processes(number))
    run.await_text("Waiting for requests in progress")
    run.press(CTRL_C)
    assert run.await_end() == 0, run.seen
    assert warnings(check_complete(url, tmp_path, run.seen)) == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_second_ctrl_c_stops_at_once_and_says_what_is_missing(
    number: int, faulty: Callable[..., str], terminal: Callable[..., Terminal], tmp_path: Path
):
    url = faulty(drop=1000)
    run = terminal(
        "--host", url, *RUN, "--reel-patience", "60s", "--reel-limit", "notification mean < 1s", *processes(number)
    )
    end = time.monotonic() + TIMEOUT
    while counts(url).get("drop", 0) < 40:
        assert time.monotonic() < end
        time.sleep(0.1)
    run.press(CTRL_C)
    run.await_text("Waiting for requests in progress")
    run.press(CTRL_C)
    assert run.await_end() == 1, run.seen
    made = counts(url)["drop"]
    report = json.loads((tmp_path / "run.json").read_text())
    assert (report["sent"], report["answered"]) == (made, 0)
    assert warnings(report) == [f"the counts aren't final: {made} exchanges were still in progress"]
    assert "Traceback" not in run.seen


def test_stop_on_the_web_page(faulty: Callable[..., str], locust: Start, tmp_path: Path):
    """The report is written at once, also when a second run follows or the button is pressed twice."""
    url, port = faulty(**SLOW), free_port()
    run = locust("--web-port", port, "--web-host", "127.0.0.1", "--autostart", "--host", url, *RUN)
    await_requests(url)
    page = f"http://127.0.0.1:{port}"
    with ThreadPoolExecutor(2) as both:
        replies = both.map(lambda path: httpx.post(f"{page}{path}", timeout=TIMEOUT), ["/stop", "/stop"])
        assert [reply.status_code for reply in replies] == [200, 200]
    run.await_line("expected notifications came")
    run.stop(signal.SIGTERM)
    check_complete(url, tmp_path, run.out.read_text() + run.err.read_text())
    assert run.out.read_text().count("expected notifications came") == 1


def test_a_worker_that_quits_finishes_its_requests(faulty: Callable[..., str], locust: Start, tmp_path: Path):
    url, port = faulty(**SLOW), free_port()
    master = locust(
        *("--master", "--expect-workers", 2, "--master-bind-port", port, "--master-bind-host", "127.0.0.1"),
        *("--host", url, *RUN, "--reel-rate", "steps 40,0 of 8s", "--reel-spacing", "constant"),
    )
    workers = [locust("--worker", "--master-port", port, "--master-host", "127.0.0.1") for _ in range(2)]
    await_log(master, "The run starts: 8 of 8 agents are ready")
    await_requests(url)
    workers[0].stop(signal.SIGINT)
    out = master.await_end(120)
    for worker in workers:
        worker.await_end()
        assert "Traceback" not in worker.err.read_text()
    report = check_complete(url, tmp_path, out + master.err.read_text())
    assert report["due"] == report["sent"], "the other worker sends what this one no longer does"
    assert "is lost" not in master.err.read_text()
