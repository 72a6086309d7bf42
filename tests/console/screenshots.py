"""Takes the screenshots of docs/console.md in a real browser: `python -m tests.console.screenshots`."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import httpx

from tests.chromium import Browser, chromium
from tests.console.conftest import Console
from tests.serve.admin_client import TOKEN, administered
from tests.serve.conftest import Desktop

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
SCENARIO = (ROOT / "scenarios" / "request_agent_stats.yaml").read_text("utf-8")
OWNERS = [("Place", "Place1"), ("AgentGroup", "ServiceAgentGroup"), ("PlaceGroup", "ServicePlaceGroup")]


def work(stack: ExitStack, url: str, user: str) -> None:
    """One agent at work: handshake, subscription, statistics, a poll that is held."""
    http = stack.enter_context(httpx.Client(base_url=url, timeout=60, trust_env=False, auth=(user, "any")))
    desktop = Desktop(http).handshakes()
    desktop.bayeux(channel="/meta/subscribe", subscription="/v2/me/*")
    http.post("/api/v2/workbins", json={"operationName": "RequestAgentStats"})
    for kind, owner in OWNERS:
        ask(http, kind, owner)
    desktop.poll()
    host, _, port = url.removeprefix("http://").rpartition(":")
    poll = stack.enter_context(closing(socket.create_connection((host, int(port)), 10)))
    poll.sendall(desktop.poll_bytes())  # held for as long as the pictures are taken


def ask(http: httpx.Client, kind: str, owner: str) -> None:
    """Ask for the statistics of one owner."""
    body = {"operationName": "RequestAgentStats", "workbinType": kind, "workbinOwner": owner}
    http.post("/api/v2/workbins", json=body)


def main() -> int:
    """Take them all: by day, by night, and in a hand."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        reel = stack.enter_context(administered(SCENARIO, speed=0))
        for user in ("kate", "ann", "tom"):
            work(stack, reel.served.url, user)
        ask(reel.app, "Place", "Place2")
        reel.app.get("/api/v2/me/devices")
        ask(reel.app, "Place", "Place1")
        reel.admin.post("/faults", json={"exchange": "own stats", "nth": 2, "status": 503})
        take(Console(browser, reel))
    return 0


def take(console: Console) -> None:
    """Take the pictures of one console."""
    browser, address = console.browser, f"{console.reel.served.url}/__reel__/?token={TOKEN}"
    open_at(browser, address, "light", (1280, 720))
    console.row("Place2").click()
    browser.find("#write").click()
    browser.find("#exchange")
    browser.screenshot(IMAGES / "console-light.png")
    open_at(browser, address, "dark", (1280, 720))
    console.open_tab("sessions")
    browser.settle()
    browser.screenshot(IMAGES / "console-dark.png")


def open_at(browser: Browser, address: str, theme: str, size: tuple[int, int]) -> None:
    """Open the page, and wait until it has shown the calls."""
    browser.open(address, theme="dark" if theme == "dark" else "light", size=size)
    browser.find("#rows .row")
    browser.settle()


if __name__ == "__main__":
    sys.exit(main())
