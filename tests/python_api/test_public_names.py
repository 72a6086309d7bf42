"""The public names of the package: complete, sorted, lazy, and never replaced by a submodule."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import cometreel

SOURCE = Path(inspect.getfile(cometreel))


def imported_for_type_checkers() -> list[str]:
    """Return the names that the package imports for type checkers only."""
    (block,) = [node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If)]
    return [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]


def test_every_public_name_exists_once_in_order():
    assert cometreel.__all__ == sorted(set(cometreel.__all__))
    assert [name for name in cometreel.__all__ if not hasattr(cometreel, name)] == []


def test_type_checkers_see_the_same_names():
    assert sorted([*imported_for_type_checkers(), "__version__"]) == cometreel.__all__


def test_dir_lists_the_public_names():
    assert set(cometreel.__all__) <= set(dir(cometreel))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'cometreel' has no attribute 'replai'$"):
        cometreel.replai  # noqa: B018  # the unknown name is the subject


def test_every_public_class_and_function_has_a_docstring():
    objects = {name: getattr(cometreel, name) for name in cometreel.__all__ if name not in ("__version__", "Responder")}
    assert [name for name, found in objects.items() if not inspect.getdoc(found)] == []


IMPORT_ALL = """
import locust  # patches the process, so it comes first
import importlib, pkgutil, cometreel
before = {name: getattr(cometreel, name) for name in cometreel.__all__}
for module in pkgutil.walk_packages(cometreel.__path__, "cometreel."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print([name for name, found in before.items() if getattr(cometreel, name) is not found])
"""


def test_importing_every_submodule_replaces_no_public_name():
    ended = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False, timeout=120)
    assert ended.stdout == "[]\n", ended.stderr


def test_no_public_function_has_the_name_of_a_submodule():
    submodules = {module.name for module in pkgutil.iter_modules(cometreel.__path__)}
    assert submodules & set(cometreel.__all__) == {"markers"}
    assert cometreel.markers is importlib.import_module("cometreel.markers")


def test_importing_the_package_imports_nothing_else():
    code = "import sys, cometreel; print([name for name in sys.modules if name.startswith('cometreel.')])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def test_a_name_is_found_by_import_from():
    code = "from cometreel import ReplayServer, markers, replay; print(replay.__module__, markers.__name__)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "cometreel.serve.replay_server cometreel.markers\n"
