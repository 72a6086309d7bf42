"""A pytest plugin for `make mutants`: the product functions that each test executes."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Generator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import TypedDict

import pytest

ALWAYS = ""
"""The name of the functions executed on import and in shared fixtures, which all tests of a file depend on."""
PROGRAM = "a program"
"""The name that a test has executed if it started a program, whose functions are unknown."""
_REPORT = "_executed_function"

Function = ast.FunctionDef | ast.AsyncFunctionDef


class ExecutedFunctions(TypedDict):
    """The tests of one file: their durations in seconds, and the functions that they execute, by index."""

    passed: bool
    functions: list[str]
    seconds: dict[str, float]
    tests: dict[str, list[int]]


class ExecutionRecorder:
    """Records the functions below a folder; named as `bayeux/client.py BayeuxClient.receive`."""

    def __init__(self) -> None:
        self._current: set[str] = set()
        self._seconds: dict[str, float] = {}
        self._tests: dict[str, set[str]] = {ALWAYS: self._current}

    def start(self, product: Path) -> None:
        """Record the functions of all modules below a folder that are imported from now on.

        Each function gets a first statement that reports its name, which is much faster than tracing. pytest must run with
        `--assert=plain`: it rewrites the modules of plugins otherwise, and the product is one.
        """

        original = SourceFileLoader.get_code

        def get_code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
            path = Path(loader.get_filename(fullname))
            if not path.is_relative_to(product):
                return original(loader, fullname)
            return compile(_reporting(ast.parse(path.read_bytes()), path.relative_to(product)), str(path), "exec")

        SourceFileLoader.get_code = get_code  # type: ignore[method-assign]  # existing finders use this class
        setattr(builtins, _REPORT, self._executed)
        sys.addaudithook(self._audit)

    def result(self, *, passed: bool) -> ExecutedFunctions:
        """Return what was recorded."""
        functions = sorted(set[str]().union(*self._tests.values()))
        index = {name: number for number, name in enumerate(functions)}
        tests = {test: sorted(index[name] for name in names) for test, names in self._tests.items()}
        return {"passed": passed, "functions": functions, "seconds": self._seconds, "tests": tests}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Record a test."""
        before, self._current = self._current, self._tests.setdefault(item.nodeid, set())
        try:
            return (yield)
        finally:
            self._current = before

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """Record a shared fixture for all tests."""
        before = self._current
        if fixturedef.scope != "function":
            self._current = self._tests[ALWAYS]
        try:
            return (yield)
        finally:
            self._current = before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the duration of a phase to that of its test."""
        self._seconds[report.nodeid] = round(self._seconds.get(report.nodeid, 0.0) + report.duration, 4)

    def _executed(self, name: str) -> None:
        self._current.add(name)

    def _audit(self, event: str, _arguments: object) -> None:
        if event in {"subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "os.fork"}:
            self._current.add(PROGRAM)


def _reporting(tree: ast.Module, module: Path) -> ast.Module:
    """Insert the statements that report the functions of a module."""

    def insert(node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function | ast.ClassDef):
                inner = f"{name}.{child.name}".lstrip(".")
                insert(child, inner)
                if isinstance(child, Function):
                    report = ast.parse(f"{_REPORT}({f'{module.as_posix()} {inner}'!r})").body[0]
                    for each in ast.walk(report):
                        ast.copy_location(each, child.body[0])
                    child.body.insert(1 if ast.get_docstring(child) is not None else 0, report)
            else:
                insert(child, name)

    insert(tree, "")
    return tree
