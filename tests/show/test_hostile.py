"""Hostile, empty and compared conversations: recorded data stays text, and the page works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cometreel.jsonvalue import JSON
from tests.chromium import Browser
from tests.show.page_elements import bodies, choose, count, item, names, small
from tests.unit.show.journal_texts import JournalBuilder

Draw = Callable[..., Path]


HOSTILE = (
    "<script>window.hurt=1</script></script><img src=x onerror=window.hurt=1> \"'`&amp; \u2028\u2029 ${window.hurt=1} "
    "javascript:window.hurt=1"
)


POINT = "document.getElementById(arguments[0]).dispatchEvent(new PointerEvent(arguments[1], {bubbles: true}))"


def test_hostile_bodies_stay_text(browser: Browser, draw: Draw):
    journal = JournalBuilder()
    body: JSON = {"operationName": HOSTILE, "workbinType": HOSTILE, HOSTILE: [HOSTILE]}
    journal.call(0.0, HOSTILE, "POST", f"/{HOSTILE}", body, reply={HOSTILE: HOSTILE}, status=404, query=HOSTILE)
    journal.poll(0.2, 0.4, HOSTILE, {"channel": f"/{HOSTILE}", "data": {"messageType": HOSTILE, HOSTILE: HOSTILE}})
    journal.poll(0.5, 0.7, HOSTILE, error=HOSTILE)
    journal.meta(0.8, HOSTILE, "/meta/subscribe", subscription=HOSTILE, error=HOSTILE)
    journal.publish(0.9, HOSTILE, f"/{HOSTILE}", {"operation": HOSTILE})
    broken = journal.request(1.0, HOSTILE, "GET", f"/{HOSTILE}")
    journal.event(1.1, "error", flow=broken, text=HOSTILE)
    journal.event(1.2, "mark", text=HOSTILE)
    browser.open(draw(journal))
    texts = []
    for number in [one.get_attribute("id") for one in browser.all("#lanes .item[id]")]:
        for kind in ("pointermove", "pointerdown", "pointerup"):  # shows the tooltip, and selects
            browser.run(POINT, number, kind)
        browser.settle()
        texts.append(browser.find("#details").text)
    assert len(texts) == 7
    assert all("<script>window.hurt=1</script></script><img src=x onerror=window.hurt=1>" in text for text in texts)
    assert browser.run("return window.hurt === undefined") is True
    assert browser.all("img, #details script, #lanes script, #tip script") == []
    assert len(browser.all("script")) == 2


def test_a_hostile_difference_stays_text(browser: Browser, draw: Draw):
    before, after = JournalBuilder(), JournalBuilder()
    for journal, value in ((before, "a"), (after, HOSTILE)):
        journal.call(0.0, "ann", "GET", "/api/v2/me", reply={"name": value})
    browser.open(draw(before, after))
    assert '+  "name": "<script>window.hurt=1</script></script><img' in browser.find("#details .difference").text
    assert browser.run("return window.hurt === undefined") is True


def test_an_empty_conversation_has_a_page(browser: Browser, draw: Draw):
    browser.open(draw(JournalBuilder()))
    assert count(browser) == "0 of 0 exchanges"
    assert browser.find("#nothing").text == "There is nothing to show."


def test_two_conversations_are_drawn_in_one_timeline(browser: Browser, draw: Draw):
    before, after = small(), small()
    before.call(4.5, "ann", "GET", "/api/v2/old")
    after.call(4.6, "ann", "GET", "/api/v2/new")
    after.call(3.5, "ann", "GET", "/api/v2/slow", after=0.9, reply={"n": 2})
    before.call(3.5, "ann", "GET", "/api/v2/slow", after=0.1, reply={"n": 1})
    browser.open(draw(before, after))
    states = {state: len(browser.all(f"#lanes .exchange.{state}")) for state in ("same", "changed", "added", "removed")}
    assert states == {"same": 3, "changed": 1, "added": 1, "removed": 1}
    assert [sign.text for sign in browser.all("#lanes .sign")] == ["≠", "\u2212", "+"]
    slow = item(browser, "slow")
    bar, ghost = (slow.find_element("css selector", sign) for sign in (".bar", ".ghost"))
    assert bar.get_attribute("x") == ghost.get_attribute("x")
    assert float(bar.get_attribute("width") or 0) > 5 * float(ghost.get_attribute("width") or 0)
    slow.click()
    assert browser.find("#details .badge").text == "changed"
    assert bodies(browser)[0].split("\n") == [" {", '-  "n": 1', '+  "n": 2', " }"]
    choose(browser, "state", "added")
    assert names(browser) == ["new"]


def test_a_wrong_clock_does_not_hang_the_page(browser: Browser, draw: Draw):
    journal = JournalBuilder()
    journal.call(-5.0, "ann", "GET", "/api/v2/me")
    journal.call(1e12, "ann", "GET", "/api/v2/late")
    browser.open(draw(journal))
    assert names(browser) == ["me", "late"]
    assert 1 <= len(browser.all("#axis text")) <= 20


def test_exchanges_at_the_same_time_can_be_selected(browser: Browser, draw: Draw):
    journal = JournalBuilder()
    for number in range(400):
        journal.call(1.0, "ann", "GET", f"/api/v2/thing-{number}", after=0.0)
    browser.open(draw(journal))
    assert count(browser) == "400 of 400 exchanges"
    assert browser.find("#lanes").get_attribute("data-dense") == "true"
    browser.find("#next").click()
    browser.settle()
    assert browser.find("#details h3").text.startswith("thing-")
