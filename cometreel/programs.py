"""Where programs of other packages are, such as haproxy."""

from __future__ import annotations

import os
import shutil

__all__ = ["find_program"]

SERVICES = ("/usr/sbin", "/usr/local/sbin")
"""Where Debian keeps the programs of services: on root's PATH and hardly on anybody else's."""


def find_program(name: str) -> str | None:
    """Find a program on PATH, or among those of services; None if there is none."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SERVICES))
