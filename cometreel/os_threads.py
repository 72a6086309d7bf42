"""Threads of the operating system and the queues between them, also if gevent has patched the process."""

from __future__ import annotations

import _thread
import sys
from _queue import Empty, SimpleQueue  # the C type: gevent replaces only the name in `queue`
from collections.abc import Callable

__all__ = ["Empty", "SimpleQueue", "current_thread", "start_thread"]


def start_thread(function: Callable[[], None]) -> None:
    """Run a function on a new daemon thread of the operating system."""
    _original("start_new_thread")(function, ())


def current_thread() -> int:
    """Return the identifier of the calling operating system thread."""
    number: int = _original("get_ident")()
    return number


def _original(name: str) -> Callable[..., int]:
    """Return a function of `_thread` without the patches of gevent."""
    monkey = sys.modules.get("gevent.monkey")
    function: Callable[..., int] = getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)
    return function
