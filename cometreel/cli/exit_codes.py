"""The exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """The exit codes of every command."""

    SUCCESS = 0
    """The command succeeded."""
    CHECK_FAILED = 1
    """The command ran, and a check failed: a difference, a broken limit, an issue."""
    ERROR = 2
    """The command could not run: invalid input, or a missing requirement. Nothing was changed."""
