"""Runs mutants in copies of the tree: measures which tests execute which function, then tests each mutant."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.mutants.executed_functions import ALWAYS, PROGRAM, ExecutedFunctions
from tests.mutants.mutants import Mutant

ROOT = Path(__file__).parents[2]
T = TypeVar("T")

UNIT = "tests/unit"
SIMULATION = "tests/simulation"
ALL_TESTS = (UNIT, SIMULATION)
COPIES = 2
"""Copies of the tree, with a process each."""
LEFT_OUT = {
    "tests/unit/project_rules/": "it reads the source, so it would notice the text of each mutant",
    "tests/unit/cli/test_addons.py": "it needs an installation of the tree that it is in",
    "tests/simulation/test_real_servers.py": "it starts servers, so it runs for each mutant and takes long",
}
"""Test files that don't run, with the reason."""
SHARED = {
    *("cometreel", "tests", "scenarios", "recordings", "proxy_addons", "loadtests", "demo", "docs", "benchmarks"),
    *("README.md", "pyproject.toml", "setup.cfg"),
}
"""The folders and files that may change the result of a unit test."""
FOLDERS = {
    "bayeux": (f"{UNIT}/bayeux/",),
    "engine": (f"{UNIT}/engine/",),
    "recording": (f"{UNIT}/recording/",),
    "scenario": (f"{UNIT}/scenario/",),
    "load": (f"{UNIT}/load/", f"{UNIT}/locust_agents/"),
    "verify": (f"{UNIT}/verify/",),
}
"""The unit tests of each package, which run first."""


@dataclass(frozen=True)
class Outcome:
    """The test that noticed a mutant; empty if it survived."""

    mutant: Mutant
    noticed_by: str

    @property
    def by_simulation(self) -> bool:
        """True if no unit test noticed it."""
        return self.noticed_by.startswith(SIMULATION)


class TestsFailed(Exception):
    """A test fails without a mutant."""


class _Copy:
    """A copy of the tree with a process that runs tests in it."""

    def __init__(self, folder: Path, files: Iterable[str]) -> None:
        self.folder = folder
        for name in files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
        environment = {**os.environ, "PYTHONPATH": str(folder), "CI": "1"}  # Hypothesis searches the same examples
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.worker"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def order(self, **order: object) -> str:
        """Carry out an order, and return the test that failed, or nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return str(json.loads(self._process.stdout.readline())["failed"])

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Apply a mutant meanwhile."""
        path = self.folder / "cometreel" / mutant.module
        source, status = path.read_text(), path.stat()
        path.write_text(mutant.applied(source))
        try:
            yield
        finally:
            path.write_text(source)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class TestMap:
    """The tests that execute each function, with their durations."""

    def __init__(self) -> None:
        self._tests: dict[str, set[str]] = {}
        self._files: dict[str, set[str]] = {}
        self._seconds: dict[str, float] = {}
        self._all: set[str] = set()

    def add(self, file: str, executed: ExecutedFunctions) -> None:
        """Add the tests of a file."""
        self._seconds |= executed["seconds"]
        self._files[file] = set(executed["tests"]) - {ALWAYS}
        self._all |= self._files[file]
        for test, numbers in executed["tests"].items():
            for number in numbers:
                self._tests.setdefault(executed["functions"][number], set()).add(test or file)

    def stages(self, mutant: Mutant) -> list[list[str]]:
        """Return the tests that can notice a mutant: those of its package, other unit tests, then the simulation."""
        chosen = self._executing(mutant)
        own = FOLDERS[mutant.package]
        ordered = sorted(chosen, key=lambda test: (self._seconds.get(test, 0.0), test))
        unit = [test for test in ordered if not test.startswith(SIMULATION)]
        stages = (
            [test for test in unit if test.startswith(own)],
            [test for test in unit if not test.startswith(own)],
            [test for test in ordered if test.startswith(SIMULATION)],
        )
        return [stage for stage in stages if stage]

    def seconds(self, tests: Iterable[str]) -> float:
        """Return the duration of tests."""
        return sum(self._seconds.get(test, 0.0) for test in tests)

    def _executing(self, mutant: Mutant) -> set[str]:
        parts = mutant.name.split(".")
        names = [f"{mutant.module} {'.'.join(parts[:count])}" for count in range(1, len(parts) + 1)]
        found = set[str]().union(*(self._tests.get(name, ()) for name in names))
        if not found:  # the code of a module or a class, whose values any test may use
            return self._all
        found |= self._tests.get(PROGRAM, set())
        files = {each for each in found if each in self._files}
        return (found - files).union(*(self._files[each] for each in files))


