"""The page as a whole, in a real browser: hostile texts, a server that goes away, themes, small windows, keyboard."""

from __future__ import annotations

from contextlib import ExitStack
from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys

from cometreel.scenario import loads
from cometreel.serve import ListenOptions, replay_app, serve_in_background
from cometreel.serve.admin.auth import AdminAuth
from cometreel.serve.admin.on_demand import admin_factory
from tests.chromium import Browser
from tests.console.conftest import Console, Open
from tests.serve.admin_client import TOKEN, administered
from tests.serve.conftest import SCENARIO, Desktop

MARKUP = "<script>window.hurt=1</script><img src=x onerror=window.hurt=1>"
HOSTILE = f"{MARKUP}\"'`&amp;\u2028\u2029${{window.hurt=1}}"
HOSTILE_SCENARIO = f"""\
cometreel: 1
title: "{MARKUP}"
bayeux: {{endpoint: /api/v2/notifications}}
exchanges:
  - {{name: "{MARKUP}", request: {{method: GET, path: /near}}}}
"""


def test_hostile_texts_stay_texts_everywhere(console: Open, browser: Browser):
    opened = console(HOSTILE_SCENARIO)
    app, admin = opened.reel.app, opened.reel.admin
    app.auth = (HOSTILE.encode(), b"any")
    app.get(f"/{quote(HOSTILE)}", params={HOSTILE: HOSTILE}, headers={"cookie": f"x={quote(HOSTILE)}"})
    body = {"operationName": HOSTILE, "workbinType": HOSTILE, "workbinOwner": HOSTILE, HOSTILE: [HOSTILE]}
    app.post("/near", json=body)
    app.post("/near", content=HOSTILE.encode())
    app.get("/near")
    desktop = Desktop(app).handshakes()
    desktop.bayeux(channel="/meta/subscribe", subscription="/<script>alert(1)</script>/*")
    desktop.bayeux(channel="/service/chat", data={HOSTILE: HOSTILE})
    admin.post("/faults", json={"exchange": MARKUP, "status": 500, "text": HOSTILE})
    opened.shows("#count", "5 calls")
    seen = []
    for number in range(1, 6):
        browser.find(f"#row-{number}").click()
        seen.append(opened.text("#panel-call"))
        for write in browser.all("#write"):
            write.click()
            browser.find("#exchange")
    for tab in ("unmatched", "sessions", "faults", "given_up", "unplayed"):
        opened.open_tab(tab)
        browser.settle()
        seen.append(opened.text(f"#panel-{tab}"))
    assert [MARKUP in text for text in seen[1:8]] == [True] * 7  # the first is percent-encoded
    assert '<h1 id="title">&lt;script&gt;' in str(browser.run("return document.querySelector('h1').outerHTML"))
    assert browser.run("return window.hurt === undefined") is True
    assert browser.all("img, main script, main iframe, main a, header script") == []
    assert len(browser.all("script")) == 1


def test_the_page_shows_a_lost_connection_and_continues_after_a_restart(browser: Browser):
    def open_replay(stack: ExitStack, port: int, token: str = TOKEN) -> str:
        opening = replay_app(loads(SCENARIO, "test.yaml"), admin=admin_factory(AdminAuth(token)))
        return stack.enter_context(serve_in_background(opening, ListenOptions("127.0.0.1", port))).url

    with ExitStack() as first:
        url = open_replay(first, 0)
        port = int(url.rpartition(":")[2])
        browser.open(f"{url}/__reel__/?token={TOKEN}", size=(1280, 900))
        console = Console(browser, None)  # type: ignore[arg-type]  # no client is wanted here
        console.shows("#connection", "live")
        browser.run("fetch('/api/v2/page')")
        browser.run("fetch('/nowhere')")
        console.shows("#count", "2 calls")
    console.shows("#connection", "the server does not answer, retrying…")
    assert console.text("#count") == "2 calls"
    with ExitStack() as second:
        open_replay(second, port)
        console.shows("#connection", "live")
        console.shows("#count", "0 calls")
        browser.run("fetch('/api/v2/page')")
        console.shows("#count", "1 call")
    with ExitStack() as third:
        open_replay(third, port, "the-token-of-another-run")
        console.shows("#connection", "the server has a new token: open the address that it printed")
        browser.driver.get("about:blank")
    browser.complaints()  # of what was away


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_the_system_s_until_it_is_chosen(browser: Browser, theme: str):
    other = {"light": "dark", "dark": "light"}[theme]
    with administered() as reel:
        address = f"{reel.served.url}/__reel__/?token={TOKEN}"
        browser.open(address, theme="dark" if theme == "dark" else "light")
        used = "return document.documentElement.dataset.theme"
        assert browser.run(used) == theme
        browser.find("#theme").click()
        assert browser.run(used) == other
        browser.open(address, theme="dark" if theme == "dark" else "light")
        assert browser.run(used) == other
        browser.driver.get("about:blank")


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_is_wider_than_the_window(console: Open, width: int):
    opened = console(size=(width, 812))
    opened.reel.app.post("/nowhere/" + "x" * 500, json={"operationName": "y" * 500, "z": "z" * 500})
    opened.shows("#count", "1 call")
    opened.browser.find("#row-1").click()
    opened.browser.find("#write").click()
    opened.browser.find("#exchange")
    for tab in ("unmatched", "sessions", "push", "faults", "given_up", "unplayed", "call"):
        opened.open_tab(tab)
        assert opened.browser.run("return document.documentElement.scrollWidth") == width, tab


def test_tabs_and_keys_work_without_a_mouse(console: Open, browser: Browser):
    opened = console()
    browser.find("#tab-call").send_keys(Keys.ARROW_RIGHT)
    assert opened.browser.driver.switch_to.active_element.get_attribute("id") == "tab-unmatched"
    opened.browser.driver.switch_to.active_element.send_keys(Keys.END)
    assert browser.find("#panel-unplayed").is_displayed()
    browser.find("body").send_keys("p")
    opened.shows("#pause", "Resume")
    browser.find("body").send_keys("/")
    assert opened.browser.driver.switch_to.active_element.get_attribute("id") == "filter-text"
    opened.browser.driver.switch_to.active_element.send_keys("p/t")
    assert browser.run("return document.querySelector('#filter-text').value") == "p/t"


def test_changes_are_announced_to_screen_readers(console: Open, browser: Browser):
    opened = console()
    roles = "return [...document.querySelectorAll('[role=status], [aria-live]')].map((each) => each.id)"
    assert browser.run(roles) == ["connection", "push-done", "fault-done", "announcement"]
    unnamed = """return [...document.querySelectorAll('input, select, textarea, button')].filter((each) =>
        !each.labels?.length && !each.ariaLabel && !each.textContent.trim()).map((each) => each.id)"""
    for tab in ("push", "faults"):
        opened.open_tab(tab)
        assert browser.run(unnamed) == []
