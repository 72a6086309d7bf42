"""The starter project: a scenario, its JSON Schema, a passing test and a README. Never overwrites a file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.scenario import schema_text
from cometreel.scenario.files import SCHEMA_NAME

__all__ = ["ScaffoldResult", "write_scaffold"]

_FILES = {
    "README.md": "readme.txt",
    "workbins.yaml": "workbins.yaml",
    "test_workbins.py": "test.txt",
    ".gitignore": "gitignore.txt",
}
"""The files and their templates. The suffix .txt keeps tools from using the templates themselves."""


@dataclass(frozen=True, slots=True)
class ScaffoldResult:
    """The files that were written, and the existing files that were kept."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]


def write_scaffold(folder: Path) -> ScaffoldResult:
    """Create the starter project, or the missing files of one.

    :raises FileInvalid: if a file can't be written.
    """
    templates = files("cometreel.cli") / "starter"
    texts = {name: (templates / template).read_text("utf-8") for name, template in _FILES.items()}
    written: list[Path] = []
    kept: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {**texts, SCHEMA_NAME: schema_text()}.items():
            path = folder / name
            (written if _write_new(path, text) else kept).append(path)
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        raise FileInvalid([Problem(str(folder), 0, 0, found, "a writable folder with free space")]) from None
    return ScaffoldResult(tuple(written), tuple(kept))


def _write_new(path: Path, text: str) -> bool:
    """Write a file and return True; return False if it exists."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True
