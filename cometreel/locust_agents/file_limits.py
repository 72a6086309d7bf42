"""File descriptors: each agent has two sockets, and a process that runs out of them measures itself."""

from __future__ import annotations

import resource

from cometreel.errors import OptionInvalid

__all__ = ["check_descriptors", "raise_descriptors"]

_EACH = 2
_OTHERS = 64
_MANY = 262_144


def check_descriptors(agents: int) -> None:
    """Raise this process's limit of open files as far as these agents need.

    :raises OptionInvalid: if the system doesn't allow so many.
    """
    needed = _EACH * agents + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        found = f"{agents} agents need {needed} open files, and {hard} are allowed"
        raise OptionInvalid("--users", found, "fewer agents in a process", "more workers, or ulimit -Hn in the shell")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def raise_descriptors() -> None:
    """Raise this process's limit of open files as far as it goes: a worker isn't told how many agents it will have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY if hard == resource.RLIM_INFINITY else min(hard, _MANY)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
