"""What the command line says to the shell when it ends."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    """The command did what it was asked."""
    NO = 1
    """It ran, and the answer is no: something differs, a limit was broken, a check found something."""
    CANNOT = 2
    """It could not run: bad input or a bad environment. Nothing was changed."""
