"""`cometreel doctor`: checks for requirements and optional parts. Opens one local port and installs nothing."""

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

from cometreel.cli.engine_form import engine_form
from cometreel.cli.exit_codes import ExitCode
from cometreel.extras import EXTRAS, install_command, missing_distributions
from cometreel.programs import find_program

__all__ = ["DoctorCheck", "checks", "doctor"]

_OLDEST_PYTHON = (3, 11)
_PYTHON_FOR_RECORDING = (3, 12)
_MIN_OPEN_FILES = 4096
_MIN_LOCAL_PORTS = 20_000
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_PROGRAMS = (
    ("node", "for the third-party clients of `make demo` and `make test`", "apt-get install nodejs npm"),
    ("haproxy", "for replays on several nodes", "apt-get install haproxy"),
    ("chromium", "for browser tests", "apt-get install chromium"),
    ("chromedriver", "for browser tests", "apt-get install chromium-driver"),
)


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """The result of one check."""

    name: str
    found: str
    """The version, path or value; empty if it is missing."""
    purpose: str
    advice: str
    """The command that installs or changes it."""
    required: bool = False
    """True if nothing works without it."""

    @property
    def ok(self) -> bool:
        """True if it was found."""
        return bool(self.found)


def checks() -> Iterator[DoctorCheck]:
    """Run all checks, the required ones first."""
    yield _python()
    yield _engine()
    yield _listening()
    yield _pytest()
    yield from map(_extra, EXTRAS)
    yield _python_for_recording()
    yield _open_files()
    yield _local_ports()
    for name, purpose, advice in _PROGRAMS:
        yield DoctorCheck(name, find_program(name) or "", purpose, advice)


def _python() -> DoctorCheck:
    found = platform.python_version() if sys.version_info >= _OLDEST_PYTHON else ""
    return DoctorCheck("Python", found, "to run Cometreel", "install Python 3.11 or newer", required=True)


def _engine() -> DoctorCheck:
    return DoctorCheck("engine", engine_form(), "to replay", "")


def _python_for_recording(version: tuple[int, ...] = sys.version_info[:2]) -> DoctorCheck:
    """Check that the Python for recording gets a mitmproxy without known advisories of its dependencies."""
    purpose = (
        "for recording: mitmproxy 11.0.2, the newest for Python 3.11, needs versions of h11 and tornado with known "
        "advisories (CVE-2025-43859, CVE-2025-47287)"
    )
    found = ".".join(map(str, version)) if version >= _PYTHON_FOR_RECORDING else ""
    return DoctorCheck("Python 3.12", found, purpose, "record with Python 3.12 or newer")


def _listening(bind: Callable[[], int] | None = None) -> DoctorCheck:
    try:
        port = (bind or _bind)()
    except OSError as error:
        advice = f"allow programs to listen on 127.0.0.1 ({error.strerror or error})"
        return DoctorCheck("listening", "", "to serve", advice, required=True)
    return DoctorCheck("listening", f"127.0.0.1:{port}", "to serve", "", required=True)


def _bind() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _pytest() -> DoctorCheck:
    try:
        found = metadata.version("pytest")
    except metadata.PackageNotFoundError:
        found = ""
    return DoctorCheck("pytest", found, "for the pytest fixtures", "pip install pytest")


def _extra(name: str) -> DoctorCheck:
    extra = EXTRAS[name]
    versions = [] if missing_distributions(name) else [f"{each} {metadata.version(each)}" for each in extra.modules]
    return DoctorCheck(f"extra {name}", ", ".join(versions), extra.purpose, install_command(name))


def _open_files(limit: int | None = None) -> DoctorCheck:
    number = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    unlimited = number == resource.RLIM_INFINITY
    value = "no limit" if unlimited else f"{number} open files"
    enough = unlimited or number >= _MIN_OPEN_FILES
    advice = f"ulimit -n {_MIN_OPEN_FILES} (it is {number})"
    return DoctorCheck("file limit", value if enough else "", "for thousands of held polls", advice)


def _local_ports(path: Path = _PORT_RANGE) -> DoctorCheck:
    purpose = "for thousands of connections from this machine"
    try:
        first, last = map(int, path.read_text().split())
    except (OSError, ValueError):  # not Linux: the limit of other systems is unknown here
        return DoctorCheck("local ports", "not limited as on Linux", purpose, "")
    number = last - first + 1
    advice = f"sysctl net.ipv4.ip_local_port_range='1024 65535' (it has {number} ports)"
    return DoctorCheck("local ports", f"{number}" if number >= _MIN_LOCAL_PORTS else "", purpose, advice)


@click.command()
def doctor() -> int:
    """Check the installation and print how to install missing parts.

    Exit codes: 0 all requirements are met, 1 a requirement is missing. Missing optional parts don't change the code.

    \b
    Example:
      cometreel doctor
    """
    results = list(checks())
    width = max(len(check.name) for check in results)
    for check in results:
        click.echo(f"{_status(check)}  {check.name:<{width}}  {_details(check)}")
    return ExitCode.CHECK_FAILED if any(check.required and not check.ok for check in results) else ExitCode.SUCCESS


def _status(check: DoctorCheck) -> str:
    return "ok     " if check.ok else "MISSING" if check.required else "missing"


def _details(check: DoctorCheck) -> str:
    return check.found if check.ok else f"{check.purpose}; try: {check.advice}"
