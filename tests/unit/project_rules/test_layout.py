"""Layout: the packages that ship, the length of files and functions, module docstrings and public names."""

from __future__ import annotations

import ast
import configparser
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path for folder in ("cometreel", "proxy_addons", "loadtests") for path in (ROOT / folder).rglob("*.py")
)
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
def test_a_module_has_a_docstring_and_bounded_lengths(path: Path):
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring"
    assert text.count("\n") <= 600, "more than 600 lines"
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 50] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_the_public_names_of_a_package_exist(name: str):
    package = importlib.import_module(name)
    assert [each for each in package.__all__ if not hasattr(package, each)] == []
    assert len(set(package.__all__)) == len(package.__all__)


def test_compiled_modules_use_no_cached_property():
    """The compiler mypyc makes it a property that is evaluated each time."""
    setup = ast.parse((ROOT / "setup.py").read_text())
    (compiled,) = (
        ast.literal_eval(node.value)
        for node in setup.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED"
    )
    modules = [
        ROOT / "cometreel" / package / f"{name}.py" for package in compiled for name in compiled[package].split()
    ]
    assert len(modules) > 50
    assert [
        str(path)
        for path in modules
        if "cached_property(" in path.read_text() or "@cached_property" in path.read_text()
    ] == []
