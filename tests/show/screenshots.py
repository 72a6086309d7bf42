"""Takes the pictures of docs/show.md in a real browser: `python -m tests.show.screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cometreel.show import page, read_conversation
from tests.chromium import Browser, chromium
from tests.unit.show.journal_texts import three_agents

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"


def take(browser: Browser, folder: Path) -> None:
    """Take the shipped sample in the light theme and three agents in the dark theme."""
    sample, agents = folder / "sample.html", folder / "agents.html"
    sample.write_text(page(read_conversation(ROOT / "recordings" / "workbin-desktop.jsonl")), "utf-8")
    agents.write_text(page(read_conversation(three_agents().path(folder, "three agents"))), "utf-8")
    browser.open(sample, size=(1360, 860))
    browser.find('#lanes .exchange[aria-label^="subscribe my workbins"]').click()
    browser.find("h1").click()  # moves the pointer away, so that no tooltip is shown
    browser.settle()
    browser.screenshot(IMAGES / "show-light.png")
    browser.open(agents, theme="dark", size=(1360, 860))
    browser.screenshot(IMAGES / "show-dark.png")


def main() -> int:
    """Take both pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        take(browser, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
