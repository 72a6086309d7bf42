"""Marks of tests: each selects existing tests, and no test starts a program without its mark."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.marks import NEEDS, PROGRAMS, TESTS


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_test_without_a_mark_cannot_start_the_program(program: str):
    with pytest.raises(RuntimeError, match=f"the test starts {program} without the mark '{PROGRAMS[program]}'"):
        subprocess.run([f"/usr/bin/{program}", "--version"], check=False)


@pytest.mark.parametrize(("mark", "where", "name"), NEEDS)
def test_each_mark_selects_existing_tests(mark: str, where: str, name: str):
    assert mark in PROGRAMS.values()
    files = [path for path in TESTS.rglob("*.py") if path.relative_to(TESTS).as_posix().startswith(where)]
    assert files
    assert not name or any(re.search(rf"\b{re.escape(name)}\b", path.read_text("utf-8")) for path in files)


def test_each_mark_is_registered(pytestconfig: pytest.Config):
    registered = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert set(PROGRAMS.values()) <= registered