@contextmanager
def copies() -> Iterator[list[_Copy]]:
    """Copy the files of the tree that git knows or would add, `COPIES` times."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cometreel-mutants-")))
        made = [_Copy(folder / f"copy{number}", files) for number in range(COPIES)]
        for copy in made:
            stack.callback(copy.close)
        yield made


def measured(made: list[_Copy], progress: Callable[[str], None], folders: Iterable[str] = ALL_TESTS) -> TestMap:
    """Run the tests in some folders without a mutant, and return the functions that they execute.

    The results for a test file are kept in the temporary folder, until it, the product or what tests share changes.

    :raises TestsFailed: if a test fails.
    """
    folder = made[0].folder
    files = [
        path.relative_to(folder).as_posix() for top in folders for path in sorted((folder / top).rglob("test_*.py"))
    ]
    files = [file for file in files if not file.startswith(tuple(LEFT_OUT))]
    shared = _digest(folder, _shared_files(folder))
    kept = Path(tempfile.gettempdir()) / f"cometreel-mutants-{getpass.getuser()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    results = {file: kept / f"{_digest(folder, [folder / file], shared)}.json" for file in files}
    missing = [file for file in files if not results[file].exists()]
    failed: list[str] = []

    def measure(copy: _Copy, file: str) -> None:
        partial = results[file].with_suffix(f".{os.getpid()}")
        problem = copy.order(measure=file, result=str(partial), timeout=1200)
        if problem or not json.loads(partial.read_text())["passed"]:
            failed.append(f"{file} {problem}".rstrip())
            partial.unlink(missing_ok=True)
            return
        partial.rename(results[file])
        progress(f"{file}: measured")

    _in_parallel(made, missing, measure)
    if failed:
        raise TestsFailed(f"these test files fail without a mutant: {', '.join(sorted(failed))}")
    tests = TestMap()
    for file in files:
        tests.add(file, json.loads(results[file].read_text()))
    return tests


def run(made: list[_Copy], tests: TestMap, mutants: list[Mutant], progress: Callable[[str], None]) -> list[Outcome]:
    """Test each mutant, and return the outcomes in the order of the mutants."""
    outcomes: dict[Mutant, Outcome] = {}

    def test(copy: _Copy, mutant: Mutant) -> None:
        started = time.monotonic()
        noticed_by = ""
        with copy.mutated(mutant):
            for stage in tests.stages(mutant):
                noticed_by = copy.order(tests=stage, timeout=60 + 5 * tests.seconds(stage))
                if noticed_by:
                    noticed_by = noticed_by if noticed_by.startswith("tests/") else f"{stage[0]} ({noticed_by})"
                    break
        outcomes[mutant] = Outcome(mutant, noticed_by)
        told = f"noticed by {noticed_by}" if noticed_by else "SURVIVED"
        progress(f"{mutant.place}: {told} ({time.monotonic() - started:.1f} s)")

    _in_parallel(made, mutants, test)
    return [outcomes[mutant] for mutant in mutants]


def _in_parallel(made: list[_Copy], items: Iterable[T], work: Callable[[_Copy, T], None]) -> None:
    """Call `work` for each item, with a thread for each copy."""
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    errors: list[BaseException] = []

    def worker(copy: _Copy) -> None:
        try:
            while not errors:
                work(copy, waiting.get_nowait())
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    threads = [threading.Thread(target=worker, args=(copy,)) for copy in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _shared_files(folder: Path) -> list[Path]:
    """Return everything that tests may read, except test files and this package."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return [
        path
        for path in found
        if not path.name.startswith("test_")
        and (path.name == "executed_functions.py" or not path.is_relative_to(folder / "tests/mutants"))
        and path.relative_to(folder).parts[0] in SHARED
    ]


def _digest(folder: Path, paths: Iterable[Path], start: str = "") -> str:
    digest = hashlib.sha256(f"{start}{sys.version}".encode())
    for path in paths:
        content = path.read_bytes() if not path.is_symlink() else str(path.readlink()).encode()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]
