"""The HTML report of a load run in a real Chromium: no violation of WCAG A or AA, no small text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from cometreel.load import html_section
from tests.accessibility import small_texts, violations
from tests.chromium import Browser, chromium
from tests.unit.load.test_load_report import a_report, a_tally

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Load test</title></head>
<body>{section}</body></html>
"""
"""A page for the section that Cometreel adds to Locust's report."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_report_has_no_violation_and_no_small_text(
    browser: Browser, tmp_path: Path, theme: Literal["light", "dark"], size: tuple[int, int]
):
    page = tmp_path / "report.html"
    section = html_section(a_report(a_tally(), "notification p99 < 800ms", "lost == 0"))
    page.write_text(PAGE.format(section=section), "utf-8")
    browser.open(page, theme=theme, size=size)
    assert (violations(browser), small_texts(browser)) == ([], [])
    assert browser.run("return document.documentElement.scrollWidth") == size[0]
    assert browser.complaints() == []
