"""The distributions of an installation without extras, and the modules that such an installation doesn't have."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cometreel.extras import install_command, missing_distributions

__all__ = ["hide_modules", "install_bytes", "modules_outside", "needs_extra", "requirements_of"]


def needs_extra(name: str) -> pytest.MarkDecorator:
    """Skip a test in `nox -s base`. Everywhere else all extras are installed, which a test checks."""
    return pytest.mark.skipif(bool(missing_distributions(name)), reason=f"needs: {install_command(name)}")


def requirements_of(*names: str) -> set[str]:
    """Return the distributions and all that they require without extras, from the installed metadata."""
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for line in metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def install_bytes(name: str) -> int:
    """Return the size of a distribution's files from its RECORD, without compiled Python files."""
    files = metadata.files(name) or ()
    return sum(file.size or 0 for file in files if "__pycache__" not in file.parts)


def modules_outside(distributions: set[str]) -> set[str]:
    """Return the installed top-level modules that none of the distributions contains."""
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if distributions.isdisjoint(map(canonicalize_name, owners))
    }


_SITE_CUSTOMIZE = """\
import sys


class HiddenModules:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, HiddenModules)
"""
"""A `sitecustomize.py` that hides MODULES from a Python process and its children."""


def hide_modules(folder: Path, modules: set[str]) -> dict[str, str]:
    """Write the hook to a folder and return the environment variables that activate it."""
    (folder / "sitecustomize.py").write_text(f"MODULES = {sorted(modules)!r}\n{_SITE_CUSTOMIZE}")
    return {"PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
