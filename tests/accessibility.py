"""axe-core, the accessibility checker of npm, on a page in a real Chromium.

    assert violations(browser) == []

The rules of WCAG 2.0 to 2.2, levels A and AA, are checked. `tests/peers/node/package.json` has the version of axe-core.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.chromium import Browser

__all__ = ["small_texts", "violations"]

_AXE = Path(__file__).parent / "peers" / "node" / "node_modules" / "axe-core" / "axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
_RUN = """
const [tags, done] = arguments;
axe.run(document, {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]}).then(
    results => done(results.violations.flatMap(violation => violation.nodes.map(node =>
        `${violation.id}: ${node.target.flat().join(" ")}: ${node.failureSummary.split("\\n").at(1).trim()}`))),
    error => done([`axe-core failed: ${error}`]))
"""
_SMALL = """
const found = new Set()
for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim())
    if (!own || !element.checkVisibility({checkVisibilityCSS: true}) || !element.getClientRects().length) continue
    if (element.getBoundingClientRect().width <= 1) continue  // for screen readers only
    const size = parseFloat(getComputedStyle(element).fontSize)
    if (size < arguments[0]) found.add(`${size}px: ${element.tagName} ${element.getAttribute("class") ?? ""}`)
}
return [...found].sort()
"""


def violations(browser: Browser) -> list[str]:
    """Return each violation of WCAG A and AA in the page: the rule, the element, and what is wrong."""
    browser.run(_axe())
    found = browser.driver.execute_async_script(_RUN, _TAGS)
    assert isinstance(found, list)
    return found


def small_texts(browser: Browser, pixels: float = 11) -> list[str]:
    """Return the kinds of elements whose visible text is smaller than this."""
    found = browser.run(_SMALL, pixels)
    assert isinstance(found, list)
    return found


@cache
def _axe() -> str:
    if not _AXE.is_file():
        pytest.fail(f"needs axe-core: cd {_AXE.parents[2]} && npm ci")
    return _AXE.read_text("utf-8")
