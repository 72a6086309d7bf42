"""The verdict: what a run found, as values. Every report is made of it and of nothing else.

What stands in it is redacted already; `live` of a finding is what a recording would hold of the live value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from cometreel.jsonvalue import JSON
from cometreel.scenario import Position
from cometreel.scenario.json_pointer import escape
from cometreel.scenario.matchers import MISSING, Missing
from cometreel.scenario.yaml_writer import inline

__all__ = ["Drift", "ExchangeOutcome", "StepVerdict", "Verdict", "shown"]

_LONGEST = 200


class ExchangeOutcome(Enum):
    """What became of an exchange; the words of the report."""

    SAME = "same"
    DRIFT = "drift"
    NOT_PLAYED = "not played"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `what` are the report's words for it; `path` leads into the exchange as the file writes it.

    `recorded` and `live` are values, or MISSING where there is none. `renamed` is the new name of a field.
    """

    what: str
    position: Position
    path: tuple[str | int, ...]
    recorded: JSON | Missing
    live: JSON | Missing
    renamed: str = ""

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer."""
        return "".join(f"/{escape(str(step))}" for step in self.path)

    def __str__(self) -> str:
        recorded, live = shown(self.recorded), shown(self.live)
        return f"{self.what} at {self.pointer}: recorded {recorded}, live {live}"


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """What became of one exchange, taken by one part. `reason` is why it wasn't played, `seconds`
    how long its reply took."""

    name: str
    part: str
    position: Position
    outcome: ExchangeOutcome
    findings: tuple[Drift, ...] = ()
    reason: str = ""
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """One line for each finding, with the place in the file before it."""
        place = f"{self.position.file}:{self.position.line}"
        if self.outcome is ExchangeOutcome.NOT_PLAYED:
            return [f"{place}: {self.name}: not played: {self.reason}"]
        return [f"{finding.position.file}:{finding.position.line}: {self.name}: {finding}" for finding in self.findings]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run found. `notes` inform and are no drift: notifications that nobody asked for."""

    scenario: tuple[str, ...]
    against: str
    steps: tuple[StepVerdict, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def same(self) -> bool:
        """Whether nothing that was played differs."""
        return not any(step.findings for step in self.steps)

    def count(self, outcome: ExchangeOutcome) -> int:
        """How many exchanges ended so."""
        return sum(step.outcome is outcome for step in self.steps)

    @property
    def played(self) -> bool:
        """Whether there was anything to judge."""
        return self.count(ExchangeOutcome.NOT_PLAYED) < len(self.steps)

    @property
    def differences(self) -> int:
        """How many differences there are."""
        return sum(len(step.findings) for step in self.steps)

    def summary(self) -> str:
        """All in one sentence."""
        parts = [f"{self.count(ExchangeOutcome.SAME)} same", f"{self.count(ExchangeOutcome.DRIFT)} drifted"]
        parts.append(f"{self.count(ExchangeOutcome.NOT_PLAYED)} not played")
        number = self.differences
        return f"{', '.join(parts)}: {number} difference{'' if number == 1 else 's'}"


def shown(value: JSON | Missing) -> str:
    """A value on one line of YAML, shortened."""
    if value is MISSING:
        return "nothing"
    text = inline(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
