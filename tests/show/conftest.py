"""The browser and pages created by `cometreel show`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from tests.chromium import Browser, chromium
from tests.unit.show.journal_texts import Written


@pytest.fixture(scope="package")
def chromium_browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(chromium_browser: Browser) -> Iterator[Browser]:
    """The browser. After each test the console must be empty, without even a warning."""
    yield chromium_browser
    assert chromium_browser.complaints() == []


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Create the page of a journal, or of the comparison of two, with `cometreel show`."""

    def drawn(*made: Written) -> Path:
        files = [str(one.path(tmp_path, f"journal-{number}")) for number, one in enumerate(made)]
        page = tmp_path / "page.html"
        assert run(["show", *(["--diff"] if len(made) > 1 else []), *files, "-o", str(page)]) == ExitCode.SUCCESS
        return page

    return drawn
