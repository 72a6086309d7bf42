"""Input on the page: keys, wheel, dragging, themes and screen reader announcements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Keys

from tests.chromium import Browser
from tests.show.page_elements import details, small
from tests.unit.show.journal_texts import three_agents

Draw = Callable[..., Path]


def press(browser: Browser, *keys: str) -> None:
    for key in keys:
        ActionChains(browser.driver).send_keys(key).perform()
    browser.settle()


def test_arrow_keys_select_by_time_and_session(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    browser.run("document.getElementById('lanes').focus()")
    seen = [details(browser)]
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ARROW_LEFT):
        press(browser, key)
        seen.append(details(browser))
    assert seen == [
        "stats of place Place1",
        "stats of agent group Sales",
        "WorkbinStateChangeMessage",
        "me, refused",
        "WorkbinStateChangeMessage",
        "stats of agent group Sales",
    ]


def test_the_selection_is_announced(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    browser.run("document.getElementById('lanes').focus()")
    press(browser, Keys.ARROW_RIGHT)
    active = browser.find("#lanes").get_attribute("aria-activedescendant")
    selected = [one.get_attribute("id") for one in browser.all('#lanes [aria-selected="true"]')]
    assert selected == [active]
    announcement = browser.find("#announcement").get_attribute("textContent")
    assert announcement == browser.find(f"#{active}").get_attribute("aria-label")
    assert announcement == (
        "stats of agent group Sales, POST /api/v2/workbins, 200 after 400 ms, notified after 200 ms (before the reply)"
    )


def test_enter_focuses_the_bodies_and_escape_goes_back_and_clears(browser: Browser, draw: Draw):
    def focused() -> object:
        return browser.run("return document.activeElement.id")

    browser.open(draw(small()))
    browser.run("document.getElementById('lanes').focus()")
    press(browser, Keys.ENTER)
    assert focused() == "details-title"
    press(browser, Keys.ESCAPE)
    assert focused() == "lanes"
    press(browser, Keys.ESCAPE)
    assert browser.all("#details h3") == []
    assert browser.find("#details").text.startswith("Select an item in the timeline")


def window(browser: Browser) -> tuple[float, float]:
    """Return the left and right edge of the frame in the overview, in pixels."""
    frame = browser.find("#overview .window")
    begin = float(frame.get_attribute("x") or 0)
    return begin, begin + float(frame.get_attribute("width") or 0)


def moved(browser: Browser, before: tuple[float, float]) -> tuple[float, float]:
    """Wait until the frame has moved, and return it."""
    browser.wait(lambda: window(browser) != before, "nothing moves")
    return window(browser)


def test_keys_zoom_scroll_and_show_all(browser: Browser, draw: Draw):
    browser.open(draw(small()), reduced_motion=True)
    browser.run("document.getElementById('lanes').focus()")
    browser.settle()
    whole = window(browser)
    press(browser, "+")
    half = window(browser)
    assert half[1] - half[0] == pytest.approx((whole[1] - whole[0]) / 2, abs=1)
    ActionChains(browser.driver).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    browser.settle()
    right = window(browser)
    assert right[0] > half[0]
    assert right[1] - right[0] == pytest.approx(half[1] - half[0], abs=1)
    press(browser, "0")
    assert window(browser) == pytest.approx(whole, abs=0.5)


WHEEL = """
arguments[0].dispatchEvent(
  new WheelEvent("wheel", {deltaY: -300, ctrlKey: true, clientX: 600, bubbles: true, cancelable: true}))
"""


def test_the_wheel_zooms_at_the_pointer_and_dragging_moves(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    lanes = browser.find("#lanes")
    whole = window(browser)
    browser.run(WHEEL, lanes)
    near = moved(browser, whole)
    assert near[1] - near[0] < whole[1] - whole[0]
    ActionChains(browser.driver).move_to_element_with_offset(lanes, 100, 60).click_and_hold().move_by_offset(
        -80, 0
    ).release().perform()
    assert moved(browser, near)[0] > near[0]


def test_slash_focuses_the_search_field_which_takes_letters(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    press(browser, "/", "t", "0")
    assert browser.find("#filter-text").get_attribute("value") == "t0"
    assert theme(browser) == "light"


def theme(browser: Browser) -> object:
    return browser.run("return document.documentElement.dataset.theme")


def ground(browser: Browser) -> object:
    return browser.run("return getComputedStyle(document.documentElement).backgroundColor")


def test_the_page_follows_the_system_and_the_toggle(browser: Browser, draw: Draw):
    page = draw(small())
    browser.open(page, theme="dark")
    dark = ground(browser)
    assert (theme(browser), browser.find("#theme").get_attribute("aria-pressed")) == ("dark", "true")
    browser.find("#theme").click()
    assert (theme(browser), browser.find("#theme").get_attribute("aria-pressed")) == ("light", "false")
    browser.open(page)
    assert (theme(browser), ground(browser) != dark) == ("light", True)
    press(browser, "t")
    assert (theme(browser), ground(browser)) == ("dark", dark)


def test_help_lists_the_keys(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    press(browser, "?")
    assert browser.find("#help").is_displayed()
    assert "light or dark" in browser.find("#keys").text
    press(browser, Keys.ESCAPE)
    assert not browser.find("#help").is_displayed()


def test_every_control_has_a_name(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    found = browser.all("button, select, input, [role=listbox], [role=search], [role=option]")
    controls = [control for control in found if control.is_displayed()]
    assert [control.get_attribute("outerHTML") for control in controls if not control.accessible_name.strip()] == []
    assert len(controls) > 15


def test_a_narrow_window_has_no_sideways_scrolling(browser: Browser, draw: Draw):
    browser.open(draw(three_agents()), size=(700, 900))
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth") is True
