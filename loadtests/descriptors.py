"""File descriptors: each agent has two sockets, and a process that runs out of them measures itself."""

from __future__ import annotations

import resource

from cometreel.errors import OptionInvalid

__all__ = ["check_descriptors"]

_EACH = 2
_OTHERS = 64


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
