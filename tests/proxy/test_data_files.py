"""Scenarios with data files in real programs: `cometreel serve`, and mitmdump with the replay addon."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from demo.processes import TIMEOUT, Process
from tests.proxy.conftest import Proxy

COMETREEL = Path(sys.executable).with_name("cometreel")
SCENARIO = """
cometreel: 1
exchanges:
  - name: search
    request: {method: POST, path: /search, body: {$file: desktop/search-1.json}}
    reply: {status: 200, body: {found: {$file: desktop/found-1.json}}}
  - name: page
    request: {method: GET, path: /page}
    reply: {status: 200, headers: {Content-Type: text/html}, text: {$file: desktop/page-1.html}}
"""
SEARCH = {"words": ["workbin", "place"], "limit": 5}
FILES = {"search-1.json": json.dumps(SEARCH), "found-1.json": '[{"id":1.50}]', "page-1.html": "<p>Grüße</p>"}


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    folder = tmp_path / "desktop"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content, "utf-8")
    file = tmp_path / "desktop.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(params=["cometreel serve", "mitmdump"])
def url(request: pytest.FixtureRequest, start: Callable[..., Proxy], scenario: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of a program that replays the scenario."""
    if request.param == "mitmdump":
        proxy = start("mitmdump", "--mode", "reverse:http://unused", script="replay.py", reel_scenario=scenario)
        yield f"http://127.0.0.1:{proxy.port}"
        return
    served = Process("serve", [COMETREEL, "serve", scenario], tmp_path)
    yield served.await_line(r"^(http://\S+)$")[1]
    served.stop()


def test_data_files_are_compared_sent_and_read_again(url: str, scenario: Path) -> None:
    def search(asked: object) -> httpx.Response:
        return httpx.post(f"{url}/search", json=asked, trust_env=False)

    assert search(SEARCH).text == '{"found":[{"id":1.50}]}'
    assert search({**SEARCH, "limit": 6}).status_code == 404
    page = httpx.get(f"{url}/page", trust_env=False)
    assert (page.text, page.headers["content-type"]) == ("<p>Grüße</p>", "text/html")
    (scenario.parent / "desktop" / "found-1.json").write_text('["edited"]')
    end = time.monotonic() + TIMEOUT
    while search(SEARCH).json() != {"found": ["edited"]}:
        assert time.monotonic() < end, "an edit of a data file is played"
        time.sleep(0.1)
