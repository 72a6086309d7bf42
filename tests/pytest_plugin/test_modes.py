"""Recording from a real server: the modes once, new, all and none, and the summary of the run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.scenario import load
from cometreel.serve import serve_in_background


class Upstream:
    """Replies to each request with the number of requests so far."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        self.requests.append(scope["path"])
        body = json.dumps({"statusCode": 0, "count": len(self.requests)}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    app = Upstream()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Upstream]:
        yield app

    with serve_in_background(opened) as served:
        app.url = served.url
        yield app


@pytest.fixture
def echo() -> Iterator[str]:
    """The URL of a server that sends every frame of a WebSocket back."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    @asynccontextmanager
    async def opened() -> AsyncIterator[ASGIApp]:
        yield app

    with serve_in_background(opened) as served:
        yield served.url


ASK = """
import httpx, pytest

@pytest.mark.reel("new.yaml", speed=0)
def test_it(reel):
    assert httpx.get(reel.url + "/api/v2/%s").json()["statusCode"] == 0
    assert [(call.path, call.status) for call in reel.calls] == [("/api/v2/%s", 200)]
"""


def ask(path: str) -> str:
    return ASK % (path, path)


@pytest.fixture
def record(run: Callable[..., Any], upstream: Upstream) -> Callable[..., Any]:
    """Run a test that requests a path, with these options and the upstream's URL."""

    def do(path: str, *options: str, **more: Any) -> Any:
        return run(ask(path), f"--reel-record={upstream.url}", *options, **more)

    return do


def _exchanges(path: Path) -> list[str]:
    return [exchange.name for exchange in load([path]).exchanges]


def test_once_records_a_missing_scenario_and_then_replays_it(
    record: Callable[..., Any], run: Callable[..., Any], project: Any, upstream: Upstream
):
    assert record("me").outcomes == {"passed": 1}
    assert _exchanges(project.path / "new.yaml") == ["me"]
    assert record("me").outcomes == {"passed": 1}
    assert run(ask("me")).outcomes == {"passed": 1}
    assert upstream.requests == ["/api/v2/me"]


def test_summary_of_recordings(record: Callable[..., Any], project: Any):
    ran = record("me")
    folder = project.path
    assert ran.part("recordings") == (
        f"scenario in {folder}/new.yaml; journal in {folder}/new.jsonl\n"
        "  1 exchange, 0 timeline entries, 1 session\n"
        "  notifications: 0 unsolicited\n"
        f"  JSON Schema for editors in {folder}/scenario.schema.json"
    )


def test_summary_of_recordings_with_xdist(record: Callable[..., Any], project: Any):
    ran = record("me", "-n", "1", subprocess=True)
    assert ran.outcomes == {"passed": 1}
    assert ran.part("recordings").startswith(f"scenario in {project.path}/new.yaml; journal in")


def test_once_fails_for_a_request_that_is_not_recorded(record: Callable[..., Any], upstream: Upstream):
    record("me")
    ran = record("other")
    assert ran.outcomes == {"failed": 1}
    assert upstream.requests == ["/api/v2/me"]


def test_new_adds_exchanges(record: Callable[..., Any], project: Any, upstream: Upstream):
    """They are written to another file, because the existing one may have been edited."""
    record("me")
    before = (project.path / "new.yaml").read_text()
    ran = record("other", "--reel-record-mode=new")
    assert ran.outcomes == {"passed": 1}
    assert (project.path / "new.yaml").read_text() == before
    assert _exchanges(project.path / "new.new.yaml") == ["me", "other"]
    assert "  +      path: /api/v2/other" in ran.part("recordings").splitlines()
    assert sorted(path.name for path in project.path.glob("*.jsonl")) == ["new.2.jsonl", "new.jsonl"]


def test_new_without_new_exchanges(record: Callable[..., Any], project: Any):
    record("me")
    ran = record("me", "--reel-record-mode=new")
    assert ran.part("recordings").splitlines()[:2] == [
        f"{project.path}/new.yaml is unchanged; journal in {project.path}/new.2.jsonl",
        "  new.yaml answers all recorded requests; no scenario is written",
    ]
    assert not (project.path / "new.new.yaml").exists()


def test_all_records_again_next_to_the_scenario(record: Callable[..., Any], project: Any, upstream: Upstream):
    record("me")
    ran = record("other", "--reel-record-mode=all")
    assert ran.outcomes == {"passed": 1}
    assert _exchanges(project.path / "new.yaml") == ["me"]
    assert _exchanges(project.path / "new.new.yaml") == ["other"]
    assert upstream.requests == ["/api/v2/me", "/api/v2/other"]


def test_none_records_nothing(record: Callable[..., Any], project: Any, upstream: Upstream):
    ran = record("me", "--reel-record-mode=none")
    assert ran.outcomes == {"errors": 1}
    assert ran.part("ERROR at setup of test_it") == (
        f"@pytest.mark.reel: {project.path}/new.yaml: no such file; expected a scenario file or folder "
        "(to record it: pytest --reel-record=URL)"
    )
    assert upstream.requests == []
    assert not list(project.path.glob("new.*"))


def test_record_options_in_the_ini_file(run: Callable[..., Any], project: Any, upstream: Upstream):
    ini = project.path / "pytest.ini"
    ini.write_text(f"{ini.read_text()}\nreel_record = {upstream.url}\nreel_record_mode = all\n")
    assert run(ask("me")).outcomes == {"passed": 1}
    assert run(ask("me"), "--reel-record=", "--reel-record-mode=none").outcomes == {"passed": 1}
    assert upstream.requests == ["/api/v2/me"]


