"""Parses a page of the documentation: commands with their output, files, and blocks that aren't run.

The convention, which `test_pages.py` checks for every page that no other test runs:

- `console` blocks are run. Their lines starting with `$ ` are the commands of one shell for the whole page, in a new
  folder. A line that ends with a backslash continues; a server started with `&` keeps running. The lines below a
  command are its output, with `…` for any text; the output of a command without such lines isn't compared. Each command
  must succeed, unless `echo $?` follows.
- A block with a title, ```` ```yaml title="scenario.yaml" ````, is a file, which is written at that point.
- `<!-- not run: REASON -->` above a block is the reason why it can't be run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "ROOT", "Command", "File", "NotRun", "has_commands", "steps"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n+)?"
    r"```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SHELL = ("console", "sh", "bash")


@dataclass(frozen=True, slots=True)
class Command:
    """A command and its expected output."""

    line: str
    printed: str


@dataclass(frozen=True, slots=True)
class File:
    """A file with its complete content."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class NotRun:
    """A block that can't be run, with the reason."""

    reason: str


def steps(text: str) -> list[Command | File | NotRun]:
    """Return the commands, files and unrun blocks of a page in order."""
    return [step for block in _BLOCK.finditer(text) for step in _of(block)]


def has_commands(text: str) -> bool:
    """True if a page has blocks for a shell."""
    return any(block["language"] in _SHELL for block in _BLOCK.finditer(text))


def _of(block: re.Match[str]) -> list[Command | File | NotRun]:
    if block["reason"]:
        return [NotRun(block["reason"])]
    if block["title"]:
        return [File(block["title"], block["text"])]
    return _commands(block["text"]) if block["language"] == "console" else []


def _commands(text: str) -> list[Command | File | NotRun]:
    found: list[Command | File | NotRun] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
        found.append(Command("\n".join(lines[: end + 1]), "\n".join(lines[end + 1 :])))
    return found
