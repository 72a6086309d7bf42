"""The Agents tab in Locust's web UI, in a real browser during a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from demo.processes import TIMEOUT
from tests.load.conftest import MIX, OWNERS, Start, await_log, free_port


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
