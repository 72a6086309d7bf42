"""Responders are functions in a Python file; an error in the file is reported with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.engine.responders import load_responders
from cometreel.errors import FileInvalid


def test_a_file_defines_its_responders_in_a_list(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def first(asked):\n    return 1\n\nresponders = [first]\n")
    (first,) = load_responders(file)
    assert first(None) == 1  # type: ignore[arg-type, comparison-overlap]  # the responder ignores its argument


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1\n", ": the file has no list of responders; expected a list `responders = [function, …]`"),
        ("responders = [7]\n", ": 7 in `responders` can't be called; expected a function"),
        ("x = 1\nresponders = [\n", ":2:1: SyntaxError: '[' was never closed"),
        ("import os\nresponders = nobody\n", ":2:1: NameError: name 'nobody' is not defined"),
        ("def f():\n    raise OSError('no disk')\nf()\n", ":2:1: OSError: no disk"),
    ],
)
def test_an_error_in_the_file_is_reported_in_one_line(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(FileInvalid) as caught:
        load_responders(file)
    assert str(caught.value) == f"{file}{problem}"


@pytest.mark.parametrize("name", ["absent.py", "notes.txt", "folder.py"])
def test_only_a_python_file_that_exists_is_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("responders = []")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(FileInvalid, match="there is no such Python file; expected a file with responders"):
        load_responders(tmp_path / name)
