"""Links to the recorded server, in a real mitmproxy: `curl -L` at the replay ends at the replay."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cometreel.cli import ExitCode, run
from cometreel.engine import ReplaySettings
from cometreel.scenario import load
from cometreel.serve.app_factory import replay_app
from cometreel.serve.background import serve_in_background
from tests.proxy.conftest import Application, Proxy


def followed(base: str) -> tuple[str, str]:
    """Return the body and the URL at which `curl -L BASE/old` ends."""
    command = ["curl", "-sS", "-L", "-m", "10", "-w", "\n%{url_effective}", f"{base}/old"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    body, _, url = ended.stdout.rpartition("\n")
    return body, url


@pytest.fixture
def recorded(start: Callable[..., Proxy], application: Application, tmp_path: Path) -> Path:
    """The scenario of a recording in which the server sent a client from one page to the next."""
    journal = tmp_path / "links.jsonl"
    proxy = start("mitmdump", "--mode", f"reverse:{application.url}", script="record.py", reel_out=journal)
    base = f"http://127.0.0.1:{proxy.port}"
    moved = httpx.get(f"{base}/old", trust_env=False)
    assert moved.headers["location"] == f"{application.url}/new?page=2"
    assert httpx.get(f"{base}/new?page=2", trust_env=False).status_code == 200
    proxy.stop()
    return journal.with_suffix(".yaml")


def test_curl_ends_at_the_replay_of_a_live_recording(
    recorded: Path, start: Callable[..., Proxy], application: Application
) -> None:
    answer = {"statusCode": 0, "path": "/new"}
    asked = len(application.seen)
    proxy = start("mitmdump", "--mode", "reverse:http://unused", script="replay.py", reel_scenario=recorded)
    base = f"http://127.0.0.1:{proxy.port}"
    body, url = followed(base)
    assert (json.loads(body), url) == (answer, f"{base}/new?page=2")
    with serve_in_background(replay_app(load(recorded), ReplaySettings())) as served:
        body, url = followed(served.url)
        assert (json.loads(body), url) == (answer, f"{served.url}/new?page=2")
        link = httpx.get(f"{served.url}/old", trust_env=False).headers["link"]
        assert link == f'<{served.url}/new?page=3>; rel="next"'
    assert len(application.seen) == asked  # the recorded server got no request


def test_curl_ends_at_the_replay_of_a_har_file(tmp_path: Path) -> None:
    def entry(second: int, path: str, status: int, fields: dict[str, str], text: str) -> dict[str, Any]:
        headers = [{"name": name, "value": value} for name, value in fields.items()]
        response = {"status": status, "headers": headers, "content": {"text": text, "mimeType": "application/json"}}
        request = {"method": "GET", "url": f"https://app.corp{path}", "headers": []}
        return {"startedDateTime": f"2026-11-23T10:00:0{second}Z", "time": 1, "request": request, "response": response}

    entries = [
        entry(0, "/old", 302, {"Location": "https://app.corp:443/new"}, ""),
        entry(1, "/new", 200, {"Content-Type": "application/json"}, '{"n":1.50}'),
    ]
    file = tmp_path / "page.har"
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
    assert run(["import", str(file)]) == ExitCode.SUCCESS
    with serve_in_background(replay_app(load(file.with_suffix(".yaml")), ReplaySettings())) as served:
        assert followed(served.url) == ('{"n":1.50}', f"{served.url}/new")
