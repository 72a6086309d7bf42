"""Progress bars on stderr. They appear on a terminal only and are erased at the end; Rich is imported only for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

__all__ = ["show_progress", "show_read_progress"]


@contextmanager
def show_progress(description: str) -> Iterator[None]:
    """Show a moving bar with the elapsed time until the block ends."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import TimeElapsedColumn  # noqa: PLC0415  # slow, and needed on a terminal only

    with _bar(TimeElapsedColumn()) as bar:
        bar.add_task(description, total=None)
        yield


@contextmanager
def show_read_progress(file: Path) -> Iterator[Callable[[int], None]]:
    """Show how much of a file has been read. Call the result with the number of bytes read so far."""
    if not sys.stderr.isatty():
        yield lambda _bytes_read: None
        return
    from rich.progress import DownloadColumn  # noqa: PLC0415  # as above

    size = file.stat().st_size if file.is_file() else 0
    with _bar(DownloadColumn()) as bar:
        task = bar.add_task("reading", total=size)

        def update(bytes_read: int) -> None:
            bar.update(task, completed=bytes_read, description="reading" if bytes_read < size else "distilling")

        yield update


def _bar(last: ProgressColumn) -> Progress:
    from rich.console import Console  # noqa: PLC0415  # as above
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), last)
    return Progress(*columns, console=Console(stderr=True), transient=True)
