"""What a test gives to be played: files, YAML text, or a scenario that is loaded already. Starts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cometreel.engine.file_watcher import Fingerprint, fingerprint
from cometreel.errors import FileInvalid, OptionInvalid, Problem
from cometreel.pytest_plugin.plugin_options import PluginOptions
from cometreel.scenario import Scenario, load, loads

__all__ = ["ScenarioSource", "parse_source"]

TEXT = "<text>"
"""How positions in YAML text are told."""


@dataclass(frozen=True, slots=True)
class ScenarioSource:
    """Files, or one text, or one scenario."""

    files: tuple[Path, ...] = ()
    text: str = ""
    scenario: Scenario | None = None

    def __str__(self) -> str:
        if self.files:
            return ", ".join(path.name for path in self.files)
        return "the text given" if self.text else "the scenario given"

    def to_record(self, options: PluginOptions) -> Path | None:
        """Return the file that the options want recorded; None if this is to be replayed.

        Only a single file is recorded: of several, and of text, nobody knows what belongs where.
        """
        if not options.record or options.mode == "none" or len(self.files) != 1 or self.files[0].is_dir():
            return None
        (file,) = self.files
        return None if options.mode == "once" and file.exists() else file

    def load(self) -> Scenario:
        """Load the scenario.

        :raises FileInvalid: with every problem.
        """
        if self.scenario is not None:
            return self.scenario
        if self.text:
            return loads(self.text, TEXT)
        missing = [path for path in self.files if not path.exists()]
        if missing:
            raise FileInvalid([_missing(path) for path in missing])
        return _loaded(self.files, fingerprint(self.files))


def parse_source(given: Sequence[str | Path | Scenario], folders: Sequence[Path]) -> ScenarioSource:
    """Tell what was given; a relative path is looked for in these folders, in order.

    :raises OptionInvalid: if it is nothing that can be played.
    """
    if len(given) == 1 and isinstance(given[0], Scenario):
        return ScenarioSource(scenario=given[0])
    if len(given) == 1 and isinstance(given[0], str) and "\n" in given[0]:
        return ScenarioSource(text=given[0])
    paths = []
    for each in given:
        if isinstance(each, Scenario) or (isinstance(each, str) and "\n" in each):
            raise OptionInvalid("reel.play", "a loaded scenario or a text beside others", "it alone, or files only")
        if not isinstance(each, str | Path):
            raise OptionInvalid("reel.play", f"{each!r}", "a file, YAML text or a loaded scenario")
        paths.append(_found(Path(each).expanduser(), folders))
    if not paths:
        raise OptionInvalid("reel.play", "nothing to play", "a file, YAML text or a loaded scenario")
    return ScenarioSource(tuple(paths))


def _found(path: Path, folders: Sequence[Path]) -> Path:
    """Find a path in the first folder that has it; where none has, it belongs into the first."""
    candidates = [folder / path for folder in folders]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])


def _missing(path: Path) -> Problem:
    hint = "record it: pytest --reel-record=URL"
    return Problem(str(path), 0, 0, "there is no such file", "a scenario file or folder", hint)


@lru_cache(maxsize=64)
def _loaded(files: tuple[Path, ...], _as_they_are: Fingerprint) -> Scenario:
    """Load files once for all tests that play them, until they are edited."""
    return load(files)
