"""The shape of the code: what ships, how long a file may be, and that each room says what it is."""

from __future__ import annotations

import ast
import configparser
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for room in ("cometreel", "proxy_addons", "loadtests") for path in (ROOT / room).rglob("*.py"))
PACKAGES = sorted(
    str(path.parent.relative_to(ROOT)).replace("/", ".") for path in (ROOT / "cometreel").rglob("__init__.py")
)
MAPPED = ["proxy_addons", "loadtests", "scenarios"]


def test_setup_lists_every_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    assert sorted(listed) == sorted([*PACKAGES, *(f"cometreel.{name}" for name in MAPPED)])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_stays_readable(path: Path):
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring"
    assert text.count("\n") <= 600, "too long for one noun"
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 50] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_the_face_of_a_package_is_whole(name: str):
    package = importlib.import_module(name)
    assert [each for each in package.__all__ if not hasattr(package, each)] == []
    assert len(set(package.__all__)) == len(package.__all__)
