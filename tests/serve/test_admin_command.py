"""The output of `cometreel serve` about its admin API, on a terminal and in a file."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cometreel.serve.admin.auth import TOKEN_VARIABLE
from tests.serve.admin_client import TOKEN
from tests.serve.conftest import PATIENCE, SCENARIO


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "test.yaml"
    path.write_text(SCENARIO)
    return path


@contextmanager
def serving(*arguments: object, token: str = "", stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """Run the command, and end it."""
    command = [sys.executable, "-m", "cometreel", "serve", *map(str, arguments)]
    environment = {**os.environ, TOKEN_VARIABLE: token}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline().strip()


def test_a_terminal_shows_the_address_with_the_token(scenario: Path):
    ours, theirs = pty.openpty()
    with serving(scenario, stderr=theirs) as process, os.fdopen(ours, errors="replace") as terminal:
        url, line = url_of(process), terminal.readline().strip()
        os.close(theirs)
        shown = re.fullmatch(rf"cometreel: console at ({re.escape(url)}/__reel__/\?token=[A-Za-z0-9_-]{{32}})", line)
        assert shown, line
        assert httpx.get(shown[1], trust_env=False).json()["unplayed"] == 4


def test_a_redirected_log_explains_how_to_choose_a_token_without_showing_one(scenario: Path):
    with serving(scenario) as process:
        url, line = url_of(process), line_of(process)
        assert line == f"cometreel: to use the console at {url}/__reel__/, start with COMETREEL_ADMIN_TOKEN set"
        assert httpx.get(f"{url}/__reel__/", trust_env=False).status_code == 401


def test_the_token_from_the_environment_is_used_and_not_shown(scenario: Path):
    with serving(scenario, token=TOKEN) as process:
        url = url_of(process)
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{url}/__reel__/", headers=bearer, trust_env=False).status_code == 200
        process.terminate()
        assert process.communicate(timeout=PATIENCE)[1] == ""


def test_without_the_admin_api_no_admin_url_is_shown_or_served(scenario: Path):
    with serving(scenario, "--no-admin", token=TOKEN) as process:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        reply = httpx.get(f"{url_of(process)}/__reel__/", headers=bearer, trust_env=False)
        assert (reply.status_code, reply.json()["statusCode"]) == (404, 6)


def test_admin_from_any_accepts_any_host(scenario: Path):
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "reel.example", "X-Forwarded-For": "192.0.2.1"}
    with serving(scenario, token=TOKEN) as here, serving(scenario, "--admin-from", "any", token=TOKEN) as any_:
        found = [httpx.get(f"{url_of(one)}/__reel__/", headers=headers, trust_env=False) for one in (here, any_)]
    assert [reply.status_code for reply in found] == [403, 200]


def test_an_invalid_token_ends_the_command_before_it_listens(scenario: Path):
    with serving(scenario, token="short") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, "")
    assert err == (
        "cometreel: COMETREEL_ADMIN_TOKEN: its value of 5 characters is not a token; expected 16 to 200 letters, "
        "digits and . _ ~ - (unset it to get a new token for each run)\n"
    )
