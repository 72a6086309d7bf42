"""Bad input to the addons in real mitmproxy processes."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cometreel.mitmproxy_support.addon_options import RECORD_OPTIONS, REPLAY_OPTIONS
from cometreel.mitmproxy_support.replay_options import OPTIONS
from cometreel.proxy_addons.record import Record
from cometreel.scenario import load
from tests.bad_input.test_command_line import bomb
from tests.proxy.conftest import Application, Desktop, Proxy, wait_until

ENDPOINT = "/api/v2/notifications"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "out" / "login.jsonl"


@pytest.fixture
def record(start: Callable[..., Proxy], application: Application, journal: Path) -> Callable[..., Proxy]:
    """Start mitmdump with the record addon before the application."""

    def _record(upstream: str = application.url, **more: Any) -> Proxy:
        return start("mitmdump", "--mode", f"reverse:{upstream}", script="record.py", **{"reel_out": journal, **more})

    return _record


def kinds(journal: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in journal.read_text().splitlines()[1:]]


def stopped(proxy: Proxy, agent: Desktop) -> None:
    """Stop after the client has closed: Python 3.11 prints a traceback for a connection that is cut by the stop."""
    agent.http.close()
    wait_until(
        lambda: proxy.output().count("client connect") == proxy.output().count("client disconnect"), "all have left"
    )
    assert "Traceback" not in proxy.stop()
    assert proxy.process.returncode == 0


FOREIGN = {
    "truncated JSON": b'[{"channel":"/meta/hand',
    "an array of numbers": b"[1,2,3]",
    "an array of objects that are no messages": b'[{"operationName":"Subscribe"}]',
    "a page": b"<html><body>nothing here</body></html>",
    "bytes": bytes(range(256)),
    "too deep": b"[" * 100_000,
    "a key twice": b'{"a":1,"a":2}',
    "huge": b"x" * 6_000_000,
}


def test_invalid_bodies_are_forwarded_unchanged_and_the_recorder_still_distils(
    record: Callable[..., Proxy], desktop: Callable[..., Desktop], journal: Path
) -> None:
    """One process for the whole table. Bodies that aren't JSON are recorded too, with two events each."""
    proxy = record(reel_filter="")
    agent = desktop(proxy.url)
    for body in FOREIGN.values():
        reply = agent.http.post("/echo", content=body, headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.content) == (200, body)
    for method, path in (("GET", "/%ff%00//..?=&;"), ("DELETE", "/api/v2/workbins"), ("BREW", "/tea")):
        assert agent.http.request(method, path).status_code in (200, 501)
    agent.log_in()
    assert agent.request_stats("Place1")["statusCode"] == 0
    assert kinds(journal).count("request") == kinds(journal).count("reply") == len(FOREIGN) + 3 + 3
    stopped(proxy, agent)
    assert any(exchange.name == "stats of place Place1" for exchange in load([journal.with_suffix(".yaml")]).exchanges)


