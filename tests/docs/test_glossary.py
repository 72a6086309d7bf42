"""The glossary names existing classes and defines all counts, markers and outcomes."""

from __future__ import annotations

import ast
import re

import pytest

from cometreel.load.tally import COUNTED
from cometreel.scenario.markers import MATCHED, RENDERED
from tests.docs.pages import DOCS, ROOT

_ROW = re.compile(r"^\| (.+?) \| .+ \| .+ \|$", re.MULTILINE)
_TEXT = (DOCS / "glossary.md").read_text("utf-8")
_FORMAT, _CODE = _TEXT[: _TEXT.index("## Recording")], _TEXT[_TEXT.index("## Code") :]


def terms(text: str) -> list[str]:
    """Return the terms of the tables in this part of the glossary, without backquotes."""
    return [term.strip("` ") for row in _ROW.findall(text) for term in row.split(",") if term != "term"]


def defined_names() -> set[str]:
    """Return the classes and type aliases of all modules."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "cometreel").rglob("*.py")]
    statements = [statement for tree in trees for statement in tree.body]
    classes = {statement.name for statement in statements if isinstance(statement, ast.ClassDef)}
    aliases = {ast.unparse(statement.target) for statement in statements if isinstance(statement, ast.AnnAssign)}
    return classes | aliases


def test_every_class_in_the_glossary_exists():
    names = {term for term in terms(_CODE) if term[0].isupper()}
    assert len(names) > 40
    assert names - defined_names() == set()


@pytest.mark.parametrize("count", sorted(COUNTED))
def test_every_count_of_the_load_report_is_defined(count: str):
    assert count in terms(_TEXT)


@pytest.mark.parametrize("marker", sorted({*MATCHED, *RENDERED}))
def test_every_marker_is_defined(marker: str):
    assert marker in terms(_FORMAT)


def test_no_term_is_defined_twice_in_a_section():
    sections = [terms(section) for section in _TEXT.split("\n## ")]
    assert [term for section in sections for term in set(section) if section.count(term) > 1] == []
