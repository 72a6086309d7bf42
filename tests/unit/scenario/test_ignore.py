"""`ignore:` in a scenario: pointers that `verify` doesn't compare, from all files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.errors import FileInvalid
from cometreel.scenario import dump, load, loads, parse

TEXT = "cometreel: 1\nignore:\n  - /workbins/*/uri\n  - /user/lastLogin\n"


def test_the_pointers_of_all_files_count_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT)
    (tmp_path / "b.yaml").write_text("cometreel: 1\nignore: [/user/lastLogin, /version]\n")
    assert load([tmp_path]).ignore == ("/workbins/*/uri", "/user/lastLogin", "/version")


def test_a_scenario_without_it_ignores_nothing() -> None:
    assert loads("cometreel: 1").ignore == ()


def test_it_is_written_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT)
    assert dump(parse(path)).partition("\n")[2] == TEXT


def test_an_invalid_pointer_is_rejected() -> None:
    with pytest.raises(FileInvalid, match=r"^<string>:2:10: "):
        loads("cometreel: 1\nignore: [workbins]\n")
