"""Real programs for the tests: a Chromium, and a mitmdump between a client and a server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from demo import peers
from demo.processes import Process


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """The processes of a test; they are stopped after it in reverse order."""
    missing = [*peers.missing_peers(), *(["the program node"] if shutil.which("node") is None else [])]
    if missing:
        pytest.fail(f"peers are not installed: {', '.join(missing)}; run `make setup`", pytrace=False)
    running: list[Process] = []
    yield running
    for process in reversed(running):
        process.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """A Chromium that logs the DevTools events needed for a HAR file."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.fail("needs a real Chromium: apt-get install -y chromium chromium-driver", pytrace=False)
    options = ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    started = Chrome(options=options, service=Service(driver))
    started.set_script_timeout(20)
    yield started
    started.quit()


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same traffic in three formats, written by one mitmdump.

    `flows.mitm` with `-w`, `dump.har` with `hardump`, `live.jsonl` and `live.yaml` with the recording addon.
    """
    folder = tmp_path_factory.mktemp("dumped")
    server = peers.stand_in(folder)
    with server.process:
        options = {"hardump": folder / "dump.har", "save_stream_file": folder / "flows.mitm"}
        record = {"reel_out": folder / "live.jsonl", "reel_filter": "~u /api/v2/"}
        proxy = peers.mitmdump(folder, f"reverse:{server.url}", peers.ADDONS / "record.py", {**options, **record})
        with proxy.process:
            peers.client(folder, "cometd-3", proxy.url).await_end()
    return folder
