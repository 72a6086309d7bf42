"""The test suite on every Python and mitmproxy that we promise: `nox` runs all, `nox -s tests-3.13` one."""

from __future__ import annotations

import os
import shutil
import subprocess

import nox

if shutil.which("pyenv"):  # it hides all Pythons but the selected one: select every one that it has
    versions = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True).stdout
    os.environ["PYENV_VERSION"] = ":".join(versions.split())

nox.options.sessions = ["tests"]
nox.options.error_on_missing_interpreters = False

MITMPROXY = {
    "3.11": "mitmproxy==11.0.2",  # the newest that runs on it
    "3.12": "mitmproxy>=12,<13",
    "3.13": "mitmproxy>=12,<13",
}


@nox.session(python=list(MITMPROXY))
def tests(session: nox.Session) -> None:
    """All tests, with what the resolver picks beside that mitmproxy: `nox -s tests-3.12 -- tests/unit`."""
    session.install("--editable", ".[dev]", MITMPROXY[str(session.python)])
    session.run("npm", "ci", "--no-audit", "--no-fund", "--prefix", "tests/peers/node", external=True)
    session.run("python", "-m", "pytest", "-n", "auto", "--durations=20", *session.posargs)


@nox.session(python=list(MITMPROXY))
def types(session: nox.Session) -> None:
    """The type checker, against the libraries of that Python."""
    session.install("--editable", ".[dev]", MITMPROXY[str(session.python)])
    session.run("mypy", "--python-version", str(session.python))
