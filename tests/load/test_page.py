"""Locust's page with the Agents tab, as a person sees it in a real browser while a test runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from demo.processes import PATIENCE
from tests.load.conftest import MIX, OWNERS, Start, await_log, free_port


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1200"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def test_the_agents_tab_shows_sessions_polls_latencies_and_a_picture(
    rogue: Callable[..., str], locust: Start, browser: webdriver.Chrome
):
    port = free_port()
    process = locust(
        *("--web-port", port, "--web-host", "127.0.0.1", "--autostart", "--host", rogue(), "-u", 7, "-r", 7),
        *("--reel-rate", 50, *MIX, *OWNERS),
    )
    await_log(process, "The run begins: 7 of 7 agents can ask")
    browser.get(f"http://127.0.0.1:{port}/?tab=agents")
    wait = WebDriverWait(browser, PATIENCE)

    def gauge(name: str) -> int:
        found = browser.find_elements(By.CSS_SELECTOR, f'[data-gauge="{name}"] b')
        return int(found[0].text) if found and found[0].text else -1

    wait.until(lambda _: gauge("sessions up") == 7)
    wait.until(lambda _: gauge("polls held") > 0)
    assert gauge("lost") == 0
    wait.until(lambda _: browser.find_elements(By.CSS_SELECTOR, "#reel-agents svg polyline"))
    owners = {"Agent", "Place", "AgentGroup", "PlaceGroup", "All"}
    wait.until(lambda _: owners <= {cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "td")})
    picture = browser.find_element(By.CSS_SELECTOR, "#reel-agents svg")
    assert picture.is_displayed()
    assert picture.size["width"] > 300
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_other_tabs_are_as_they_were(rogue: Callable[..., str], locust: Start, browser: webdriver.Chrome):
    port = free_port()
    process = locust(
        *("--web-port", port, "--web-host", "127.0.0.1", "--autostart", "--host", rogue(), "-u", 2, "-r", 2),
        *("--reel-rate", 20, *MIX, *OWNERS),
    )
    await_log(process, "The run begins")
    browser.get(f"http://127.0.0.1:{port}/?tab=stats")
    wait = WebDriverWait(browser, PATIENCE)
    rows = ("ack", "notification", "RequestAgentStats Agent")
    wait.until(lambda _: all(row in browser.find_element(By.TAG_NAME, "body").text for row in rows))
    assert not browser.find_element(By.ID, "reel-agents").is_displayed()
