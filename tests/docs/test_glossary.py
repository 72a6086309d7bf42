"""The glossary defines every count of the load report and every marker, and no term twice."""

from __future__ import annotations

import re

import pytest

from cometreel.load.tally import COUNTED
from cometreel.scenario.value_markers import MATCHED, RENDERED
from tests.docs.pages import DOCS

_ROW = re.compile(r"^\| (.+?) \| .+ \| .+ \|$", re.MULTILINE)
_TEXT = (DOCS / "glossary.md").read_text("utf-8")
_FORMAT = _TEXT[: _TEXT.index("## Recording")]


def terms(text: str) -> list[str]:
    """Return the terms of the tables in this part of the glossary, without backquotes."""
    return [term.strip("` ") for row in _ROW.findall(text) for term in row.split(",") if term != "term"]


@pytest.mark.parametrize("count", sorted(COUNTED))
def test_every_count_of_the_load_report_is_defined(count: str):
    assert count in terms(_TEXT)


@pytest.mark.parametrize("marker", sorted({*MATCHED, *RENDERED}))
def test_every_marker_is_defined(marker: str):
    assert marker in terms(_FORMAT)


def test_no_term_is_defined_twice_in_a_section():
    sections = [terms(section) for section in _TEXT.split("\n## ")]
    assert [term for section in sections for term in set(section) if section.count(term) > 1] == []
