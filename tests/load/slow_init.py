"""Locustfile beside another one: a worker processes messages for a second before Locust fires `init`.

This happens for a short time in each worker. It is long enough to matter if the master is ready to start a test.
"""

from collections.abc import Callable

import gevent
from locust.runners import WorkerRunner

connect: Callable[[WorkerRunner], None] = WorkerRunner.connect_to_master


def connect_slowly(runner: WorkerRunner) -> None:
    """Connect, and let other greenlets run for a second."""
    connect(runner)
    gevent.sleep(1)


WorkerRunner.connect_to_master = connect_slowly  # type: ignore[method-assign]  # the test needs this order of events
