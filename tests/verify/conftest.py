"""Servers to verify: the stand-in, unchanged and with each of its changes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp

from cometreel.serve import Certificate, ListenOptions, serve_in_background
from demo import peers

RECORDED = "recordings/workbin-desktop.yaml"
CHANGES = re.findall(r"^    '([a-z-]+)': \[", (peers.NODE / "changes.js").read_text(), re.MULTILINE)
"""The changes that the stand-in supports."""

LOGIN = {"COMETREEL_USER": peers.ANN.user, "COMETREEL_PASSWORD": peers.ANN.password}


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished command: its exit code and output, with the server's address replaced by URL."""

    code: int
    out: list[str]
    err: str


def verified(url: str, *arguments: str) -> Ended:
    """Run the command in the folder of the project."""
    program = Path(sys.executable).with_name("cometreel")
    command: list[str | Path] = [program, "verify", RECORDED, "--against", url, *arguments]
    ended = subprocess.run(
        command, cwd=peers.ROOT, env={**os.environ, **LOGIN}, capture_output=True, text=True, check=False, timeout=100
    )
    return Ended(ended.returncode, ended.stdout.replace(url, "URL").splitlines(), ended.stderr)


@pytest.fixture(scope="session")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    """Verify the stand-in with each change, and under the empty name without any; several at a time."""
    missing = peers.missing_peers()
    if missing:
        pytest.fail(f"peers are not installed: {', '.join(missing)}; run `make setup`", pytrace=False)

    def verify(change: str) -> Ended:
        folder = tmp_path_factory.mktemp(change or "unchanged")
        server = peers.stand_in(folder, *(["--change", change] if change else []))
        with server.process:
            return verified(server.url)

    names = ["", *CHANGES]
    with ThreadPoolExecutor(max_workers=6) as pool:
        return dict(zip(names, pool.map(verify, names), strict=True))


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[str]:
    """Start an unchanged stand-in and return its URL."""
    server = peers.stand_in(tmp_path)
    with server.process:
        yield server.url


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the credentials of a user of the stand-in."""
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def serving() -> Iterator[Callable[..., str]]:
    """Serve an application until the test ends: `serving(app)` returns its URL; with a certificate, by TLS."""
    with ExitStack() as stack:

        def start(app: ASGIApp, certificate: Certificate | None = None) -> str:
            @asynccontextmanager
            async def opened() -> AsyncIterator[ASGIApp]:
                yield app

            return stack.enter_context(serve_in_background(opened, ListenOptions(certificate=certificate))).url

        yield start


def answering(status: int, body: str | bytes = "", **headers: str) -> ASGIApp:
    """Return an application with the same reply to every request."""
    return Router(
        [], default=Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
    )
