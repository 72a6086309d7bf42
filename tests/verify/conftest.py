"""Real servers to verify: the stand-in, as it was recorded and drifted in every way that it knows."""

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
"""Every way in which the stand-in can drift."""

LOGIN = {"COMETREEL_USER": peers.ANN.user, "COMETREEL_PASSWORD": peers.ANN.password}


@dataclass(frozen=True, slots=True)
class Ended:
    """A verification that has ended: its exit code, and the lines that it printed, the server's address as URL."""

    code: int
    out: list[str]
    err: str


def verified(url: str, *arguments: str) -> Ended:
    """Run the command as a user does, in the folder of the project."""
    program = Path(sys.executable).with_name("cometreel")
    command: list[str | Path] = [program, "verify", RECORDED, "--against", url, *arguments]
    ended = subprocess.run(
        command, cwd=peers.ROOT, env={**os.environ, **LOGIN}, capture_output=True, text=True, check=False, timeout=100
    )
    return Ended(ended.returncode, ended.stdout.replace(url, "URL").splitlines(), ended.stderr)


@pytest.fixture(scope="session")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    """Every drifted stand-in, verified; and under the empty name the one that is as it was. Several at a time."""
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
    """The address of a stand-in that is as it was recorded."""
    server = peers.stand_in(tmp_path)
    with server.process:
        yield server.url


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log in as a user whom the stand-in knows."""
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def serving() -> Iterator[Callable[..., str]]:
    """Serve an application until the test ends: `serving(app)` is its address; with a certificate it is TLS."""
    with ExitStack() as stack:

        def start(app: ASGIApp, certificate: Certificate | None = None) -> str:
            @asynccontextmanager
            async def opened() -> AsyncIterator[ASGIApp]:
                yield app

            return stack.enter_context(serve_in_background(opened, ListenOptions(certificate=certificate))).url

        yield start


def answering(status: int, body: str | bytes = "", **headers: str) -> ASGIApp:
    """An application that gives every request the same answer."""
    return Router(
        [], default=Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
    )
