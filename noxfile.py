"""Tests and types on every supported Python and mitmproxy, an installation without extras, and the compiled engine.

`nox` runs all tests, `nox -s tests-3.13` those of one Python, `nox -s base` those of a light installation, and
`nox -s compiled` all tests with the compiled engine, except those that `tests/compiled.py` names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

if shutil.which("pyenv"):  # pyenv hides all Pythons except the selected ones: select all
    versions = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True).stdout
    os.environ["PYENV_VERSION"] = ":".join(versions.split())

nox.options.sessions = ["tests"]
nox.options.error_on_missing_interpreters = False

MITMPROXY = {
    "3.11": "mitmproxy==11.0.2",  # the newest for this Python
    "3.12": "mitmproxy>=12,<13",
    "3.13": "mitmproxy>=12,<13",
}


@nox.session(python=list(MITMPROXY))
def tests(session: nox.Session) -> None:
    """Run all tests, or some: `nox -s tests-3.12 -- tests/unit`."""
    session.install("--editable", ".[dev]", MITMPROXY[str(session.python)])
    session.run("npm", "ci", "--no-audit", "--no-fund", "--prefix", "tests/peers/node", external=True)
    session.run("python", "-m", "pytest", "-n", "auto", "--durations=20", *session.posargs)


@nox.session(python=list(MITMPROXY))
def types(session: nox.Session) -> None:
    """Run the type checker with the libraries of that Python."""
    session.install("--editable", ".[dev]", MITMPROXY[str(session.python)])
    session.run("mypy", "--python-version", str(session.python))


@nox.session(python=list(MITMPROXY))
def compiled(session: nox.Session) -> None:
    """Build a wheel with the compiled engine, install it into a temporary folder, and run the tests with it."""
    folder = session.create_tmp()
    session.install("--editable", ".[dev]", MITMPROXY[str(session.python)])
    session.run("npm", "ci", "--no-audit", "--no-fund", "--prefix", "tests/peers/node", external=True)
    wheel = ("pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ".")
    session.run("python", "-m", *wheel, env={"COMETREEL_COMPILE": "1"})
    installed = f"{folder}/compiled"
    wheels = map(str, Path(folder).glob("*.whl"))
    session.run("python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", installed, *wheels)
    session.run("python", "-P", "-m", "cometreel", "--version", env={"PYTHONPATH": installed})
    tests = session.posargs or ("tests", "-n", "auto", "--durations=20")
    session.run("python", "-m", "tests.compiled", *tests, env={"COMETREEL_COMPILED": installed})


PRINT_SIZE = """
from importlib import metadata
installed = [each for each in metadata.distributions() if each.name not in ("cometreel", "pip", "setuptools")]
files = [file for each in installed for file in each.files or () if "__pycache__" not in file.parts]
print(f"{len(installed)} distributions, {sum(file.size or 0 for file in files) / 1e6:.1f} MB besides cometreel")
"""
TEST_TOOLS = ("hypothesis", "jsonschema", "pytest>=8.3", "pytest-asyncio", "pytest-timeout", "pytest-xdist")
NEED_EXTRAS = (
    "--ignore=tests/unit/load",
    "--ignore=tests/unit/locust_agents",
    "--ignore=tests/unit/project_rules",
    "--ignore=tests/unit/verify",
    "--deselect=tests/unit/base/test_extras.py::test_every_module_of_an_extra_is_found_here",
)


@nox.session(python=list(MITMPROXY))
def base(session: nox.Session) -> None:
    """Install the wheel without extras and print its size; run the unit tests that need no extra."""
    folder = session.create_tmp()
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ".")
    session.install(*map(str, Path(folder).glob("*.whl")))
    session.run("cometreel", "--version")
    session.run("python", "-c", PRINT_SIZE)
    session.install("--editable", ".", *TEST_TOOLS)
    session.run("python", "-m", "pytest", "-n", "auto", "tests/unit", *NEED_EXTRAS, *session.posargs)
