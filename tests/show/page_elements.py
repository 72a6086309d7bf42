"""Finds the elements of a page: drawn exchanges, details, filters."""

from __future__ import annotations

import re

from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from tests.chromium import Browser
from tests.unit.show.journal_texts import Written, notification, unsolicited


def small() -> Written:
    """One exchange of each kind, far enough apart to be clicked."""
    made = Written()
    made.meta(0.0, "ann", "/meta/handshake")
    made.stats(1.0, "ann", 67, "Place1", "Place", after=0.2)
    made.poll(0.5, 1.6, "ann", notification(67, workbinStats={"wb-1": {"Count": 3}}))
    made.stats(2.0, "ann", 68, "Sales", "AgentGroup", after=0.4)
    made.poll(1.7, 2.2, "ann", notification(68))
    made.poll(2.5, 3.0, "ann", unsolicited(id="wb-2"))
    made.call(4.0, "bob", "GET", "/api/v2/me", status=403, reply={"statusCode": 20})
    return made


def names(browser: Browser) -> list[str]:
    """Return the names of the drawn exchanges, ordered by time."""
    labels = [one.get_attribute("aria-label") or "" for one in browser.all("#lanes .exchange")]
    return [re.split(", (?:GET|POST|PUBLISH) ", label)[0] for label in labels]


def item(browser: Browser, name: str) -> WebElement:
    """Return the drawn exchange of that name."""
    return browser.find(f'#lanes .exchange[aria-label^="{name},"]')


def details(browser: Browser) -> str:
    """Return the title of the details."""
    return browser.find("#details h3").text


def count(browser: Browser) -> str:
    """Return the text of the number of filtered exchanges."""
    return browser.find("#count").text


def bodies(browser: Browser) -> list[str]:
    """Return the bodies in the details."""
    return [block.text for block in browser.all("#details pre")]


def choose(browser: Browser, field: str, words: str) -> None:
    """Select a value of a filter."""
    Select(browser.find(f"#filter-{field}")).select_by_visible_text(words)
    browser.settle()
