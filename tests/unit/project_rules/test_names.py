"""Names: one word for one thing, and no metaphors."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.unit.project_rules.sources import (
    CONSOLE,
    DOCS,
    PYTHON,
    ROOT,
    SOURCES,
    class_names,
    parsed,
    relative,
    repeated_file_names,
    shared_class_names,
)

SHARED_CLASS_NAMES = {
    "Desktop": "the user class of both locustfiles: Locust shows the name, and `locust … Desktop` selects it",
}
"""The class names that may occur in more than one module, with the reason; at most eight."""

REPEATED_FILE_NAMES: dict[str, str] = {}
"""The file names that may occur in more than one package, with the reason; at most twelve."""

THEATRE = re.compile(
    r"(?<![a-z])(casting|conductor|crew|cues?|desks?|doors?|entrance|house|parcels?|performances?(?!\.now)|repertoire|rooms?"
    r"|scores?|seats?|stages?|strikes?|struck|tether\w*|veil\w*)(?![a-z])",
    re.IGNORECASE,
)
"""Metaphors, which mean nothing to a reader who knows HTTP, CometD, WireMock or Locust."""


def test_class_names_are_unique_except_for_listed_ones():
    assert shared_class_names().keys() == SHARED_CLASS_NAMES.keys()
    assert len(SHARED_CLASS_NAMES) <= 8


def test_file_names_are_unique_except_for_listed_ones():
    assert repeated_file_names().keys() == REPEATED_FILE_NAMES.keys()
    assert len(REPEATED_FILE_NAMES) <= 12


def test_code_docs_and_pages_use_no_theatre_words():
    assert {relative(path): words for path in [*SOURCES, *DOCS, *CONSOLE] if (words := _theatre_words(path))} == {}


def _theatre_words(path: Path) -> list[str]:
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", path.read_text())  # `DeskOf` has the word `Desk`
    return sorted({found[0] for found in THEATRE.finditer(split)})


def test_docstrings_do_not_begin_with_a_question_word():
    assert {relative(path): lines for path in PYTHON if (lines := _openings(path))} == {}


def _openings(path: Path) -> list[str]:
    expressions = [node.value for node in ast.walk(parsed(path)) if isinstance(node, ast.Expr)]
    texts = [node.value for node in expressions if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if re.match(r"\s*(What|Who|Whose|Whom|Whether|Where|Which)\b", text)]


def test_sentences_of_the_docs_do_not_begin_with_a_question_word():
    assert {relative(path): lines for path in DOCS if (lines := _statements(path))} == {}


def _statements(path: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    question = re.compile(r"(?:^|(?<=[.:] ))(?:What|Who|Whose|Whether|Which) [^.?!\n]*[.?!\n]", re.MULTILINE)
    return [sentence for sentence in question.findall(text) if not sentence.endswith("?")]


def test_addons_and_locustfiles_are_imported_under_one_name():
    """`loadtests` and `cometreel.loadtests` would be two module objects made of one file."""
    assert {relative(path): names for path in PYTHON if (names := _top_level_imports(path))} == {}


def _top_level_imports(path: Path) -> list[str]:
    nodes = list(ast.walk(parsed(path)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
    return [name for name in names if name.split(".")[0] in ("loadtests", "proxy_addons", "scenarios")]


def test_the_glossary_names_classes_that_exist():
    text = (ROOT / "docs" / "glossary.md").read_text()
    rows = [line.split("|")[1] for line in text.partition("\n## Code\n")[2].splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    defined = {name for path in SOURCES for name in class_names(parsed(path))}
    assert sorted(named - defined) == []


def test_no_attribute_of_a_package_hides_a_module_of_the_same_name():
    """In a process of its own: some modules change the interpreter when they are imported (gevent)."""
    script = """
import importlib, pkgutil, sys, cometreel
for found in pkgutil.walk_packages(cometreel.__path__, "cometreel."):
    if not found.name.endswith("__main__") and not {"locust_agents", "loadtests"} & {*found.name.split(".")}:
        importlib.import_module(found.name)
for name, module in sorted(sys.modules.items()):
    package, _, last = name.rpartition(".")
    if name.startswith("cometreel.") and getattr(sys.modules[package], last) is not module:
        print(name)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
