"""Invalid input is refused before any load, with one line on standard error and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.load.conftest import LOADTESTS, OWNERS

SCENARIO = LOADTESTS.parent / "scenarios" / "request_agent_stats.yaml"


def refused(folder: Path, *arguments: object, file: str = "agent_stats.py") -> list[str]:
    """Run Locust to its end and return its error lines that start with `cometreel: `."""
    command: list[str | Path] = [Path(sys.executable).with_name("locust"), "-f", LOADTESTS / file, "--headless"]
    ended = subprocess.run(
        [*command, "-t", "1s", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Ramping" not in ended.stderr, "load was started"
    return [line for line in ended.stderr.splitlines() if line.startswith("cometreel: ")]


HOST = ("--host", "http://127.0.0.1:9")
CASES = {
    "no host": (
        (*OWNERS,),
        "--host: no target is given; expected a URL such as https://gws.example:8090",
    ),
    "an unknown name in the mix": (
        (*HOST, "--reel-mix", "agent=50,plaze=50"),
        (
            "--reel-mix: 'plaze=50'; expected KIND=PERCENT with one of agent, place, agent-group, place-group, user "
            "(did you mean 'place'?)"
        ),
    ),
    "a mix that doesn't add up": (
        (*HOST, "--reel-mix", "agent=50,place=40"),
        "--reel-mix: the percentages of 'agent=50,place=40' add up to 90; expected 100 (10 are missing)",
    ),
    "a kind without an owner": (
        (*HOST, "--reel-mix", "agent=50,place=50"),
        (
            "--reel-owners: the mix has place, but no owner of this kind is given; expected at least one, "
            "such as place=Place{1..10}"
        ),
    ),
    "a rate that is none": (
        (*HOST, "--reel-mix", "agent=100", "--reel-rate", "fast"),
        (
            "--reel-rate: 'fast'; expected 100, 'ramp 10..200 in 60s', 'steps 50,100,150 of 30s', "
            "'spike 50..500 at 60s for 10s' or 'soak 80 for 8h'"
        ),
    ),
    "connection refused": (
        (*HOST, "--reel-mix", "agent=100"),
        "--host: http://127.0.0.1:9: the connection was refused; expected a server that answers",
    ),
    "a login without users": (
        (*HOST, "--reel-mix", "agent=100", "--reel-login", "session"),
        (
            "--reel-login: 'session' needs user names and passwords; expected --reel-users FILE, or a pattern such as "
            "agent-{1..200}"
        ),
    ),
    "a pattern without a password": (
        (*HOST, "--reel-mix", "agent=100", "--reel-users", "agent-{1..5}"),
        "--reel-users: the users of a pattern have no password; expected one in the variable REEL_PASSWORD",
    ),
    "a search without a limit": (
        (*HOST, "--reel-mix", "agent=100", "--reel-rate", 5, "--reel-find-capacity"),
        "--reel-find-capacity: no --reel-limit is given; expected a limit that decides if a rate is too high",
    ),
    "a search that begins with a shape": (
        (
            *(*HOST, "--reel-mix", "agent=100", "--reel-rate", "ramp 1..9 in 5s"),
            *("--reel-find-capacity", "--reel-limit", "lost == 0"),
        ),
        "--reel-rate: a search can't start at 'ramp 1..9 in 5s'; expected a constant rate, such as 10",
    ),
    "more lateness than patience": (
        (*HOST, "--reel-mix", "agent=100", "--reel-late", "20s"),
        "--reel-late: '20s'; expected at most --reel-patience, 10s (a lost answer can't be late)",
    ),
    "a scenario in place of a host": (
        ("--host", SCENARIO, "--reel-mix", "agent=100"),
        (
            f"--host: '{SCENARIO}' is a file; expected a URL such as https://gws.example:8090 (to drive load from a "
            "scenario: locust -f loadtests/from_scenario.py --reel-scenario FILE --host URL)"
        ),
    ),
}


@pytest.mark.parametrize(("arguments", "line"), CASES.values(), ids=CASES.keys())
def test_invalid_options_give_one_line_before_any_load(arguments: tuple[object, ...], line: str, tmp_path: Path):
    assert refused(tmp_path, *arguments) == [f"cometreel: {line}"]


def test_an_empty_owners_file(tmp_path: Path):
    (tmp_path / "owners.csv").write_text("kind,owner\n")
    (line,) = refused(tmp_path, *HOST, "--reel-owners", "owners.csv")
    assert line.startswith("cometreel: owners.csv: it contains no owner; expected at least one")


def test_a_host_without_bayeux(http_server: Callable[..., str], tmp_path: Path):
    url = http_server("404 Not Found")
    assert refused(tmp_path, "--host", url, "--reel-mix", "agent=100") == [
        (
            f"cometreel: --host: {url}/api/v2/notifications answered HTTP 404 without a Bayeux message; "
            "expected a GWS server or a replay"
        )
    ]


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_server_that_requires_a_login(status: str, http_server: Callable[..., str], tmp_path: Path):
    url = http_server(status, {"statusCode": 20, "statusMessage": "Access denied"})
    (line,) = refused(tmp_path, "--host", url)
    assert line == (
        f"cometreel: --host: {url}/api/v2/notifications answered HTTP {status[:3]} without a Bayeux message; "
        "expected a GWS server or a replay (the server requires a login: add --reel-users)"
    )


def test_a_redirect_is_not_followed(http_server: Callable[..., str], tmp_path: Path):
    url = http_server("302 Found")
    assert refused(tmp_path, "--host", url, "--reel-mix", "agent=100") == [
        (
            f"cometreel: --host: {url}/api/v2/notifications answered with a redirect (HTTP 302); "
            "expected a GWS server or a replay (redirects are not followed: use the host of the target)"
        )
    ]


def test_wrong_credentials(http_server: Callable[..., str], tmp_path: Path):
    url = http_server("403 Forbidden", {"statusCode": 20, "statusMessage": "Access denied"})
    (tmp_path / "users.csv").write_text("user,password\nann,secret-of-ann\n")
    assert refused(tmp_path, "--host", url, "--reel-mix", "agent=100", "--reel-users", "users.csv") == [
        (
            "cometreel: --reel-users: ann: login failed: the server refused "
            "/api/v2/me?subresources=features,devices,channels with HTTP 403 (statusCode 20); "
            "expected a user name and a password that the server accepts"
        )
    ]


def test_a_failed_login_that_is_not_about_credentials(http_server: Callable[..., str], tmp_path: Path):
    url = http_server("404 Not Found", {"statusCode": 6, "statusMessage": "Not recorded"})
    (tmp_path / "users.csv").write_text("user,password\nann,secret-of-ann\n")
    assert refused(tmp_path, "--host", url, "--reel-mix", "agent=100", "--reel-users", "users.csv") == [
        (
            f"cometreel: --host: {url}: login failed: the server answered "
            "/api/v2/me?subresources=features,devices,channels with HTTP 404 (statusCode 6: Not recorded); "
            "expected a GWS server, or a replay with a recorded login"
        )
    ]


def test_fewer_users_than_agents(tmp_path: Path):
    (tmp_path / "users.csv").write_text("user,password\nann,a\nben,b\n")
    (line,) = refused(tmp_path, *HOST, "-u", 3, "--reel-mix", "agent=100", "--reel-users", "users.csv")
    assert line == "cometreel: --reel-users: 2 users for 3 agents; expected at least 3"
