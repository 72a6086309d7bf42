"""The command line: one module for each command, which parses the options, calls the library and prints."""

from __future__ import annotations

from cometreel.cli.exit_codes import ExitCode
from cometreel.cli.main import run

__all__ = ["ExitCode", "run"]
