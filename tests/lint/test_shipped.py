"""The shipped scenarios and the sample recording with its journal have no issues."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.lint import lint

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*(ROOT / "scenarios").glob("*.yaml"), *(ROOT / "recordings").glob("*.yaml")])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_it_is_clean(path: Path):
    assert lint(path) == []


def test_the_sample_has_its_journal_next_to_it():
    assert (ROOT / "recordings" / "workbin-desktop.jsonl").is_file()
