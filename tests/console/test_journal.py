"""The journal in a real browser: it comes live, is filtered and paused, and draws only what is in view."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from cometreel.scenario import loads
from tests.chromium import Browser
from tests.console.conftest import Console, Open
from tests.serve.admin_client import TOKEN
from tests.serve.conftest import ASKED, GIVES_UP, SCENARIO

PLACE = "POST RequestAgentStats Place Place1 /api/v2/workbins > stats of place Place1"
PAGE, NOWHERE = "GET /api/v2/page > a page", "GET /nowhere > missed"


def asked_some(console: Console) -> None:
    """Three calls of kate, and one of another session."""
    app, kate = console.reel.app, ("kate", "any")
    app.post("/api/v2/workbins", json=ASKED, auth=kate)
    app.get("/api/v2/page", auth=kate)
    app.get("/nowhere", auth=kate)
    app.cookies.clear()
    app.get("/api/v2/page")
    console.shows("#count", "4 calls")


def test_the_token_is_nowhere_to_be_seen(console: Open, browser: Browser):
    console()
    assert str(browser.run("return location.href")).endswith("/__reel__/")
    assert TOKEN not in str(browser.run("return document.documentElement.outerHTML + JSON.stringify(localStorage)"))
    assert browser.run("return document.cookie") == ""


def test_calls_come_as_they_are_answered_and_the_numbers_with_them(console: Open):
    opened = console()
    assert opened.text("#nothing") == "No requests yet. Point your application at this server."
    asked_some(opened)
    assert opened.rows() == [PLACE, PAGE, NOWHERE, PAGE]
    opened.shows("#number-calls", "4")
    assert opened.text("#number-unmatched").split() == ["unmatched", "1"]
    assert opened.text("#facts") == "test.yaml · 4 exchanges · repeat last · unmatched fail · auth open"


@pytest.mark.parametrize(
    ("select", "value", "rows"),
    [
        ("#filter-operation", "RequestAgentStats", [PLACE]),
        ("#filter-owner_type", "Place", [PLACE]),
        ("#filter-session", "2", [PAGE]),
        ("#filter-outcome", "missed", [NOWHERE]),
        ("#filter-outcome", "played", [PLACE, PAGE, PAGE]),
    ],
)
def test_each_filter_shows_matching_calls(console: Open, select: str, value: str, rows: list[str]):
    opened = console()
    asked_some(opened)
    opened.choose(select, value)
    opened.shows("#count", f"{len(rows)} of 4 calls")
    assert opened.rows() == rows


def test_a_text_is_searched_in_paths_bodies_and_names_and_cleared_again(console: Open):
    opened = console()
    asked_some(opened)
    for text, left in [("pLaCe1", 1), ("nowhere", 1), ("a page", 2), ("kate", 3), ("nothing of it", 0)]:
        opened.fill("#filter-text", text)
        opened.shows("#count", f"{left} of 4 calls")
    assert opened.text("#nothing") == "No call matches these filters."
    opened.browser.find("#filters button[type=reset]").click()
    opened.shows("#count", "4 calls")
    assert opened.rows() == [PLACE, PAGE, NOWHERE, PAGE]


def test_new_calls_are_filtered_too(console: Open):
    opened = console()
    asked_some(opened)
    opened.choose("#filter-outcome", "missed")
    opened.reel.app.get("/api/v2/page")
    opened.reel.app.get("/nowhere")
    opened.shows("#count", "2 of 6 calls")
    assert opened.rows() == [NOWHERE, NOWHERE]


def test_during_a_pause_calls_wait(console: Open):
    opened = console()
    asked_some(opened)
    opened.browser.find("#pause").click()
    opened.reel.app.get("/nowhere")
    opened.shows("#pause", "Resume (1 new)")
    assert opened.text("#count") == "4 calls"
    opened.browser.find("#pause").click()
    opened.shows("#count", "5 calls")
    assert opened.text("#pause") == "Pause"


def test_a_call_is_shown_whole(console: Open):
    opened = console()
    asked_some(opened)
    opened.row("Place1").click()
    shown = [line for line in opened.text("#panel-call").splitlines() if line]
    assert shown[:3] == ["RequestAgentStats Place Place1", "POST /api/v2/workbins", "played"]
    assert '  "workbinOwner": "Place1"' in shown
    assert opened.browser.find("#rows .row[aria-selected=true]").text.startswith("1")


def test_arrow_keys_move_in_the_journal(console: Open):
    opened = console()
    asked_some(opened)
    rows = opened.browser.find("#rows")
    for key, number in [(Keys.HOME, 1), (Keys.ARROW_DOWN, 2), (Keys.END, 4), (Keys.ARROW_UP, 3), (Keys.PAGE_UP, 1)]:
        rows.send_keys(key)
        opened.shows("#panel-call", f"{number}, at ")
        assert rows.get_attribute("aria-activedescendant") == f"row-{number}"


def test_thousands_of_rows_are_drawn_as_far_as_they_are_in_view(console: Open, browser: Browser):
    opened = console()
    for _ in range(1500):
        opened.reel.app.get("/api/v2/page")
    opened.shows("#count", "1500 calls")
    assert len(opened.rows()) < 60
    assert opened.browser.find("#row-1500").is_displayed()
    browser.run("document.querySelector('#rows').scrollTop = 0")
    browser.find("#row-1")
    opened.reel.app.get("/nowhere")
    opened.shows("#count", "1501 calls")
    assert browser.run("return document.querySelector('#rows').scrollTop") == 0
    browser.find("#follow").click()
    browser.find("#row-1501")
    assert len(opened.rows()) < 60


def test_at_most_ten_thousand_calls_are_kept_and_gaps_are_shown(console: Open, browser: Browser):
    """The model by itself: a browser that keeps up loses nothing."""
    console()
    kept = browser.driver.execute_async_script("""
        const done = arguments[0];
        import("/__reel__/console/journal.js").then(({ Journal }) => {
            const journal = new Journal();
            const call = (number) => ({ number, method: "GET", target: "/", outcome: "played", session: 1 });
            for (let number = 1; number <= 10_000; number++) journal.add(call(number));
            const before = journal.shown.length;
            const gone = journal.add(call(10_005));
            done([before, gone, journal.calls[0].number, journal.calls.at(-2).gap, journal.shown.length]);
        });
    """)
    assert kept == [10_000, 1_000, 1_001, 4, 9_002]


def test_an_unmatched_call_shows_near_misses_and_the_suggested_exchange(console: Open, browser: Browser):
    opened = console()
    wanted = {**ASKED, "workbinOwner": "Place2"}
    opened.reel.app.post("/api/v2/workbins", json=wanted)
    opened.shows("#badge-unmatched", "1")
    opened.open_tab("unmatched")
    assert opened.text("#panel-unmatched .missed strong") == "POST RequestAgentStats Place Place2"
    browser.find("#panel-unmatched .missed").click()
    near = opened.text("#panel-call .near").splitlines()
    assert near[0] == "stats of place Place1"
    assert "body.workbinOwner\tPlace1\tPlace2" in near
    browser.find("#write").click()
    browser.find("#exchange")
    written = str(browser.run("return document.querySelector('#exchange').textContent"))
    assert written == opened.reel.admin.get("/unmatched/1/exchange").text
    assert loads(f"cometreel: 1\nexchanges:\n{written}").exchanges[0].name == "RequestAgentStats Place Place2"
    origin = opened.reel.served.url
    allowed = {"origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", allowed)
    browser.find("#copy").click()
    opened.shows("#copy", "Copied")
    read = "navigator.clipboard.readText().then(arguments[0], (error) => arguments[0](String(error)))"
    assert browser.driver.execute_async_script(read) == written
    pasted = opened.reel.admin.put("/scenario", content=f"{SCENARIO}{written}".encode())
    assert pasted.status_code == 200, pasted.text
    assert opened.reel.app.post("/api/v2/workbins", json=wanted).json() == {"statusCode": 0}


def test_unplayed_exchanges_are_listed(console: Open):
    opened = console()
    opened.open_tab("unplayed")
    opened.shows("#panel-unplayed", "stats of place Place1\na slow answer\na page\nnothing")
    asked_some(opened)
    opened.browser.wait(
        lambda: opened.text("#panel-unplayed .names") == "a slow answer\nnothing" or None, "still there"
    )


def test_notifications_that_were_given_up_are_listed_with_their_reason(console: Open):
    opened = console()
    opened.open_tab("given_up")
    opened.shows("#panel-given_up", "No notification was given up.")
    opened.reel.admin.put("/scenario", content=GIVES_UP)
    opened.reel.app.post("/note")
    opened.shows("#badge-given_up", "1")
    opened.shows("#panel-given_up h3", "/news: no subscriber")
    opened.shows("#panel-given_up", "let a client subscribe, or set deliver: asker for the event")
    assert opened.text("#panel-given_up .hint").startswith("note · ")
