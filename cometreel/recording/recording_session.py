"""One recording: a journal, what is forwarded into it, and the scenario that it becomes at its end.

Each recording has a journal of its own, which stays. Knows files; sends nothing.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.recording import Distilled, Recorder, distill, key_path, load_policy, write_scenario
from cometreel.recording.extending import extended
from cometreel.recording.record_proxy import CallObserver, RecordProxy
from cometreel.recording.upstream import Upstream
from cometreel.scenario import Profile, Scenario, ScenarioFile, load, parse, profile

__all__ = ["RecordingResult", "RecordingSession"]

PROFILE, POLICY = "gws-v2", "default"


@dataclass(frozen=True, slots=True)
class RecordingResult:
    """What a recording left: its journal, and where the scenario lies, or None if there is nothing new in it.

    `difference` is a unified diff against the scenario that was there before; `lines` tell the user the rest.
    """

    journal: Path
    scenario: Path | None
    difference: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _ExistingScenario:
    """The scenario that was there before, to be played and as it is written."""

    scenario: Scenario
    file: ScenarioFile

    @property
    def profile(self) -> Profile:
        """Which notification answers which call, as the scenario says or as is usual."""
        return self.scenario.profile if self.file.correlation is not None else profile(PROFILE)


class RecordingSession:
    """Record what goes to `upstream`; `scenario` is the file that it is for.

    :raises FileInvalid: if the scenario is there already and can't be used, or the journal can't be written.
    """

    def __init__(self, upstream: Upstream, scenario: Path, *, tell: Callable[[str], None] | None = None) -> None:
        self.upstream, self.scenario = upstream, scenario
        self._before = _ExistingScenario(load([scenario]), parse(scenario)) if scenario.exists() else None
        self._profile = self._before.profile if self._before is not None else profile(PROFILE)
        self.journal = _claimed(scenario)
        self.recorder = Recorder(
            self.journal, policy=load_policy(POLICY), profile=self._profile, clock=time.time, tell=tell
        )

    def opening(self, witness: CallObserver) -> Callable[[], AbstractAsyncContextManager[RecordProxy]]:
        """Return what opens the forwarder of this recording on a server's event loop."""
        return partial(RecordProxy.opened, self.upstream, self.recorder, witness)

    def finish(self, *, only_new: bool = False) -> RecordingResult:
        """Close the journal and write the scenario, beside one that is there already and differs: as NAME.new.yaml.

        `only_new` keeps that scenario's exchanges as they are and adds what it doesn't answer.

        :raises FileInvalid: if it can't be written; the journal is safe.
        """
        self.recorder.close()
        made = distill(self.journal, profile=self._profile)
        file = made.file.model_copy(update={"title": self.scenario.stem})
        if not file.exchanges:
            return self._nothing("nothing was recorded", made)
        if self._before is not None and self._before.file.correlation is not None:
            file = file.model_copy(update={"correlation": self._before.file.correlation})
        if only_new and self._before is not None:
            added = extended(self._before.file, self._before.scenario, file)
            if added is None:
                return self._nothing(f"{self.scenario.name} answers all that was asked", made)
            file = added
        written = write_scenario(file, self.scenario)
        return RecordingResult(self.journal, written.path, written.difference, self._lines(made))

    def _nothing(self, why: str, made: Distilled) -> RecordingResult:
        return RecordingResult(self.journal, None, "", (f"{why}; no scenario is written", *self._lines(made)[1:]))

    def _lines(self, made: Distilled) -> tuple[str, ...]:
        lost = self.recorder.lost
        missing = [f"{lost} events couldn't be written into the journal"] if lost else []
        return (*made.summary.lines(), *missing)


def _claimed(scenario: Path) -> Path:
    """Take a name for the journal, NAME.jsonl, or NAME.2.jsonl and so on where earlier recordings lie.

    The pseudonym key of the first is copied, so that a person keeps the same pseudonym in every recording.
    """
    try:
        scenario.parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            journal = scenario.with_suffix(".jsonl" if number == 1 else f".{number}.jsonl")
            if _made(journal):
                if number > 1:
                    _share_key(key_path(scenario.with_suffix(".jsonl")), key_path(journal))
                return journal
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        raise FileInvalid([Problem(str(scenario), 0, 0, found, "a folder with room where you may write")]) from None
    raise AssertionError("a count has no end")


def _made(journal: Path) -> bool:
    """Make an empty file, unless there is one."""
    try:
        os.close(os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


def _share_key(key: Path, other: Path) -> None:
    if key.exists() and not other.exists():
        shutil.copyfile(key, other)
        other.chmod(0o600)
