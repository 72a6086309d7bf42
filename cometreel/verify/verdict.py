"""The verdict of a run: the only input of every report. Its values are redacted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from cometreel.jsonvalue import JSON
from cometreel.scenario import Position
from cometreel.scenario.json_pointer import escape
from cometreel.scenario.matchers import MISSING, Missing
from cometreel.scenario.yaml_writer import inline

__all__ = ["MOVED", "Drift", "EqualCount", "ExchangeOutcome", "StepVerdict", "Verdict", "one_line"]

MOVED = "notification moved"
"""The kind of difference of a notification on another channel or in another session."""

_MAX_LENGTH = 200


class ExchangeOutcome(Enum):
    """The outcome of an exchange; the values are the report's words."""

    SAME = "same"
    DRIFT = "drift"
    NOT_PLAYED = "not played"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `path` leads to the value in the exchange as written in the file.

    `recorded` and `live` are values, or MISSING if there is none. `renamed` is the new name of a field. `before` is the
    index of the recorded event before which an additional notification arrived, None if it was the last.
    """

    kind: str
    """The report's words, such as `value changed`."""
    position: Position
    path: tuple[str | int, ...]
    recorded: JSON | Missing
    live: JSON | Missing
    renamed: str = ""
    before: int | None = None

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer."""
        return "".join(f"/{escape(str(step))}" for step in self.path)

    def __str__(self) -> str:
        recorded, live = one_line(self.recorded), one_line(self.live)
        return f"{self.kind} at {self.pointer}: recorded {recorded}, live {live}"


@dataclass(frozen=True, slots=True)
class EqualCount:
    """How many of the recorded exchanges or notifications are equal."""

    equal: int = 0
    of: int = 0

    def __str__(self) -> str:
        return f"{self.equal} of {self.of}"


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """The outcome of one exchange in one session.

    `reason` is the reason if it was not played, `seconds` the time until the reply. `notifications` counts the recorded
    notifications that arrived once, unchanged and in order.
    """

    name: str
    session: str
    position: Position
    outcome: ExchangeOutcome
    drifts: tuple[Drift, ...] = ()
    reason: str = ""
    seconds: float = 0.0
    notifications: EqualCount = EqualCount()

    def lines(self) -> list[str]:
        """Return one line per difference, each with file and line."""
        place = f"{self.position.file}:{self.position.line}"
        if self.outcome is ExchangeOutcome.NOT_PLAYED:
            return [f"{place}: {self.name}: not played: {self.reason}"]
        return [f"{drift.position.file}:{drift.position.line}: {self.name}: {drift}" for drift in self.drifts]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a run. `notes` are not differences: unsolicited notifications and lost sessions."""

    scenario: tuple[str, ...]
    against: str
    steps: tuple[StepVerdict, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def same(self) -> bool:
        """True if no played exchange differs."""
        return not any(step.drifts for step in self.steps)

    def count(self, outcome: ExchangeOutcome) -> int:
        """Return the number of exchanges with this outcome."""
        return sum(step.outcome is outcome for step in self.steps)

    @property
    def any_played(self) -> bool:
        """True if at least one exchange was played."""
        return self.count(ExchangeOutcome.NOT_PLAYED) < len(self.steps)

    @property
    def difference_count(self) -> int:
        """The number of differences."""
        return sum(len(step.drifts) for step in self.steps)

    @property
    def equal_exchanges(self) -> EqualCount:
        """The exchanges without a difference, of all exchanges, played or not."""
        return EqualCount(self.count(ExchangeOutcome.SAME), len(self.steps))

    @property
    def equal_notifications(self) -> EqualCount:
        """The equal notifications, of those that were recorded for the played exchanges."""
        counts = [step.notifications for step in self.steps]
        return EqualCount(sum(count.equal for count in counts), sum(count.of for count in counts))

    def parity(self) -> str:
        """Return both counts in one sentence."""
        return f"{self.equal_exchanges} exchanges and {self.equal_notifications} notifications are equal"

    def summary(self) -> str:
        """Return the counts in one sentence."""
        counts = [f"{self.count(ExchangeOutcome.SAME)} same", f"{self.count(ExchangeOutcome.DRIFT)} drifted"]
        counts.append(f"{self.count(ExchangeOutcome.NOT_PLAYED)} not played")
        number = self.difference_count
        return f"{', '.join(counts)}: {number} difference{'' if number == 1 else 's'}"


def one_line(value: JSON | Missing) -> str:
    """Return a value as one line of YAML, shortened."""
    if value is MISSING:
        return "nothing"
    text = inline(value)
    return text if len(text) <= _MAX_LENGTH else text[:_MAX_LENGTH] + "…"
