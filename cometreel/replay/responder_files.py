"""Loads responders from Python files that the user names: the one place where the replay runs code it didn't ship.

What a responder is stands in `responders`; nothing about playing may enter.
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from cometreel.errors import FileInvalid, Problem
from cometreel.replay.responders import Responder

__all__ = ["load_responders"]


def load_responders(path: Path) -> Sequence[Responder]:
    """Run a Python file and return its list `responders`, as mitmproxy takes the list `addons` of a script.

    :raises FileInvalid: if the file is missing, fails while it runs, or has no such list of functions.
    """
    responders = getattr(_run(path), "responders", None)
    if not isinstance(responders, (list, tuple)):
        raise _invalid(path, 0, "the file names no responders", "a list `responders = [function, …]`")
    for responder in responders:
        if not callable(responder):
            raise _invalid(path, 0, f"{responder!r} in `responders` can't be called", "a function")
    return responders


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path) if path.suffix == ".py" else None
    if spec is None or spec.loader is None or not path.is_file():
        raise _invalid(path, 0, "there is no such Python file", "a file with responders", "reel_responders=FILE.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise _invalid(path, error.lineno or 0, f"SyntaxError: {error.msg}") from None
    except Exception as error:  # noqa: BLE001  # whatever a user's file raises is a fault of that file
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = (lines and lines[-1]) or 0
        raise _invalid(path, line, f"{type(error).__name__}: {error}") from None
    return module


def _invalid(path: Path, line: int, found: str, expected: str = "", hint: str = "") -> FileInvalid:
    return FileInvalid([Problem(str(path), line, 1 if line else 0, found, expected, hint)])
