"""The scenario that a caller passes: files, YAML text, a `Scenario`, or a compiled one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cometreel.engine.file_watcher import Fingerprint, fingerprint
from cometreel.errors import FileInvalid, OptionInvalid, Problem
from cometreel.scenario import CompiledScenario, Scenario, load, loads

__all__ = ["AnyScenario", "ScenarioSource", "parse_source"]

TEXT = "<text>"
"""The file name in positions of YAML text."""

AnyScenario = str | Path | Scenario | CompiledScenario
"""A file or a folder, YAML text with a line break, or a scenario."""

EXPECTED = "a file, YAML text or a Scenario"


@dataclass(frozen=True, slots=True)
class ScenarioSource:
    """Files, one text, or one scenario; without any of them the scenario is empty."""

    files: tuple[Path, ...] = ()
    text: str = ""
    scenario: Scenario | CompiledScenario | None = None

    def __str__(self) -> str:
        if self.files:
            return ", ".join(path.name for path in self.files)
        return "YAML text" if self.text else "a loaded scenario"

    def load(self, hint: str = "") -> CompiledScenario:
        """Load the scenario. The `hint` is that of a missing file.

        :raises FileInvalid: with all problems.
        """
        if isinstance(self.scenario, CompiledScenario):
            return self.scenario
        if self.scenario is not None:
            return self.scenario.compiled()
        if not self.files:
            return loads(self.text or "cometreel: 1\n", TEXT)
        expected = "a scenario file or folder"
        missing = [Problem(str(path), 0, 0, "no such file", expected, hint) for path in self.files if not path.exists()]
        if missing:
            raise FileInvalid(missing)
        return _loaded(self.files, fingerprint(self.files))


def parse_source(given: Sequence[AnyScenario], *, option: str, folders: Sequence[Path] = (Path(),)) -> ScenarioSource:
    """Parse the arguments of `option`; a relative path is resolved against these folders, in order.

    :raises OptionInvalid: if an argument is not a scenario.
    """
    if len(given) == 1 and isinstance(given[0], Scenario | CompiledScenario):
        return ScenarioSource(scenario=given[0])
    if len(given) == 1 and isinstance(given[0], str) and "\n" in given[0]:
        return ScenarioSource(text=given[0])
    paths = []
    for each in given:
        if isinstance(each, Scenario | CompiledScenario) or (isinstance(each, str) and "\n" in each):
            raise OptionInvalid(option, "text or a scenario with other arguments", "it alone, or files only")
        if not isinstance(each, str | Path):
            raise OptionInvalid(option, f"{each!r}", EXPECTED)
        paths.append(_found(Path(each).expanduser(), folders))
    return ScenarioSource(tuple(paths))


def _found(path: Path, folders: Sequence[Path]) -> Path:
    """Resolve a path against the first folder in which it exists, else against the first folder."""
    candidates = [folder / path for folder in folders]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])


@lru_cache(maxsize=64)
def _loaded(files: tuple[Path, ...], _fingerprint: Fingerprint) -> CompiledScenario:
    """Load files once for all tests, until a file changes."""
    return load(files)
