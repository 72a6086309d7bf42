"""The console and the page without a token: no violation of WCAG A or AA, no small text."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.accessibility import small_texts, violations
from tests.chromium import Browser
from tests.console.conftest import Console
from tests.serve.admin_client import TOKEN, administered
from tests.serve.conftest import SCENARIO, Desktop

DESKTOP, PHONE = (1280, 900), (390, 844)
TABS = ("unmatched", "sessions", "push", "faults", "unplayed", "call")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_tab_has_a_violation_or_a_small_text(
    browser: Browser, theme: Literal["light", "dark"], size: tuple[int, int]
):
    with administered(SCENARIO, speed=0) as reel:
        console = Console(browser, reel)
        work(console)
        browser.open(f"{reel.served.url}/__reel__/?token={TOKEN}", theme=theme, size=size)
        console.shows("#connection", "live")
        assert (violations(browser), small_texts(browser)) == ([], [])
        console.row("/nowhere").click()
        for tab in TABS:
            console.open_tab(tab)
            browser.settle()
            assert (tab, violations(browser), small_texts(browser)) == (tab, [], [])
        browser.find("#reset").click()
        assert (violations(browser), small_texts(browser)) == ([], [])
        browser.driver.get("about:blank")


def work(console: Console) -> None:
    """Send a request of each kind: answered, unmatched by GET and POST, refused, with a fault."""
    app, admin = console.reel.app, console.reel.admin
    Desktop(app).handshakes().bayeux(channel="/meta/subscribe", subscription="/v2/me/*")
    for _ in range(2):
        app.post("/api/v2/workbins", json={"operationName": "RequestAgentStats"})
        admin.post("/faults", json={"exchange": console.reel.get("/unplayed")["unplayed"][0], "status": 503})
    app.get("/nowhere")
    app.post("/nowhere", json={"a": 1})


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_without_a_token_has_no_violation(
    browser: Browser, theme: Literal["light", "dark"], size: tuple[int, int]
):
    with administered() as reel:
        browser.open(f"{reel.served.url}/__reel__/", theme=theme, size=size)
        assert browser.find("h1").text == "Cometreel console"
        assert "COMETREEL_ADMIN_TOKEN" in browser.find("main").text
        assert (violations(browser), small_texts(browser)) == ([], [])
        assert browser.run("return document.documentElement.scrollWidth") == size[0]
        (complaint,) = browser.complaints()
        assert "401 (Unauthorized)" in complaint, "the policy of the page allows its style"
        browser.driver.get("about:blank")
