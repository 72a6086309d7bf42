"""Starts the servers that are compared, each with the same application, on the server core."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server_processes import ServerProcess, running
from benchmarks.stubs import free_port

__all__ = ["granian", "serve", "uvicorn"]

APPS = Path(__file__).parent / "apps"
PROGRAMS = Path(sys.executable).parent


@contextmanager
def serve(folder: Path, scenario: Path, *arguments: str) -> Iterator[ServerProcess]:
    """Run `cometreel serve` without the admin API."""
    command = [str(PROGRAMS / "cometreel"), "serve", str(scenario), "--no-watch", "--no-admin", *arguments]
    with running(command, folder / f"serve-{scenario.stem}.log", r"^http://127\.0\.0\.1:(\d+)") as server:
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
    """Run an application of `benchmarks/apps` in one granian worker."""
    command = ["env", f"REEL_SCENARIO={scenario}", str(PROGRAMS / "granian"), f"{app}:app", "--interface", interface]
    command += ["--host", "127.0.0.1", "--port", str(free_port()), "--workers", "1", "--loop", "uvloop", "--no-ws"]
    command += ["--working-dir", str(APPS), "--log-level", "info"]
    with running(command, folder / f"granian-{interface}.log", r"Listening at: http://127\.0\.0\.1:(\d+)") as server:
        yield server
