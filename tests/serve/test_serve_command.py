"""The command `cometreel serve`: its output, its graceful stop, and one line for each error."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.stubs import free_port
from cometreel.cli import ExitCode, run
from demo.peers import ROOT
from demo.processes import Process
from tests.serve.conftest import SCENARIO, Desktop, until

COMETREEL = Path(sys.executable).with_name("cometreel")
PAGE = (ROOT / "docs" / "serve.md").read_text()

Start = Callable[..., tuple[Process, str]]
Dial = Callable[[str], socket.socket]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture
def start(tmp_path: Path, scenario: Path) -> Iterator[Start]:
    """Start the command: `start("--tls")` is its process and its URL."""
    started: list[Process] = []

    def _start(*arguments: str | Path) -> tuple[Process, str]:
        process = Process(f"serve-{len(started)}", [COMETREEL, "serve", scenario, *arguments], tmp_path)
        started.append(process)
        return process, process.await_line(r"^(https?://\S+)$")[1]

    yield _start
    for process in started:
        process.stop()


def test_the_url_is_the_only_line_on_standard_output(start: Start):
    process, url = start()
    assert httpx.get(url + "/api/v2/page", trust_env=False).text == "a page"
    assert process.out.read_text() == f"{url}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_and_answers_held_polls(start: Start, dial: Dial, number: signal.Signals):
    process, url = start("--no-admin")
    plain = dial(url)
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        plain.sendall(Desktop(http).handshakes().poll_bytes())
        assert http.get("/api/v2/page").text == "a page"  # so the earlier poll is held by now
        process.stop(number)
    answer = plain.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"channel":"/meta/connect"' in answer
    assert process.await_end() == f"{url}\n"
    assert process.err.read_text() == ""


def test_an_edit_is_played_and_a_broken_one_is_reported(start: Start, scenario: Path):
    process, url = start()
    scenario.write_text(SCENARIO.replace("a page", "another page"))
    until(lambda: httpx.get(url + "/api/v2/page", trust_env=False).text == "another page", "the edit is played")
    scenario.write_text("cometreel: 1\nexchange: []\n")
    until(lambda: "The previous scenario stays active" in process.err.read_text(), "the broken edit is reported")
    assert httpx.get(url + "/api/v2/page", trust_env=False).text == "another page"


def test_command_line_settings_are_applied(start: Start):
    _, url = start("--seed", "1", "--speed", "0", "--auth", "session", "--node", "n1", "--repeat", "fail")
    asked = {"auth": ("ann", "any"), "trust_env": False}
    assert httpx.get(url + "/api/v2/page", trust_env=False).status_code == 403
    slow = httpx.get(url + "/api/v2/slow", **asked)  # type: ignore[arg-type]  # two arguments of two types
    assert slow.json() == {"statusCode": 0}
    assert re.fullmatch(r"[0-9a-f]{32}\.n1", slow.cookies["JSESSIONID"])


def test_responders_of_a_file_answer_first(start: Start, tmp_path: Path):
    responders = tmp_path / "responders.py"
    responders.write_text(
        "from cometreel.engine import Response\n\n\ndef first(asked):\n    return Response({'asked': asked.path})\n\n\n"
        "responders = [first]\n"
    )
    _, url = start("--responders", responders)
    assert httpx.get(url + "/api/v2/page", trust_env=False).json() == {"asked": "/api/v2/page"}


IMPOSSIBLE = {
    ("--port", "70000"): "--port: 70000; expected a number from 0 to 65535",
    ("--host", "192.0.2.1"): (
        "--host: '192.0.2.1' is not an address of this machine; expected 127.0.0.1, 0.0.0.0 or the like"
    ),
    ("--speed", "-1"): "--speed: -1.0 can't be used; expected a number, 0 or more",
    ("--unmatched", "forward"): (
        "--upstream: missing; expected the URL of the real server, to which unmatched GETs are forwarded"
    ),
    ("--upstream", "gws"): (
        "--upstream: 'gws' is not the base URL of a server; expected a URL like http://gws.example:8080"
    ),
    ("--key", "x.pem"): "--key: given without its certificate; expected --certificate FILE too",
    ("--certificate", "/nowhere.pem"): (
        "--certificate: /nowhere.pem can't be read: No such file or directory; expected a PEM file"
    ),
    ("--nodes", "2", "--certificate", "/nowhere.pem"): (
        "--certificate: /nowhere.pem can't be read: No such file or directory; expected a PEM file"
    ),
    ("--nodes", "2", "--admin-from", "any"): (
        "--admin-from: given together with --nodes, each of which has an admin API for this machine only; "
        "expected one of the two"
    ),
    ("--nodes", "2", "--clock", "manual"): (
        "--clock: manual together with --nodes, each of which would have a clock that is moved separately; "
        "expected one of the two"
    ),
    ("--no-admin", "--clock", "manual"): (
        "--clock: manual together with --no-admin; nothing could move it; expected one of the two"
    ),
    ("--nodes", "0"): "--nodes: 0; expected 1 or more",
    ("--responders", "none.py"): (
        "none.py: there is no such Python file; expected a file with responders (reel_responders=FILE.py)"
    ),
    ("nowhere.yaml",): ("nowhere.yaml: can't be read: No such file or directory; expected a scenario file or folder"),
}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(*case, marks=[pytest.mark.haproxy] if {"--nodes", "--certificate"} <= set(case[0]) else [])
        for case in IMPOSSIBLE.items()
    ],
    ids=" ".join,
)
def test_an_invalid_option_is_one_line_and_exit_code_2(
    scenario: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], text: str
):
    assert run(["serve", str(scenario), "--no-watch", *arguments]) == ExitCode.ERROR
    assert capsys.readouterr() == ("", f"cometreel: {text}\n")


def test_a_port_in_use_is_reported_with_its_number(scenario: Path, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", str(scenario), "--port", str(port)]) == ExitCode.ERROR
    text = f"--port: {port} on 127.0.0.1 is used by another program; expected a free port (0 selects one)"
    assert capsys.readouterr() == ("", f"cometreel: {text}\n")


def _runnable(command: str) -> str:
    """Make the command wait for the URL of a server, and end the output of curl with a newline."""
    if command.endswith("&"):
        return command.removesuffix("&") + " > >(tee url) 2>/dev/null &\nuntil [ -s url ]; do sleep 0.05; done"
    return f"{command}; echo" if command.startswith("curl") and "|" not in command else command


@pytest.mark.parametrize("blocks", [(0, 1), (2,), (3,)], ids=["HTTP", "CORS", "HTTPS"])
def test_the_commands_of_the_documentation_do_what_it_shows(tmp_path: Path, blocks: tuple[int, ...]):
    """Each block is run on a free port."""
    shown = [re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)[number] for number in blocks]
    port = str(free_port())
    lines = re.sub(r"\b808[01]\b|\b8443\b", port, "".join(shown)).splitlines()
    expected = [line for line in lines if not line.startswith("$ ")]
    script = ["trap 'kill $(jobs -p); wait' EXIT"]
    script += [_runnable(line[2:]) for line in lines if line.startswith("$ ")]
    ran = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env={"PATH": f"{COMETREEL.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.splitlines() == expected, ran.stderr


def test_links_of_the_documentation_are_valid():
    pages = [ROOT / "docs" / name for name in ("serve.md", "many-machines.md", "choice-of-server.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())]
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []
