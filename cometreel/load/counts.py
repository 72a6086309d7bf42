"""What can be counted, by the words that limits and reports use. Reads a tally; counts nothing anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cometreel.load.entry import Entry
from cometreel.load.tally import Tally

__all__ = ["COUNTED", "Counted", "count_of", "sent_of"]


@dataclass(frozen=True, slots=True)
class Counted:
    """A thing that is counted: which failures it sums up, and whether it belongs to entries."""

    is_one: Callable[[str], bool]
    of_entries: bool = True


def _named(*texts: str) -> Callable[[str], bool]:
    return lambda text: text in texts


def _beginning(*starts: str) -> Callable[[str], bool]:
    return lambda text: text.startswith(starts)


_REFUSED = ("HTTP", "statusCode", "no reply", "no referenceId")

COUNTED: Mapping[str, Counted] = {
    "error": Counted(_beginning(*_REFUSED, "lost", "wrong")),
    "lost": Counted(_named("lost")),
    "late": Counted(_named("late")),
    "late-after-lost": Counted(_named("late-after-lost")),
    "duplicate": Counted(_named("duplicate")),
    "wrong": Counted(_beginning("wrong ")),
    "http error": Counted(_beginning("HTTP")),
    "status error": Counted(_beginning("statusCode", "no referenceId")),
    "no reply": Counted(_named("no reply")),
    "abandoned": Counted(_named("abandoned")),
    "unexpected": Counted(_named("unexpected"), of_entries=False),
    "session lost": Counted(_named("session lost"), of_entries=False),
    "unsent": Counted(_named(), of_entries=False),
}
"""`error` is every exchange that failed: refused, lost or wrong. `unsent` was due and never sent."""


def count_of(tally: Tally, what: str, entry: str | None = None) -> int:
    """Count one of `COUNTED`, of one entry or of all."""
    if what == "unsent":
        return tally.unsent
    counted = COUNTED[what]
    if not counted.of_entries:
        return sum(number for text, number in tally.strays.items() if counted.is_one(text))
    return sum(number for row in _rows(tally, entry) for text, number in row.failures.items() if counted.is_one(text))


def sent_of(tally: Tally, entry: str | None = None) -> int:
    """Count the requests that were sent, of one entry or of all."""
    return sum(row.sent for row in _rows(tally, entry))


def _rows(tally: Tally, entry: str | None) -> Iterator[Entry]:
    return (row for name, row in tally.entries.items() if entry is None or name == entry)
