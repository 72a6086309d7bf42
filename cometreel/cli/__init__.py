"""The command line: one module for each command. It parses, calls the engine and prints; it decides nothing."""

from __future__ import annotations

from cometreel.cli.exits import Exit
from cometreel.cli.main import main, run

__all__ = ["Exit", "main", "run"]
