"""The page of `cometreel show`: no violation of WCAG A or AA, no small text, and room on a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tests.accessibility import small_texts, violations
from tests.chromium import Browser
from tests.show.page_elements import count, item, names, small
from tests.unit.show.journal_texts import JournalBuilder, three_agents

Draw = Callable[..., Path]
PHONE, SMALL_PHONE, DESKTOP = (390, 844), (390, 667), (1280, 900)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_has_no_violation_and_no_small_text(
    browser: Browser, draw: Draw, theme: Literal["light", "dark"], size: tuple[int, int]
):
    browser.open(draw(three_agents()), theme=theme, size=size)
    assert (violations(browser), small_texts(browser)) == ([], [])
    browser.find("#lanes .exchange.failed").click()
    assert (violations(browser), small_texts(browser)) == ([], [])
    browser.find("#help-button").click()
    assert (violations(browser), small_texts(browser)) == ([], [])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_comparison_has_no_violation(browser: Browser, draw: Draw, theme: Literal["light", "dark"]):
    browser.open(draw(small(), three_agents()), theme=theme, size=DESKTOP)
    assert (violations(browser), small_texts(browser)) == ([], [])


def test_many_exchanges_drawn_as_density_have_no_violation(browser: Browser, draw: Draw):
    journal = JournalBuilder()
    for number in range(400):
        journal.stats(number / 100, "ann", number, "Place1", "Place", after=0.005)
    browser.open(draw(journal), size=DESKTOP)
    browser.find("#zoom-fit").click()
    browser.wait(lambda: names(browser) == [] or None, "they are not drawn as density")
    assert violations(browser) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_search_without_hits_says_so_and_shows_nothing_else(browser: Browser, draw: Draw, size: tuple[int, int]):
    browser.open(draw(three_agents()), size=size)
    nothing = browser.find("#nothing")
    assert not nothing.is_displayed()
    browser.find("#filter-text").send_keys("no such text")
    browser.settle()
    assert (nothing.text, count(browser)) == ("Nothing matches the filters.", "0 of 15 exchanges")
    assert browser.all("#lanes .item, #lanes .poll, #lanes .lane-name, #lanes .mark") == []
    assert not browser.find("#latencies").is_displayed()
    assert (violations(browser), small_texts(browser)) == ([], [])
    browser.find("#filter-reset").click()
    browser.wait(lambda: len(names(browser)) or None, "the exchanges come back")
    assert not nothing.is_displayed()
    assert browser.find("#latencies").is_displayed()


def test_a_journal_without_exchanges_does_not_blame_the_filters(browser: Browser, draw: Draw):
    journal = JournalBuilder()
    journal.meta(0.0, "ann", "/meta/handshake")
    journal.poll(0.5, 1.6, "ann")
    browser.open(draw(journal))
    assert not browser.find("#nothing").is_displayed()
    assert len(browser.all("#lanes .poll")) == 1
    assert violations(browser) == []


def test_the_first_lane_is_on_the_first_screen_of_a_phone(browser: Browser, draw: Draw):
    browser.open(draw(three_agents()), size=SMALL_PHONE)
    first = browser.find("#lanes .exchange")
    assert first.rect["y"] + first.rect["height"] < SMALL_PHONE[1]
    notifications = browser.find("#lanes .notification")
    assert notifications.rect["y"] + notifications.rect["height"] < SMALL_PHONE[1]
    assert browser.run("return document.documentElement.scrollWidth") == SMALL_PHONE[0]


def test_a_shortened_name_is_not_part_of_the_accessible_name(browser: Browser, draw: Draw):
    browser.open(draw(small()), size=PHONE)
    exchange = item(browser, "stats of place Place1")
    assert exchange.get_attribute("textContent") == ""
    assert exchange.accessible_name.startswith("stats of place Place1, POST")