def test_recording_of_a_failed_test_is_kept(run: Callable[..., Any], project: Any, upstream: Upstream):
    ran = run(ask("me") + "    assert not reel.url\n", f"--reel-record={upstream.url}")
    assert ran.outcomes == {"failed": 1}
    assert _exchanges(project.path / "new.yaml") == ["me"]


def test_test_without_requests_writes_no_scenario(run: Callable[..., Any], project: Any, upstream: Upstream):
    source = "import pytest\n\n@pytest.mark.reel('new.yaml')\ndef test_it(reel):\n    assert reel.calls == []\n"
    ran = run(source, f"--reel-record={upstream.url}", "--reel-strict")
    assert ran.outcomes == {"passed": 1}
    assert ran.part("recordings").splitlines()[1] == "  nothing was recorded; no scenario is written"
    assert not (project.path / "new.yaml").exists()


@pytest.mark.parametrize("what", ["push('/v2/me', {})", "fault({})", "register(print)", "add()", "sessions"])
def test_commands_are_not_available_while_recording(run: Callable[..., Any], upstream: Upstream, what: str):
    source = f"import pytest\n\n@pytest.mark.reel('new.yaml')\ndef test_it(reel):\n    reel.{what}\n"
    ran = run(source, f"--reel-record={upstream.url}")
    assert (
        f"NotWhileRecording: the reel: only url, calls and close() are available while {upstream.url} is being "
        "recorded; expected a scenario that is replayed (skip this test, or pass --reel-record-mode=none)"
    ) in ran.text


def test_nothing_is_unmatched_or_given_up_while_recording(run: Callable[..., Any], upstream: Upstream):
    ran = run(
        """
import pytest, httpx

@pytest.mark.reel("new.yaml")
def test_it(reel):
    httpx.get(reel.url + "/api/v2/me")
    assert (reel.unmatched, reel.failed, reel.given_up) == ([], [], [])
""",
        f"--reel-record={upstream.url}",
    )
    assert ran.outcomes == {"passed": 1}


@pytest.mark.parametrize("given", ["'''cometreel: 1\\nexchanges: []\\n'''", "'desktop.yaml', 'desk2.yaml'"])
def test_only_a_single_file_is_recorded(run: Callable[..., Any], project: Any, upstream: Upstream, given: str):
    (project.path / "desk2.yaml").write_text("cometreel: 1\nexchanges: []\n")
    source = f"def test_it(reel):\n    reel.play({given}).push('/v2/me', {{}})\n"
    ran = run(source, f"--reel-record={upstream.url}", "--reel-record-mode=all")
    assert ran.outcomes == {"passed": 1}


def test_publish_is_a_call_but_meta_messages_are_not(run: Callable[..., Any], upstream: Upstream):
    ran = run(
        """
import httpx, pytest

@pytest.mark.reel("new.yaml")
def test_it(reel):
    poll = {"channel": "/meta/connect", "clientId": "1"}
    publish = {"channel": "/service/chat", "data": {"operation": "join"}}
    httpx.post(reel.url + "/cometd", json=[poll, publish])
    assert [(call.method, call.target, call.data) for call in reel.calls] == [
        ("PUBLISH", "/service/chat", {"operation": "join"})
    ]
""",
        f"--reel-record={upstream.url}",
    )
    assert ran.outcomes == {"passed": 1}


def test_websocket_frame_is_a_call_only_if_it_publishes(run: Callable[..., Any], echo: str):
    ran = run(
        """
import pytest
from websockets.sync.client import connect

@pytest.mark.reel("new.yaml")
def test_it(reel):
    with connect(reel.url.replace("http:", "ws:") + "/cometd") as client:
        client.send('[{"channel":"/meta/connect"},{"channel":"/service/chat","data":7}]')
        client.recv()
        client.send("something else")
        client.recv()
    assert [(call.method, call.target, call.data) for call in reel.calls] == [("PUBLISH", "/service/chat", 7)]
""",
        f"--reel-record={echo}",
    )
    assert ran.outcomes == {"passed": 1}


def test_invalid_scenario_is_reported_before_recording(record: Callable[..., Any], project: Any):
    (project.path / "new.yaml").write_text("cometreel: 1\nexchanges: 5\n")
    ran = record("me", "--reel-record-mode=all")
    assert ran.part("ERROR at setup of test_it") == (
        f"@pytest.mark.reel: {project.path}/new.yaml:2:12: the number 5; expected a list"
    )
    assert not list(project.path.glob("*.jsonl"))


def test_recording_in_a_process_patched_by_gevent(record: Callable[..., Any], project: Any):
    """The recording proxy runs in a native thread, as a replay does."""
    gevent = "from gevent import monkey\nmonkey.patch_all()\n"
    ran = record("me", "-p", "no:timeout", "-p", "no:asyncio", "-W", "ignore", subprocess=True, conftest=gevent)
    assert ran.outcomes == {"passed": 1}
    assert _exchanges(project.path / "new.yaml") == ["me"]


def test_a_recording_has_no_clock(run: Callable[..., Any], upstream: Upstream):
    ran = run(
        """
import cometreel, pytest

@pytest.mark.reel("new.yaml", clock="manual")
def test_it(reel):
    with pytest.raises(cometreel.CometreelError, match="only url, calls and close"):
        reel.clock
""",
        f"--reel-record={upstream.url}",
    )
    assert ran.outcomes == {"passed": 1}
