"""What stands on a page of the documentation: commands and what they print, files, what isn't run and why.

The convention, which `test_pages.py` holds every page to that no other test runs:

- a `console` block is run, its lines beginning with `$ ` in one shell for the whole page, in a folder of its own. A
  line that ends with a backslash goes on; a server that ends with `&` stays. What is shown below a command is what it
  prints, with `…` for anything; one that shows nothing may print what it likes. Each must succeed, unless `echo $?` is
  next.
- a block with a title, ```` ```yaml title="desk.yaml" ````, is that file: it is written when the page comes to it.
- `<!-- not run: REASON -->` right above a block says why it can't be run here.
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
    """A command, and what it is said to print."""

    line: str
    printed: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that the page shows whole."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class NotRun:
    """A block that can't be run, and why."""

    reason: str


def steps(text: str) -> list[Command | File | NotRun]:
    """What a page does, in its order."""
    return [step for block in _BLOCK.finditer(text) for step in _of(block)]


def has_commands(text: str) -> bool:
    """Whether a page shows anything that a shell would run."""
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
