"""A real Chromium without a window, for tests of pages. One browser serves a whole test file.

Use it in a `conftest.py` of your own tests:

    from tests.chromium import Browser, chromium

    @pytest.fixture(scope="module")
    def browser() -> Iterator[Browser]:
        with chromium() as browser:
            yield browser

Debian's `chromium` and `chromium-driver` are used, whatever else is installed; nothing is downloaded. A machine without
them fails its tests and is told how to get them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

__all__ = ["Browser", "chromium"]

_MISSING = "needs a real Chromium: apt-get install -y chromium chromium-driver"
_PATIENCE_SECONDS = 20.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class Browser:
    """A browser and what tests ask of it. `driver` is Selenium's own, for everything else."""

    driver: Chrome

    def open(
        self,
        page: Path | str,
        *,
        theme: Literal["light", "dark"] = "light",
        reduced_motion: bool = False,
        size: tuple[int, int] = (1440, 900),
    ) -> None:
        """Open a file or a URL as a user who prefers this theme and, perhaps, that nothing moves by itself."""
        motion = "reduce" if reduced_motion else "no-preference"
        wishes = {"prefers-color-scheme": theme, "prefers-reduced-motion": motion}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.complaints()  # of an earlier page
        self.driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)
        self.settle()

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector, as soon as it is there."""
        return self.wait(lambda: next(iter(self.all(selector)), None), f"no {selector}")

    def all(self, selector: str) -> list[WebElement]:
        """All elements of a CSS selector that are there now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> object:
        """Run JavaScript in the page and give what it returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, ask: Callable[[], _T | None], why: str) -> _T:
        """Ask again and again until the answer is true; fail with `why` if it never is."""
        wait = WebDriverWait(self.driver, _PATIENCE_SECONDS, 0.02, ignored_exceptions=[StaleElementReferenceException])
        found = wait.until(lambda _: ask() or False, why)
        assert found is not False
        return found

    def settle(self) -> None:
        """Wait until what was asked for has been drawn: two frames from now."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def complaints(self) -> list[str]:
        """Return the console's messages since the last call: errors, and violations of the page's policy."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def screenshot(self, path: Path) -> None:
        """Keep what the window shows, as PNG."""
        assert self.driver.save_screenshot(str(path))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser with a profile of its own, and end it."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.fail(_MISSING)
    options = ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = Chrome(options=options, service=Service(driver))
    try:
        yield Browser(started)
    finally:
        started.quit()
