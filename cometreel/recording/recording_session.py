"""A recording session: a new journal, the recorder that writes it, and the scenario that is written at the end.

Each session keeps its own journal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.recording import Distilled, Policy, Recorder, distill, key_path, load_policy, write_scenario
from cometreel.recording.extending import extend_scenario
from cometreel.recording.record_proxy import CallObserver, RecordProxy
from cometreel.recording.recording_journal import read_key, write_key
from cometreel.recording.upstream import Upstream
from cometreel.scenario import DETECT, CompiledScenario, ProfileChoice, ScenarioBlock, load, parse
from cometreel.scenario import profile as profile_named

__all__ = ["RecordingResult", "RecordingSession"]

POLICY = "default"


@dataclass(frozen=True, slots=True)
class RecordingResult:
    """The files of a recording."""

    journal: Path
    scenario: Path | None
    """The scenario that was written; None if nothing new was recorded."""
    difference: str
    """A unified diff against the existing scenario; empty if there was none."""
    lines: tuple[str, ...]
    """The summary for the user, with everything that was left out."""


@dataclass(frozen=True, slots=True)
class _ExistingScenario:
    """The scenario that exists before the recording, loaded and as a file model."""

    scenario: CompiledScenario
    file: ScenarioBlock

    @property
    def profile(self) -> ProfileChoice | None:
        """The correlation profile of the scenario; None if it has none."""
        correlation = self.file.correlation
        return profile_named(correlation) if isinstance(correlation, str) else correlation


class RecordingSession:
    """Records the traffic to `upstream`; `scenario` is the path of the scenario to write.

    The correlation profile of an existing scenario takes precedence over `profile`.

    :raises FileInvalid: if an existing scenario is invalid, or the journal can't be written.
    """

    def __init__(
        self,
        upstream: Upstream,
        scenario: Path,
        *,
        policy: Policy | None = None,
        profile: ProfileChoice = DETECT,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.upstream, self.scenario = upstream, scenario
        self._existing = _ExistingScenario(load([scenario]), parse(scenario)) if scenario.exists() else None
        self._profile = profile if self._existing is None else self._existing.profile or profile
        self.journal = _create_journal(scenario)
        self.recorder = Recorder(
            self.journal,
            policy=policy or load_policy(POLICY),
            profile=self._profile,
            clock=time.time,
            report=report,
        )

    def proxy_factory(self, observer: CallObserver) -> Callable[[], AbstractAsyncContextManager[RecordProxy]]:
        """Return a function that creates the proxy of this session on the event loop of a server."""
        return partial(RecordProxy.open, self.upstream, self.recorder, observer)

    def finish(self, *, only_new: bool = False) -> RecordingResult:
        """Close the journal and write the scenario; if a different one exists, to NAME.new.yaml.

        With `only_new`, the existing exchanges are kept and only requests that they don't answer are added.

        :raises FileInvalid: if the scenario can't be written; the journal is kept.
        """
        self.recorder.close()
        distilled = distill(self.journal, profile=self._profile)
        file = distilled.file.model_copy(update={"title": self.scenario.stem})
        if not file.exchanges:
            return self._without_scenario("nothing was recorded", distilled)
        if self._existing is not None and self._existing.file.correlation is not None:
            file = file.model_copy(update={"correlation": self._existing.file.correlation})
        if only_new and self._existing is not None:
            added = extend_scenario(self._existing.file, self._existing.scenario, file)
            if added is None:
                return self._without_scenario(f"{self.scenario.name} answers all recorded requests", distilled)
            file = added
        written = write_scenario(file, self.scenario)
        lines = (*self._lines(distilled), *written.notes)
        return RecordingResult(self.journal, written.path, written.difference, lines)

    def _without_scenario(self, reason: str, distilled: Distilled) -> RecordingResult:
        return RecordingResult(
            self.journal, None, "", (f"{reason}; no scenario is written", *self._lines(distilled)[1:])
        )

    def _lines(self, distilled: Distilled) -> tuple[str, ...]:
        lost = self.recorder.lost
        missing = [f"{lost} events could not be written to the journal"] if lost else []
        return (*distilled.summary.lines(), *missing)


def _create_journal(scenario: Path) -> Path:
    """Create an empty journal, NAME.jsonl, or NAME.2.jsonl and so on if earlier recordings exist.

    The pseudonym key of the first journal is copied, so that a value has the same pseudonym in every recording.
    """
    try:
        scenario.parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            journal = scenario.with_suffix(".jsonl" if number == 1 else f".{number}.jsonl")
            if _create_file(journal):
                if number > 1:
                    _copy_key(key_path(scenario.with_suffix(".jsonl")), journal)
                return journal
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        raise FileInvalid([Problem(str(scenario), 0, 0, found, "a writable folder with free space")]) from None
    raise AssertionError("unreachable: count() is infinite")


def _create_file(journal: Path) -> bool:
    """Create an empty file; False if it exists."""
    try:
        os.close(os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


def _copy_key(key: Path, journal: Path) -> None:
    """Copy a key for another journal, completely or not at all."""
    if key.exists() and not key_path(journal).exists():
        write_key(key_path(journal), read_key(key.with_suffix(".jsonl")))
