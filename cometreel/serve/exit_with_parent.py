"""Run a command that ends with its parent process: `python exit_with_parent.py COMMAND…`, with a pipe as its stdin.

When the parent is killed, the operating system closes its end of the pipe. A forked child watches the pipe; the command
replaces the process that was started, so it keeps the process id. This file runs as a script and imports only the
standard library, so that the child needs little memory.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["exit_with_parent"]


def exit_with_parent(command: Sequence[str]) -> list[str]:
    """Return a command that runs another one, and ends it with SIGTERM when its standard input is closed."""
    return [sys.executable, "-I", "-S", __file__, *command]


def _watch(process: int) -> None:
    """Wait until the pipe is closed, then end the process if it still runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.closerange(1, os.sysconf("SC_OPEN_MAX"))  # readers of the command's output must see its end
    while os.read(0, 1024):
        pass
    if os.getppid() == process:  # else it has ended, and another process may have its id
        os.kill(process, signal.SIGTERM)


def _main() -> None:
    process = os.getpid()
    if os.fork() == 0:
        try:
            _watch(process)
        finally:
            os._exit(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # running the given command is its purpose


if __name__ == "__main__":
    _main()
