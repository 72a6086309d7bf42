"""The scenario that a test passes to `reel.play`: files, YAML text, or a loaded scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cometreel.engine.file_watcher import Fingerprint, fingerprint
from cometreel.errors import FileInvalid, OptionInvalid, Problem
from cometreel.pytest_plugin.plugin_options import PluginOptions
from cometreel.scenario import CompiledScenario, load, loads

__all__ = ["ScenarioSource", "parse_source"]

TEXT = "<text>"
"""The file name in positions of YAML text."""


@dataclass(frozen=True, slots=True)
class ScenarioSource:
    """Files, one text, or one loaded scenario."""

    files: tuple[Path, ...] = ()
    text: str = ""
    scenario: CompiledScenario | None = None

    def __str__(self) -> str:
        if self.files:
            return ", ".join(path.name for path in self.files)
        return "YAML text" if self.text else "a loaded scenario"

    def file_to_record(self, options: PluginOptions) -> Path | None:
        """Return the file to record; None if the scenario is to be replayed.

        Only a single file is recorded: new exchanges have no definite place in several files or in text.
        """
        if not options.record or options.mode == "none" or len(self.files) != 1 or self.files[0].is_dir():
            return None
        (file,) = self.files
        return None if options.mode == "once" and file.exists() else file

    def load(self) -> CompiledScenario:
        """Load the scenario.

        :raises FileInvalid: with all problems.
        """
        if self.scenario is not None:
            return self.scenario
        if self.text:
            return loads(self.text, TEXT)
        missing = [path for path in self.files if not path.exists()]
        if missing:
            raise FileInvalid([_missing(path) for path in missing])
        return _loaded(self.files, fingerprint(self.files))


def parse_source(given: Sequence[str | Path | CompiledScenario], folders: Sequence[Path]) -> ScenarioSource:
    """Parse the arguments of `reel.play`; a relative path is resolved against these folders, in order.

    :raises OptionInvalid: if an argument is not a scenario.
    """
    if len(given) == 1 and isinstance(given[0], CompiledScenario):
        return ScenarioSource(scenario=given[0])
    if len(given) == 1 and isinstance(given[0], str) and "\n" in given[0]:
        return ScenarioSource(text=given[0])
    paths = []
    for each in given:
        if isinstance(each, CompiledScenario) or (isinstance(each, str) and "\n" in each):
            raise OptionInvalid("reel.play", "text or a scenario with other arguments", "it alone, or files only")
        if not isinstance(each, str | Path):
            raise OptionInvalid("reel.play", f"{each!r}", "a file, YAML text or a loaded scenario")
        paths.append(_found(Path(each).expanduser(), folders))
    if not paths:
        raise OptionInvalid("reel.play", "nothing to play", "a file, YAML text or a loaded scenario")
    return ScenarioSource(tuple(paths))


def _found(path: Path, folders: Sequence[Path]) -> Path:
    """Resolve a path against the first folder in which it exists, else against the first folder."""
    candidates = [folder / path for folder in folders]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])


def _missing(path: Path) -> Problem:
    hint = "to record it: pytest --reel-record=URL"
    return Problem(str(path), 0, 0, "no such file", "a scenario file or folder", hint)


@lru_cache(maxsize=64)
def _loaded(files: tuple[Path, ...], _fingerprint: Fingerprint) -> CompiledScenario:
    """Load files once for all tests, until a file changes."""
    return load(files)
