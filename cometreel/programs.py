"""Finds programs of other packages, such as haproxy."""

from __future__ import annotations

import os
import shutil

__all__ = ["find_program"]

SERVICES = ("/usr/sbin", "/usr/local/sbin")
"""The folders of Debian's service programs, which are usually only on root's PATH."""


def find_program(name: str) -> str | None:
    """Return the path of a program on PATH or in the folders of services, or None."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SERVICES))