class Resetting(threading.Thread):
    """A server that holds each request until the test resets the connection."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.asked = threading.Event()
        self.reset = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def run(self) -> None:
        connection, _ = self.socket.accept()
        connection.recv(65536)
        self.asked.set()
        self.reset.wait(30)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()
        self.socket.close()


def test_a_server_reset_during_a_poll_is_answered_and_recorded_and_the_recorder_continues(
    record: Callable[..., Proxy], desktop: Callable[..., Desktop], journal: Path
) -> None:
    server = Resetting()
    server.start()
    proxy = record(server.url)
    agent = desktop(proxy.url)
    poll = [{"channel": "/meta/connect", "connectionType": "long-polling", "clientId": "c1", "id": "7"}]
    replies: list[httpx.Response] = []
    polling = threading.Thread(target=lambda: replies.append(agent.http.post(ENDPOINT, json=poll)))
    polling.start()
    assert server.asked.wait(30)
    wait_until(lambda: kinds(journal) == ["request"], "the poll in the journal while it is held")
    server.reset.set()
    polling.join(30)
    assert [reply.status_code for reply in replies] == [502]
    wait_until(lambda: kinds(journal) == ["request", "error"], "the error")
    assert agent.http.get("/api/v2/me").status_code == 502, "the server is down now"
    stopped(proxy, agent)
    assert kinds(journal) == ["request", "error", "request", "error"]
    assert load([journal.with_suffix(".yaml")]).exchanges == ()


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        (
            {"reel_polciy": "strict"},
            (
                "reel_polciy: unknown option; expected one of reel_filter, reel_inline_limit, reel_out, reel_policy, "
                "reel_profile (did you mean reel_policy?)"
            ),
        ),
        (
            {"reel_nonsense": "1"},
            (
                "reel_nonsense: unknown option; expected one of reel_filter, reel_inline_limit, reel_out, reel_policy, "
                "reel_profile"
            ),
        ),
    ],
)
def test_a_misspelt_option_of_the_recorder_prevents_its_start(
    start: Callable[..., Proxy], journal: Path, setting: dict[str, str], line: str
) -> None:
    """Otherwise the recording would use the default policy instead of the strict one."""
    proxy = start("mitmdump", script="record.py", listens=False, reel_out=journal, **setting)
    assert proxy.process.wait(30) == 1
    assert re.search(rf"^\[[\d:.]+\] {re.escape(line)}$", proxy.output(), re.MULTILINE), proxy.output()
    assert "Traceback" not in proxy.output()
    assert not journal.exists()


def test_each_addon_accepts_the_options_of_the_others() -> None:
    added: list[str] = []

    class Loader:
        def add_option(self, name: str, *_: object) -> None:
            added.append(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cometreel.proxy_addons.record.ctx", type("Ctx", (), {"options": {}}))
        Record().load(Loader())
    assert set(added) == RECORD_OPTIONS
    assert OPTIONS == REPLAY_OPTIONS


BAD_SCENARIOS = {
    "a tag bomb": (
        bomb(),
        ":6:36: aliases expand to more than 1000000 values; expected fewer (write the data without aliases)",
    ),
    "an object": (
        "cometreel: !!python/object/apply:os.system [id]\n",
        (":1:12: the tag !!python/object/apply:os.system isn't allowed; expected plain data (remove the tag)"),
    ),
    "a list": ("- 1\n", ":1:1: a list; expected a mapping (start the file with 'cometreel: 1')"),
    "another version": (
        "cometreel: 2\n",
        (
            ":1:12: version 2 of the format; expected version 1"
            " (a newer version of Cometreel wrote this file; try: pip install --upgrade cometreel)"
        ),
    ),
}


@pytest.mark.parametrize(("text", "line"), BAD_SCENARIOS.values(), ids=BAD_SCENARIOS.keys())
def test_an_invalid_scenario_prevents_the_start_of_a_replay(
    start: Callable[..., Proxy], tmp_path: Path, text: str, line: str
) -> None:
    file = tmp_path / "b.yaml"
    file.write_text(text)
    proxy = start("mitmdump", "--mode", "reverse:http://unused", script="replay.py", listens=False, reel_scenario=file)
    assert proxy.process.wait(30) == 1
    assert re.search(rf"^\[[\d:.]+\] {re.escape(str(file) + line)}$", proxy.output(), re.MULTILINE), proxy.output()
    assert "Traceback" not in proxy.output()


def test_a_replay_continues_when_its_scenario_file_is_deleted(start: Callable[..., Proxy], tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "cometreel: 1\nexchanges:\n  - {name: a, request: {method: GET, path: /a}, reply: {body: {a: 1}}}\n"
    )
    proxy = start("mitmdump", "--mode", "reverse:http://unused", script="replay.py", reel_scenario=file)
    file.unlink()
    proxy.await_log("can't be read: No such file or directory")
    assert httpx.get(f"{proxy.url}/a", trust_env=False).json() == {"a": 1}
