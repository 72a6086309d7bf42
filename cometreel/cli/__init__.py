"""The command line: one module for each command. It parses, calls the engine and prints; it decides nothing."""

from __future__ import annotations

from cometreel.cli.exit_codes import ExitCode
from cometreel.cli.main import main, run

__all__ = ["ExitCode", "main", "run"]
