"""Hot reload: detects edits of scenario files, loads the files, and logs the errors of an invalid edit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from cometreel.errors import InputError
from cometreel.scenario import CompiledScenario, load
from cometreel.scenario.data_files import named_files

__all__ = ["Fingerprint", "fingerprint", "follow"]

logger = logging.getLogger(__name__)

Fingerprint: TypeAlias = "tuple[tuple[str, int, int, int], ...]"
"""Name, modification time, size and inode of each file; every way of saving changes one of them."""


def fingerprint(paths: Sequence[Path]) -> Fingerprint:
    """Return the fingerprint of the files, of those in folders, and of their data files, without missing ones."""
    return tuple(sorted(_file_states(paths)))


def _file_states(paths: Sequence[Path]) -> Iterator[tuple[str, int, int, int]]:
    for path in paths:
        files = [file for suffix in ("yaml", "yml") for file in path.glob(f"*.{suffix}")] if path.is_dir() else [path]
        for file in files:
            state = _state(file)
            if state is not None:
                yield state
                yield from filter(None, map(_state, _data_files(*state)))


def _state(file: Path) -> tuple[str, int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return str(file), status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=1024)
def _data_files(file: str, _mtime: int, _size: int, _inode: int) -> tuple[Path, ...]:
    """Return the data files that a scenario names; it is read again only if it has changed."""
    return tuple(named_files(Path(file)))


async def follow(paths: Sequence[Path], install: Callable[[CompiledScenario], None], *, every: float = 0.5) -> None:
    """Check the files each `every` seconds, and pass each edited scenario to `install`. Runs until cancelled.

    Files are read when they were unchanged for one interval, so that a half-written file isn't loaded. An invalid edit
    is logged once, with its lines, and the previous scenario stays active.
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
            logger.error("%s\nThe previous scenario stays active.", error)  # noqa: TRY400  # no traceback
        else:
            install(scenario)
