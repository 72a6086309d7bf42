"""What this machine has of what Cometreel can use, and how to get the rest. Looks, opens one port, installs nothing."""

from __future__ import annotations

import platform
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import click

from cometreel.cli.exit_codes import ExitCode
from cometreel.extras import EXTRAS, install_command, missing_distributions
from cometreel.programs import find_program

__all__ = ["DoctorCheck", "checks", "doctor"]

_OLDEST = (3, 11)
_FILES_WANTED = 4096
_PORTS_WANTED = 20_000
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One thing that was looked for: what was found (empty for nothing), what for, and how to get it."""

    name: str
    found: str
    purpose: str
    cure: str
    needed: bool = False
    """Whether recording and replaying themselves need it."""

    @property
    def ok(self) -> bool:
        """Tell whether it is there."""
        return bool(self.found)


def checks() -> Iterator[DoctorCheck]:
    """Look for everything, the necessary first."""
    yield _python()
    yield _loopback()
    yield _package("pytest", "for the fixture `reel`", "pip install pytest")
    yield from map(_extra, EXTRAS)
    yield _files()
    yield _ports()
    for name, purpose, cure in _PROGRAMS:
        yield DoctorCheck(name, find_program(name) or "", purpose, cure)


_PROGRAMS = (
    ("node", "for the third-party peers of `make demo` and `make test`", "apt-get install nodejs npm"),
    ("haproxy", "for replays on several processes or machines", "apt-get install haproxy"),
    ("chromium", "for tests of pages", "apt-get install chromium"),
    ("chromedriver", "for tests of pages", "apt-get install chromium-driver"),
)


def _python() -> DoctorCheck:
    found = platform.python_version() if sys.version_info >= _OLDEST else ""
    return DoctorCheck("Python", found, "to run at all", "install Python 3.11 or newer", needed=True)


def _package(name: str, purpose: str, cure: str, *, needed: bool = False) -> DoctorCheck:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        found = ""
    return DoctorCheck(name, found, purpose, cure, needed=needed)


def _extra(name: str) -> DoctorCheck:
    extra = EXTRAS[name]
    missing = missing_distributions(name)
    found = "" if missing else ", ".join(f"{each} {metadata.version(each)}" for each in extra.modules)
    return DoctorCheck(f"extra {name}", found, extra.purpose, install_command(name))


def _loopback(bind: Callable[[], int] | None = None) -> DoctorCheck:
    try:
        port = (bind or _bound)()
    except OSError as error:
        cure = f"allow programs to listen on 127.0.0.1 ({error.strerror or error})"
        return DoctorCheck("a free port", "", "to listen", cure, needed=True)
    return DoctorCheck("a free port", f"127.0.0.1:{port}", "to listen", "", needed=True)


def _bound() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _files(limit: int | None = None) -> DoctorCheck:
    number = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    endless = number == resource.RLIM_INFINITY
    enough = endless or number >= _FILES_WANTED
    shown = "no limit" if endless else f"{number} open files"
    cure = f"ulimit -n {_FILES_WANTED} (it is {number})"
    return DoctorCheck("file limit", shown if enough else "", "for thousands of held polls", cure)


def _ports(path: Path = _PORT_RANGE) -> DoctorCheck:
    try:
        first, last = map(int, path.read_text().split())
    except (OSError, ValueError):  # another system than Linux; its own limit isn't known here
        return DoctorCheck("local ports", "not limited as Linux does", "for thousands of connections", "")
    number = last - first + 1
    cure = f"sysctl net.ipv4.ip_local_port_range='1024 65535' (they are {number})"
    return DoctorCheck(
        "local ports", f"{number}" if number >= _PORTS_WANTED else "", "for thousands of connections from here", cure
    )


@click.command()
def doctor() -> int:
    """Say what this machine has of what Cometreel can use, and how to get the rest.

    Exit codes: 0 all that is necessary is there, 1 something necessary is missing.

    \b
    Example:
      cometreel doctor
    """
    found = list(checks())
    width = max(len(check.name) for check in found)
    for check in found:
        click.echo(f"{_mark(check)}  {check.name:<{width}}  {_rest(check)}")
    return ExitCode.NO if any(check.needed and not check.ok for check in found) else ExitCode.DONE


def _mark(check: DoctorCheck) -> str:
    return "ok     " if check.ok else "MISSING" if check.needed else "missing"


def _rest(check: DoctorCheck) -> str:
    return check.found if check.ok else f"{check.purpose}; try: {check.cure}"
