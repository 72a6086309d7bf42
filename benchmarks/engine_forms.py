"""Finds the forms of the engine that can be measured: pure Python, and the compiled one of `make compiled`.

The tests compile without optimisation, which halves the time; such an engine is not measured.
"""

from __future__ import annotations

import filecmp
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["COMPILED", "LEVEL_FILE", "ROOT", "EngineForm", "engine_forms"]

ROOT: Final = Path(__file__).parents[1]
COMPILED: Final = ROOT / "build" / "compiled"
LEVEL_FILE: Final = "optimisation-level"
"""The file in the folder of a compiled engine that contains the level with which it was compiled."""
_MEASURED_LEVEL: Final = "3"
_HOW: Final = "call `COMETREEL_OPTIMIZE=3 make compiled`"


@dataclass(frozen=True, slots=True)
class EngineForm:
    """One form of the engine: its name, and the folder that contains the package `cometreel`."""

    name: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which a Python process imports this form."""
        return {"PYTHONPATH": os.pathsep.join([str(self.folder), os.environ.get("PYTHONPATH", ""), str(ROOT)])}


def engine_forms() -> list[EngineForm]:
    """Return pure Python, and the compiled engine if it was built from these sources; else print how to build it."""
    pure, package = EngineForm("pure", ROOT), COMPILED / "cometreel"
    if not any(package.glob("wire.*.so")):
        print(f"Only pure Python is measured: build/compiled does not exist ({_HOW}).")
        return [pure]
    if changed := [path for path in sorted(package.rglob("*.py")) if not _is_current(path)]:
        name = changed[0].relative_to(COMPILED)
        print(f"Only pure Python is measured: build/compiled was built from an older {name} ({_HOW}).")
        return [pure]
    path = COMPILED / LEVEL_FILE
    level = path.read_text() if path.exists() else "an unknown level"
    if level != _MEASURED_LEVEL:
        print(f"Only pure Python is measured: build/compiled was optimised at {level}, not {_MEASURED_LEVEL} ({_HOW}).")
        return [pure]
    return [pure, EngineForm("compiled", COMPILED)]


def _is_current(built: Path) -> bool:
    """Return True if a built module equals its source, in `cometreel/` or in a folder that `package_dir` maps."""
    path = built.relative_to(COMPILED)
    source = next((place for place in (ROOT / path, ROOT / path.relative_to("cometreel")) if place.is_file()), None)
    return source is not None and filecmp.cmp(source, built, shallow=False)
