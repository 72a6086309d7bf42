"""Return the output of a command whose stderr is a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["seen_on_a_terminal"]


def seen_on_a_terminal(command: Sequence[str], folder: Path) -> str:
    """Run a command, which must succeed, and return all that its terminal was sent."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    subprocess.run(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=follower, check=True, env=environment, timeout=60
    )
    os.close(follower)
    seen = b""
    try:
        while piece := os.read(leader, 4096):
            seen += piece
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    return seen.decode()
