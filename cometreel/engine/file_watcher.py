"""Hot reload: notices that scenario files were edited, loads them, and says what is wrong with a broken edit.

Knows files and the event loop; what is done with the new scenario is the caller's. Nothing about replaying may enter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from cometreel.errors import InputError
from cometreel.scenario import Scenario, load

__all__ = ["Fingerprint", "fingerprint", "follow"]

logger = logging.getLogger(__name__)

Fingerprint: TypeAlias = "tuple[tuple[str, int, int, int], ...]"
"""Name, time of change, size and inode of each file: what an edit changes, however the editor saves."""


def fingerprint(paths: Sequence[Path]) -> Fingerprint:
    """Describe the files, and those in the folders, as they are now. A file that is missing is left out."""
    return tuple(sorted(_described(paths)))


def _described(paths: Sequence[Path]) -> Iterator[tuple[str, int, int, int]]:
    for path in paths:
        files = [file for suffix in ("yaml", "yml") for file in path.glob(f"*.{suffix}")] if path.is_dir() else [path]
        for file in files:
            try:
                facts = file.stat()
            except OSError:
                continue
            yield str(file), facts.st_mtime_ns, facts.st_size, facts.st_ino


async def follow(paths: Sequence[Path], install: Callable[[Scenario], None], *, every: float = 0.5) -> None:
    """Look at the files every so many seconds, and install what an edit made of them. Runs until cancelled.

    A file is read when it has been at rest for one look, so that half of a save isn't taken for an edit. An edit that
    can't be used is reported with its lines, once, and the scenario that was installed before stays in force.
    """
    loaded = seen = fingerprint(paths)
    while True:
        await asyncio.sleep(every)
        before, seen = seen, fingerprint(paths)
        if seen == loaded or seen != before:
            continue
        loaded = seen
        try:
            scenario = await asyncio.to_thread(load, paths)
        except InputError as error:
            logger.error("%s\nThe scenario stays as it was before this edit.", error)  # noqa: TRY400  # no traceback
        else:
            install(scenario)
