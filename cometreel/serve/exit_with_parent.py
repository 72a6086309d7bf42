"""Run a command that ends with whoever started it: `python tether.py COMMAND…`, its standard input a pipe from there.

A parent that is killed tells nobody, but the system closes its end of the pipe. The command keeps the process, and its
id, that was started; the child that watches the pipe is forked before. Run as a file, before anything is imported: a
watcher is to cost next to nothing. So nothing but the standard library may enter.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["exit_with_parent"]


def exit_with_parent(command: Sequence[str]) -> list[str]:
    """Return the command that runs another one until its standard input ends, then with SIGTERM ends it."""
    return [sys.executable, "-I", "-S", __file__, *command]


def _watch(watched: int) -> None:
    """Wait until the pipe ends, and end the process unless that has happened by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.closerange(1, os.sysconf("SC_OPEN_MAX"))  # whoever reads what the command prints must see its end
    while os.read(0, 1024):
        pass
    if os.getppid() == watched:  # else it is gone, and the number may be somebody else's
        os.kill(watched, signal.SIGTERM)


def _main() -> None:
    itself = os.getpid()
    if os.fork() == 0:
        try:
            _watch(itself)
        finally:
            os._exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # what it is given is what it is for


if __name__ == "__main__":
    _main()
