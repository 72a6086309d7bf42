"""Threads and queues of the operating system, also where gevent has put greenlets in their place.

A gevent process (Locust, many test suites) replaces `threading` and `_thread`; an event loop in such a "thread" would
stop the whole process. Nothing but these primitives may enter.
"""

from __future__ import annotations

import _thread
import sys
from _queue import Empty, SimpleQueue  # the C type: gevent replaces only the name in `queue`
from collections.abc import Callable

__all__ = ["Empty", "SimpleQueue", "current_thread", "start_thread"]


def start_thread(function: Callable[[], None]) -> None:
    """Run a function on a new thread of the operating system. The thread doesn't keep the process alive."""
    _original("start_new_thread")(function, ())


def current_thread() -> int:
    """Return the number of the operating system's thread that asks."""
    number: int = _original("get_ident")()
    return number


def _original(name: str) -> Callable[..., int]:
    """Return a function of `_thread` as Python has it."""
    monkey = sys.modules.get("gevent.monkey")
    function: Callable[..., int] = getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)
    return function
