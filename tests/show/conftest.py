"""A browser for these tests, and pages drawn by the real command."""

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
    """The browser. After each test nothing may have been said on the console, not even a warning."""
    yield chromium_browser
    assert chromium_browser.complaints() == []


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Draws journals with `cometreel show`; two of them over one another."""

    def drawn(*made: Written) -> Path:
        files = [str(one.path(tmp_path, f"journal-{number}")) for number, one in enumerate(made)]
        page = tmp_path / "page.html"
        assert run(["show", *(["--diff"] if len(made) > 1 else []), *files, "-o", str(page)]) == ExitCode.DONE
        return page

    return drawn
