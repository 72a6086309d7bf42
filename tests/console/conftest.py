"""A console in a real browser, and the replay that it looks into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.chromium import Browser, chromium
from tests.serve.admin_client import TOKEN, Administered, administered
from tests.serve.conftest import SCENARIO, dial

__all__ = ["Console", "Open", "browser", "console", "dial"]


@dataclass(frozen=True)
class Console:
    """The page and its replay. `reel.app` asks as an application does, `reel.admin` as a program."""

    browser: Browser
    reel: Administered

    def text(self, selector: str) -> str:
        """Return the visible text of an element, empty if there is none."""
        return str(self.browser.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)).strip()

    def shows(self, selector: str, text: str) -> None:
        """Wait until an element shows a text, and fail with what it shows instead."""
        try:
            self.browser.wait(lambda: text in self.text(selector), "")
        except Exception:
            assert self.text(selector) == text
            raise

    def rows(self) -> list[str]:
        """Return the request and the answer of each drawn row, from top to bottom."""
        script = """return [...document.querySelectorAll('#rows .row')]
            .sort((one, other) => one.dataset.index - other.dataset.index)
            .map(row => row.classList.contains('gap') ? row.textContent
                : ['.request', '.answered'].map(part => row.querySelector(part).textContent.trim()).join(' > '))"""
        self.browser.settle()
        found = self.browser.run(script)
        assert isinstance(found, list)
        return [" ".join(row.split()) for row in found]

    def open_tab(self, name: str) -> None:
        self.browser.find(f"#tab-{name}").click()

    def fill(self, selector: str, text: str) -> None:
        """Type a text in the place of what is in a field."""
        field = self.browser.find(selector)
        field.clear()
        field.send_keys(text)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select."""
        self.browser.find(selector).find_element(By.CSS_SELECTOR, f"option[value={value!r}]").click()

    def row(self, text: str) -> WebElement:
        """The drawn row with this text."""
        return self.browser.wait(
            lambda: next((row for row in self.browser.all("#rows .row") if text in row.text), None), f"no row {text!r}"
        )


Open = Callable[..., Console]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def console(browser: Browser) -> Iterator[Open]:
    """Open the console of a replay: `console(SCENARIO, speed=0)`. At the end the browser must have had no complaint."""
    with ExitStack() as stack:

        def start(text: str = SCENARIO, *, size: tuple[int, int] = (1280, 900), **settings: Any) -> Console:
            reel = stack.enter_context(administered(text, **settings))
            browser.open(f"{reel.served.url}/__reel__/?token={TOKEN}", size=size)
            opened = Console(browser, reel)
            opened.shows("#connection", "live")
            return opened

        yield start
        complaints = browser.complaints()
        browser.driver.get("about:blank")  # nobody listens any more when the servers stop
    assert complaints == []
