"""The console shows no secret of a request."""

from __future__ import annotations

from tests.chromium import Browser
from tests.console.conftest import Open
from tests.serve.secret_requests import SCENARIO, SECRET, send_secrets


def test_no_secret_of_a_request_is_shown_in_any_tab(console: Open, browser: Browser):
    opened = console(SCENARIO)
    count = send_secrets(opened.reel.app)
    opened.shows("#count", f"{count} calls")
    shown = []
    for number in range(1, count + 1):
        browser.find(f"#row-{number}").click()
        browser.find("#write").click()
        browser.find("#exchange")
        shown.append(str(browser.run("return document.body.textContent")))
    for tab in ("unmatched", "sessions", "faults", "given_up", "unplayed"):
        opened.open_tab(tab)
        browser.settle()
        shown.append(str(browser.run("return document.body.textContent")))
    assert [SECRET in text for text in shown] == [False] * len(shown)
    assert all("[hidden]" in text for text in shown[:count])
