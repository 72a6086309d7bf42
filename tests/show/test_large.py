"""Ten thousand exchanges: the page opens on a readable range and draws only visible items."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.support.ui import Select

from cometreel.cli import ExitCode, run
from tests.chromium import Browser
from tests.unit.show.journal_texts import busy

MOST_DRAWN = 300


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    page = folder / "large.html"
    assert run(["show", str(busy(10_000).path(folder)), "-o", str(page)]) == ExitCode.SUCCESS
    return page


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    """The page with reduced motion, so that changes are drawn in the next frame."""
    browser.open(page, reduced_motion=True)
    return browser


def drawn(browser: Browser) -> tuple[int, int]:
    """Return the number of exchanges and of elements in the timeline."""
    return len(browser.all("#lanes .exchange")), int(
        str(browser.run("return document.querySelectorAll('#lanes *').length"))
    )


def dense(browser: Browser) -> bool:
    return browser.find("#lanes").get_attribute("data-dense") == "true"


def test_it_opens_on_the_first_exchanges(opened: Browser):
    exchanges, _ = drawn(opened)
    assert 40 <= exchanges <= 80
    assert not dense(opened)
    assert opened.find("#count").text == "10,000 of 10,000 exchanges"


def test_too_many_exchanges_are_drawn_as_density(opened: Browser):
    opened.find("#zoom-fit").click()
    opened.settle()
    exchanges, elements = drawn(opened)
    assert (exchanges, dense(opened)) == (0, True)
    assert elements < 100


def test_the_number_of_drawn_exchanges_is_limited_at_every_zoom(opened: Browser):
    opened.find("#zoom-fit").click()
    seen = []
    for _ in range(14):
        opened.find("#zoom-in").click()
        opened.settle()
        seen.append(drawn(opened)[0])
    assert max(seen) <= MOST_DRAWN
    assert seen[-1] < 20
    assert any(seen)


def test_only_the_lanes_in_view_are_drawn(browser: Browser, tmp_path: Path):
    page = tmp_path / "lanes.html"
    assert run(["show", str(busy(400, sessions=200).path(tmp_path)), "-o", str(page)]) == ExitCode.SUCCESS
    browser.open(page, reduced_motion=True)
    browser.find("#zoom-fit").click()
    browser.settle()
    first = [name.text for name in browser.all("#lanes .lane-name")]
    assert first[0] == "agent-1"
    assert len(first) < 20
    browser.run("const view = document.getElementById('viewport'); view.scrollTop = view.scrollHeight")
    browser.settle()
    last = [name.text for name in browser.all("#lanes .lane-name")]
    assert last[-1] == "agent-200"
    assert len(last) < 20


def test_a_click_in_the_overview_moves_the_view(opened: Browser):
    before = opened.find("#details h3").text
    opened.run(
        "const box = document.getElementById('overview').getBoundingClientRect();"
        "document.getElementById('overview').dispatchEvent(new PointerEvent('pointerdown',"
        " {clientX: box.left + box.width * 0.85, clientY: box.top + 20, pointerId: 1}))"
    )
    opened.settle()
    numbers = [int(str(one.get_attribute("id"))[1:]) for one in opened.all("#lanes .exchange")]
    assert min(numbers) > 8000
    assert opened.find("#details h3").text == before


def test_a_filter_searches_all_exchanges(opened: Browser):
    opened.find("#filter-text").send_keys('"referenceId":7777}')
    opened.wait(lambda: opened.find("#count").text == "1 of 10,000 exchanges", "the filter doesn't filter")
    Select(opened.find("#filter-lane")).select_by_index(1)
    opened.wait(lambda: opened.find("#count").text == "1 of 10,000 exchanges", "agent-1 doesn't hold 7777")


def test_next_reaches_a_distant_exchange(opened: Browser):
    opened.find("#filter-text").send_keys('"referenceId":7777}')
    opened.wait(lambda: opened.find("#count").text == "1 of 10,000 exchanges", "the filter doesn't filter")
    opened.find("#next").click()
    opened.settle()
    assert [one.get_attribute("id") for one in opened.all("#lanes .exchange.selected")] == ["x7776"]
