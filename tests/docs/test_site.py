"""The site is complete: all pages listed, all pictures present and small, no external resources, current references."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import yaml
from selenium.webdriver import ActionChains

from cometreel.jsonvalue import JSON
from tests.accessibility import small_texts, violations
from tests.chromium import Browser, chromium
from tests.docs.pages import DOCS, ROOT
from tests.docs.reference import PAGES

TEXTS = {path.name: path.read_text("utf-8") for path in [*DOCS.glob("*.md"), *ROOT.glob("*.md")]}
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
_MACHINE = re.compile(r"/(?:root|home|work|tmp|opt|Users)/\w|\bdocs/docs\b|site-packages")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does; a warning is an error."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    shutil.copytree(DOCS, folder / "docs")
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict", "--clean"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def listed(entries: JSON) -> list[str]:
    """Return the pages in a navigation list of MkDocs, which may be nested."""
    if isinstance(entries, str):
        return [entries]
    assert isinstance(entries, (dict, list))
    inner = entries.values() if isinstance(entries, dict) else entries
    return [page for entry in inner for page in listed(entry)]


def test_every_page_is_listed_once():
    nav = listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(nav) == sorted(path.name for path in DOCS.glob("*.md"))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_current(name: str):
    """`python -m tests.docs.reference` generates both."""
    assert TEXTS[name] == PAGES[name]()


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_picture_of_a_page_exists_and_is_small(name: str):
    folder = DOCS if (DOCS / name).exists() else ROOT
    pictures = [folder / link for link in _PICTURE.findall(TEXTS[name])]
    assert [str(path) for path in pictures if not path.is_file() or path.stat().st_size > 200_000] == []


def test_every_picture_is_used():
    shown = {Path(link).name for text in TEXTS.values() for link in _PICTURE.findall(text)}
    assert {path.name for path in DOCS.rglob("*") if path.suffix in {".png", ".svg"}} - shown == set()


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_no_page_contains_a_local_path(name: str):
    assert _MACHINE.findall(TEXTS[name]) == []


def test_the_site_loads_nothing_from_the_network(site: Path):
    loads = re.compile(
        r"<(?:script|img|link rel=\"(?:stylesheet|preconnect|icon)\")[^>]*(?:src|href)=\"?(https?:[^\">\s]+)"
    )
    pages = {path.name: path.read_text("utf-8") for path in site.glob("*.html")}
    assert len(pages) > len(PAGES)
    assert {name: found for name, page in pages.items() if (found := loads.findall(page))} == {}


@pytest.mark.parametrize("name", ["index", "tutorial", "format", "architecture"])
def test_a_page_opens_from_a_file_without_console_messages(site: Path, browser: Browser, name: str):
    browser.open(site / f"{name}.html")
    assert browser.find("h1").text != ""
    assert browser.complaints() == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("theme", "size"), [("light", (1280, 900)), ("dark", (1280, 900)), ("light", (390, 844))])
def test_no_page_has_a_violation_or_a_small_text(
    site: Path, browser: Browser, theme: Literal["light", "dark"], size: tuple[int, int]
):
    """404.html has absolute addresses, so that it has no style when it is opened from a file."""
    found = {}
    for page in sorted(site.glob("*.html")):
        if page.name != "404.html":
            browser.open(page, theme=theme, size=size)
            overflow = browser.run("return Math.max(0, document.documentElement.scrollWidth - innerWidth)")
            found[page.name] = (violations(browser), small_texts(browser), overflow)
    assert len(found) > len(PAGES)
    assert {name: each for name, each in found.items() if each != ([], [], 0)} == {}


def test_the_search_works_from_a_file(site: Path, browser: Browser):
    """A page opened from a file can't start a worker, so the site contains a copy of it."""
    browser.open(site / "index.html")
    browser.find(".md-search__button").click()
    inside = "[...document.querySelectorAll('*')].find(element => element.shadowRoot)?.shadowRoot"
    browser.wait(lambda: browser.run(f"return Boolean({inside}?.querySelector('dialog[open] input'))"), "no field")
    browser.run(f"{inside}.querySelector('input').focus()")
    ActionChains(browser.driver).send_keys("drop-event").perform()
    names = f"return [...{inside}.querySelectorAll('a')].map(link => link.href.split('/').at(-1)).join('\\n')"
    browser.wait(lambda: "format.html?h=drop-event#faults" in str(browser.run(names)), "it wasn't found")
