"""How many files, and so connections, this process may have open."""

from __future__ import annotations

import resource

__all__ = ["RESERVE", "connections_allowed", "raise_limit"]

RESERVE = 64  # for what isn't a connection: listeners, logs, the files of the scenario
UNLIMITED = 1_000_000


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one. It is the whole process's, so only a program does that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_allowed() -> int:
    """Return how many connections this process may hold open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else max(1, soft - RESERVE)
