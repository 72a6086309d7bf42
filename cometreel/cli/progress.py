"""What a terminal shows while a command works: that it does, and for how long. A log shows nothing of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

__all__ = ["show_progress", "progress_bar"]


def progress_bar(last: ProgressColumn) -> Progress:
    """Make a bar on stderr, of which nothing is left in the end: what is done, how far it is, and a last column."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), last)
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@contextmanager
def show_progress(what: str) -> Iterator[None]:
    """Show a moving bar on stderr until the work is done; then nothing is left of it."""
    with progress_bar(TimeElapsedColumn()) as bar:
        bar.add_task(what, total=None)
        yield
