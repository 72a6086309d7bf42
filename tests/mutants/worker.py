"""Runs tests in a copy of the tree for `make mutants`: `python -m tests.mutants.worker`, in the copy.

It reads orders from its standard input, one JSON object a line, and answers each with a line. The process has imported
pytest and large libraries, but neither the product nor tests: it forks for each order, and the child imports them.
"""

from __future__ import annotations

import compileall
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TypedDict

import pytest

from tests.mutants.executed_functions import ExecutionRecorder

LIBRARIES = (
    "_pytest.pytester",
    "click",
    "deepdiff",
    "httpx",
    "hypothesis",
    "hypothesis.strategies",
    "jinja2",
    "pydantic",
    "rich.console",
    "starlette.applications",
    "websockets",
    "yaml",
)
"""Imported before forking, because their import takes long."""
MEMORY = 8 * 2**30
"""A test that needs more address space than this, in bytes, fails: some faults cause endless growth."""
OPTIONS = (
    *("-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"),
    "--assert=plain",  # otherwise each order compiles the tests and the product again
)

_PASSED = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}


class TestOrder(TypedDict):
    """Tests to run until the first fails, within so many seconds."""

    tests: list[str]
    timeout: float


class TestResult(TypedDict):
    """The test that failed, `timeout` or `crash`; empty if all passed."""

    failed: str


class _Selection:
    """Runs only these tests, in this order, and notes the first that fails."""

    def __init__(self, tests: list[str]) -> None:
        self.failed = ""
        self._ranks = {test: rank for rank, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (each for each in items if each.nodeid in self._ranks), key=lambda each: self._ranks[each.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or f"{report.nodeid} (import)"


def run_selected(tests: list[str]) -> str:
    """Run these tests until the first fails, and return its id; empty if all pass, or if none has its id any more."""
    selection = _Selection(tests)
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    code = pytest.main([*OPTIONS, "-x", *files], plugins=[selection])
    return selection.failed or ("" if code in _PASSED else f"pytest: {code}")


def measure(file: str, result: str) -> str:
    """Run a test file, and write the functions that its tests execute."""
    recorder = ExecutionRecorder()
    recorder.start(Path.cwd() / "cometreel")
    code = pytest.main([*OPTIONS, "--timeout=600", file], plugins=[recorder])
    Path(result).write_text(json.dumps(recorder.result(passed=code in _PASSED)))
    return ""


def _in_child(order: dict[str, object], output: int) -> None:
    """Carry out an order in the child process, and write the result to the pipe."""
    os.setsid()
    sys.dont_write_bytecode = True  # that of a mutant could be taken for that of the next
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nothing = os.open(os.devnull, os.O_RDWR)
    log = os.open(f"../{Path.cwd().name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if "measure" in order:
        failed = measure(str(order["measure"]), str(order["result"]))
    else:
        tests = order["tests"]
        assert isinstance(tests, list)
        failed = run_selected(tests)
    sys.stdout.flush()
    os.write(output, failed.encode()[:4000] + b"\n")


def carry_out(order: dict[str, object]) -> TestResult:
    """Fork, carry out an order there, and wait for its result or the timeout."""
    source, output = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        try:
            _in_child(order, output)
        except BaseException:  # noqa: BLE001  # it is a fault of the mutant
            traceback.print_exc()
        finally:
            os._exit(0)  # without the threads and exit handlers of the product
    os.close(output)
    ends = time.monotonic() + float(str(order["timeout"]))
    written = b""
    while not written.endswith(b"\n"):
        ready, _, _ = select.select([source], [], [], max(0.0, ends - time.monotonic()))
        if not ready:
            written = b"timeout\n"
        elif part := os.read(source, 4096):
            written += part
        else:
            written = b"crash\n"
    os.close(source)
    try:
        os.killpg(child, signal.SIGKILL)  # with the programs that tests started
    except ProcessLookupError:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"failed": written.decode().strip()}


def main() -> None:
    """Carry out orders until the input ends."""
    for name in ("cometreel", "tests"):
        compileall.compile_dir(name, quiet=2)
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
