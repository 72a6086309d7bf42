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

from cometreel.programs import find_program

__all__ = ["Check", "checks"]

_OLDEST = (3, 11)
_FILES_WANTED = 4096
_PORTS_WANTED = 20_000
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class Check:
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


def checks() -> Iterator[Check]:
    """Look for everything, the necessary first."""
    yield _python()
    yield _package("mitmproxy", "to record and to replay in a proxy", "pip install mitmproxy", needed=True)
    yield _loopback()
    yield _package("pytest", "for the fixture `reel`", "pip install pytest")
    yield _package("locust", "for load", "pip install 'cometreel[load]'")
    yield _files()
    yield _ports()
    for name, purpose, cure in _PROGRAMS:
        yield Check(name, find_program(name) or "", purpose, cure)


_PROGRAMS = (
    ("node", "for the third-party peers of `make demo` and `make test`", "apt-get install nodejs npm"),
    ("haproxy", "for replays on several processes or machines", "apt-get install haproxy"),
    ("chromium", "for tests of pages", "apt-get install chromium"),
    ("chromedriver", "for tests of pages", "apt-get install chromium-driver"),
)


def _python() -> Check:
    found = platform.python_version() if sys.version_info >= _OLDEST else ""
    return Check("Python", found, "to run at all", "install Python 3.11 or newer", needed=True)


def _package(name: str, purpose: str, cure: str, *, needed: bool = False) -> Check:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        found = ""
    return Check(name, found, purpose, cure, needed=needed)


def _loopback(bind: Callable[[], int] | None = None) -> Check:
    try:
        port = (bind or _bound)()
    except OSError as error:
        cure = f"allow programs to listen on 127.0.0.1 ({error.strerror or error})"
        return Check("a free port", "", "to listen", cure, needed=True)
    return Check("a free port", f"127.0.0.1:{port}", "to listen", "", needed=True)


def _bound() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _files(limit: int | None = None) -> Check:
    number = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    endless = number == resource.RLIM_INFINITY
    enough = endless or number >= _FILES_WANTED
    shown = "no limit" if endless else f"{number} open files"
    cure = f"ulimit -n {_FILES_WANTED} (it is {number})"
    return Check("file limit", shown if enough else "", "for thousands of held polls", cure)


def _ports(path: Path = _PORT_RANGE) -> Check:
    try:
        first, last = map(int, path.read_text().split())
    except (OSError, ValueError):  # another system than Linux; its own limit isn't known here
        return Check("local ports", "not limited as Linux does", "for thousands of connections", "")
    number = last - first + 1
    cure = f"sysctl net.ipv4.ip_local_port_range='1024 65535' (they are {number})"
    return Check(
        "local ports", f"{number}" if number >= _PORTS_WANTED else "", "for thousands of connections from here", cure
    )
