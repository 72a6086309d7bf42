"""The Agents tab in Locust's web UI, in a real browser during a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from benchmarks.stubs import free_port
from demo.processes import TIMEOUT
from tests.load.conftest import MIX, OWNERS, Start, await_log


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1200"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def test_the_agents_tab_shows_sessions_polls_latencies_and_charts(
    faulty: Callable[..., str], locust: Start, browser: webdriver.Chrome
):
    port = free_port()
    process = locust(
        *("--web-port", port, "--web-host", "127.0.0.1", "--autostart", "--host", faulty(), "-u", 7, "-r", 7),
        *("--reel-rate", 50, *MIX, *OWNERS),
    )
    await_log(process, "The run starts: 7 of 7 agents are ready")
    browser.get(f"http://127.0.0.1:{port}/?tab=agents")
    wait = WebDriverWait(browser, TIMEOUT)

    def seen(script: str) -> Any:
        """Evaluate an expression in the page. The page changes every second, so elements are not kept."""
        return browser.execute_script(f"return {script}")

    def gauge(name: str) -> object:
        return seen(f"""document.querySelector('[data-gauge="{name}"] b')?.textContent""")

    wait.until(lambda _: gauge("sessions up") == "7")
    wait.until(lambda _: gauge("polls held") == "7")
    wait.until(lambda _: gauge("lost") == "0")
    owners = {"Agent", "Place", "AgentGroup", "PlaceGroup", "All"}
    wait.until(lambda _: owners <= set(seen("[...document.querySelectorAll('td')].map(cell => cell.textContent)")))
    wait.until(lambda _: seen("document.querySelectorAll('#reel-agents svg polyline').length >= 3"))
    wait.until(lambda _: seen("document.querySelector('#reel-agents svg').getBoundingClientRect().width > 300"))
    # visible: directly below the table
    wait.until(lambda _: seen("document.querySelector('#reel-gauges').getBoundingClientRect().bottom < innerHeight"))
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_the_report_starts_with_the_result(
    faulty: Callable[..., str], locust: Start, browser: webdriver.Chrome, tmp_path: Path
):
    """Limits, owners, latencies and losses are on the first screen, also of a phone; Locust's tables follow."""
    limits = ("--reel-limit", "notification p99 < 30s", "--reel-limit", "lost == 0")
    run = locust(
        *("--host", faulty(drop=100), "-u", 5, "-r", 5, "-t", "5s", "--reel-rate", 40, *MIX, *OWNERS, *limits),
        *("--reel-patience", "1s", "--html", "run.html"),
    )
    run.await_end(expected=1)

    def seen(script: str) -> Any:
        return browser.execute_script(f"return {script}")

    for width, height in ((1280, 800), (390, 844)):
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get((tmp_path / "run.html").as_uri())
        assert seen("document.body.firstElementChild.className") == "reel"
        assert seen("document.querySelector('.reel .verdict').textContent") == "Failed: 1 of 2 limits broken"
        summary = "document.querySelector('.reel .summary')"
        assert seen(f"{summary}.getBoundingClientRect().bottom") < height
        assert seen(f"{summary}.scrollWidth - {summary}.clientWidth") == 0
        first = seen(f"[...{summary}.querySelectorAll('tbody th')].map(cell => cell.textContent)")
        assert first == ["Agent", "Place", "AgentGroup", "PlaceGroup", "All"]
        root = "document.querySelector('#root').getBoundingClientRect().top"
        assert seen(root) >= seen("document.querySelector('.reel').getBoundingClientRect().bottom")


def test_the_report_of_the_web_page_starts_with_the_result(faulty: Callable[..., str], locust: Start):
    port = free_port()
    process = locust(
        *("--web-port", port, "--web-host", "127.0.0.1", "--autostart", "--host", faulty(), "-u", 2, "-r", 2),
        *("--reel-rate", 20, *MIX, *OWNERS),
    )
    await_log(process, "The run starts")
    page = httpx.get(f"http://127.0.0.1:{port}/stats/report").text
    assert page.partition("<body>")[2].lstrip().startswith('<section class="reel">')


def test_other_tabs_are_unchanged(faulty: Callable[..., str], locust: Start, browser: webdriver.Chrome):
    port = free_port()
    process = locust(
        *("--web-port", port, "--web-host", "127.0.0.1", "--autostart", "--host", faulty(), "-u", 2, "-r", 2),
        *("--reel-rate", 20, *MIX, *OWNERS),
    )
    await_log(process, "The run starts")
    browser.get(f"http://127.0.0.1:{port}/?tab=stats")
    wait = WebDriverWait(browser, TIMEOUT)
    rows = ("ack", "notification", "RequestAgentStats Agent")
    wait.until(lambda _: all(row in browser.find_element(By.TAG_NAME, "body").text for row in rows))
    assert not browser.find_element(By.ID, "reel-agents").is_displayed()
