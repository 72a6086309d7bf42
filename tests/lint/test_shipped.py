"""Every scenario that ships is clean, without a note; the sample recording too, against its own journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.lint import lint

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*(ROOT / "scenarios").glob("*.yaml"), *(ROOT / "recordings").glob("*.yaml")])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_it_is_clean(path: Path):
    assert lint(path) == []


def test_the_sample_lies_beside_its_journal():
    assert (ROOT / "recordings" / "workbin-desktop.jsonl").is_file()
