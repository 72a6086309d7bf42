"""Starts the servers that are compared, on the server core: each with a constant reply, or with the same replay."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.engine_forms import ROOT, EngineForm
from benchmarks.server_processes import ServerProcess, running
from benchmarks.stubs import free_port

__all__ = ["PURE", "bare_protocol", "fastpysgi", "granian", "serve", "uvicorn"]

APPS = Path(__file__).parent / "apps"
PROGRAMS = Path(sys.executable).parent
PURE = EngineForm("pure", ROOT)
_FASTPYSGI = """\
from fastpysgi import run_from_cli, server
server.add_header_date, server.add_header_server, server.lifespan = False, "", 0
run_from_cli()
"""


@contextmanager
def serve(folder: Path, scenario: Path, form: EngineForm = PURE) -> Iterator[ServerProcess]:
    """Run `cometreel serve` without the admin API, with this form of the engine."""
    command = [*_env(form), str(PROGRAMS / "cometreel"), "serve", str(scenario), "--no-watch", "--no-admin"]
    with running(command, folder / f"serve-{scenario.stem}-{form.name}.log", r"^http://127\.0\.0\.1:(\d+)") as server:
        yield server


@contextmanager
def uvicorn(folder: Path, app: str) -> Iterator[ServerProcess]:
    """Run an application of `benchmarks/apps` in uvicorn with uvloop and httptools, with minimal logging."""
    command = [str(PROGRAMS / "uvicorn"), f"{app}:app", "--app-dir", str(APPS), "--port", "0", "--lifespan", "off"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header", "--no-date-header"]
    with running(command, folder / "uvicorn.log", r"http://127\.0\.0\.1:(\d+)") as server:
        yield server


@contextmanager
def granian(folder: Path, app: str, interface: str, scenario: Path) -> Iterator[ServerProcess]:
    """Run an application of `benchmarks/apps`, such as `constant:app`, in one granian worker."""
    command = [*_env(PURE, scenario), str(PROGRAMS / "granian"), app, "--interface", interface]
    command += ["--host", "127.0.0.1", "--port", str(free_port()), "--workers", "1", "--loop", "uvloop", "--no-ws"]
    command += ["--working-dir", str(APPS), "--log-level", "info"]
    with running(
        command,
        folder / f"granian-{app.replace(':', '-')}.log",
        r"(?s)Listening at: http://127\.0\.0\.1:(\d+).*Started worker",
    ) as server:
        yield server


@contextmanager
def fastpysgi(folder: Path, app: str, scenario: Path) -> Iterator[ServerProcess]:
    """Run an application of `benchmarks/apps` in fastpysgi, without its own header fields."""
    command = [*_env(PURE, scenario), sys.executable, "-c", _FASTPYSGI, app, "--host", "127.0.0.1"]
    log = folder / f"fastpysgi-{app.replace(':', '-')}.log"
    with running([*command, "--port", str(free_port())], log, r"listening at http://127\.0\.0\.1:(\d+)") as server:
        yield server


@contextmanager
def bare_protocol(folder: Path) -> Iterator[ServerProcess]:
    """Run a uvloop protocol that answers each packet: the cost of the socket and the event loop alone."""
    command = [*_env(PURE), sys.executable, "-m", "benchmarks.apps.bare_protocol"]
    with running(command, folder / "bare.log", r"^http://127\.0\.0\.1:(\d+)") as server:
        yield server


def _env(form: EngineForm, scenario: Path | None = None) -> list[str]:
    """Return the start of a command that sets the environment of a server."""
    path = f"PYTHONPATH={form.environment()['PYTHONPATH']}:{APPS}"
    return ["env", path, *([f"REEL_SCENARIO={scenario}"] if scenario is not None else [])]
