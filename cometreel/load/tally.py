"""The figures of a run so far, of one worker or of all: fed with outcomes, read by reports, limits and pictures.

Its state is plain JSON. Merging adds states as if one process had counted everything, in any order and grouping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypedDict

from cometreel.load.entry import Entry, EntryState
from cometreel.load.latency import Latency, LatencyState
from cometreel.load.outcomes import (
    Abandoned,
    Acknowledged,
    Answered,
    Duplicate,
    LateAfterLost,
    Lost,
    PendingRequest,
    Refused,
    RequestOutcome,
    SessionLost,
    Unexpected,
    Wrong,
)
from cometreel.load.slowest import SlowAnswer, Slowest, SlowState
from cometreel.load.time_series import TimeSeries, TimeSeriesState

__all__ = ["BUSY", "COUNTED", "Counted", "Gauges", "Tally", "TallyState", "count_of", "merged", "overloaded", "sent_of"]

BUSY = 90.0
"""Per cent of one core above which a worker measures itself rather than the server."""


class Gauges(TypedDict):
    """How a worker is right now. CPU is sampled in tenths of a per cent of one core, whole so that sums are exact."""

    sessions: int
    held: int
    in_flight: int
    cpu_samples: int
    cpu_busy: int
    """How many of the samples were above `BUSY`."""
    cpu_total: int
    cpu_highest: int


class TallyState(TypedDict):
    """A tally as JSON."""

    due: int
    unsent: int
    entries: dict[str, EntryState]
    strays: dict[str, int]
    lag: LatencyState
    slowest: list[SlowState]
    pulse: TimeSeriesState
    workers: dict[str, Gauges]


class Tally:
    """What was due, sent and became of it.

    :param worker: the name under which the gauges of this process stand; empty for one that only merges.
    :param start: when the run began, on the same clock as the exchanges.
    """

    def __init__(self, worker: str = "", start: float = 0.0) -> None:
        self.start = start
        self.due = 0
        """Requests whose intended start has come, whether or not they were sent."""
        self.unsent = 0
        """Requests that were due and will never be sent: their agent had no session, or the run ended."""
        self.entries: dict[str, Entry] = {}
        self.strays: Counter[str] = Counter()
        """What belongs to no entry: `unexpected`, `session lost`, `dropped notification`."""
        self.lag = Latency()
        """From the intended start of a request to the actual one: what the generator or its queues added."""
        self.slowest = Slowest()
        self.pulse = TimeSeries()
        self.workers: dict[str, Gauges] = {}
        self._own = _no_gauges()
        if worker:
            self.workers[worker] = self._own

    def entry(self, name: str) -> Entry:
        """Give the row of this name, a new one if there is none."""
        found = self.entries.get(name)
        if found is None:
            found = self.entries[name] = Entry()
        return found

    # ------------------------------------------------------------------ one worker's facts
    def sent(self, exchange: PendingRequest) -> None:
        """Count a POST that was written."""
        self.entry(exchange.ask.entry).sent += 1
        self.lag.record(exchange.sent - exchange.intended)
        self.pulse.sent(exchange.sent - self.start)

    def add(self, outcomes: Iterable[RequestOutcome]) -> None:
        """Count what the ledgers say."""
        for outcome in outcomes:
            if isinstance(outcome, Acknowledged):
                self._acknowledged(outcome)
            elif isinstance(outcome, Answered):
                self._answered(outcome)
            elif isinstance(outcome, Unexpected | SessionLost):
                self.strays[outcome.text] += 1
            else:
                self._failed(outcome)

    def gauge(self, *, sessions: int, held: int, in_flight: int) -> None:
        """Say how many sessions are up, polls are held and exchanges are under way in this worker now."""
        self._own.update({"sessions": sessions, "held": held, "in_flight": in_flight})

    def cpu(self, percent: float) -> None:
        """Add a sample of this worker's CPU, in per cent of one core."""
        self._own["cpu_samples"] += 1
        self._own["cpu_busy"] += percent > BUSY
        self._own["cpu_total"] += round(percent * 10)
        self._own["cpu_highest"] = max(self._own["cpu_highest"], round(percent * 10))

    # ------------------------------------------------------------------ many workers'
    def merge(self, other: TallyState) -> None:
        """Add what another worker counted. The states of one worker are cumulative: merge its last one only."""
        self.due += other["due"]
        self.unsent += other["unsent"]
        for name, entry in other["entries"].items():
            self.entry(name).merge(entry)
        self.strays.update(other["strays"])
        self.lag.merge(other["lag"])
        self.slowest.merge(other["slowest"])
        self.pulse.merge(other["pulse"])
        for name, gauges in other["workers"].items():
            self.workers[name] = _both(self.workers[name], gauges) if name in self.workers else gauges.copy()

    def state(self) -> TallyState:
        """Give everything that is known, for `merge`."""
        return {
            "due": self.due,
            "unsent": self.unsent,
            "entries": {name: entry.state() for name, entry in sorted(self.entries.items())},
            "strays": dict(sorted(self.strays.items())),
            "lag": self.lag.state(),
            "slowest": self.slowest.state(),
            "pulse": self.pulse.state(),
            "workers": {name: gauges.copy() for name, gauges in sorted(self.workers.items())},
        }

    # ------------------------------------------------------------------ inside
    def _acknowledged(self, outcome: Acknowledged) -> None:
        exchange = outcome.exchange
        entry = self.entry(exchange.ask.entry)
        entry.acknowledged += 1
        entry.ack.record(exchange.intended, exchange.sent, outcome.at)
        if exchange.ask.expects is not None:
            entry.expected += 1

    def _answered(self, outcome: Answered) -> None:
        exchange = outcome.exchange
        entry = self.entry(exchange.ask.entry)
        entry.answered += 1
        entry.notification.record(exchange.intended, exchange.sent, outcome.at)
        if outcome.late:
            entry.failures["late"] += 1
        micros = round((outcome.at - exchange.intended) * 1_000_000)
        self.pulse.answered(outcome.at - self.start, micros)
        if self.slowest.admits(micros):
            since = round(exchange.intended - self.start, 6)
            self.slowest.offer(SlowAnswer(micros, since, exchange.ask.entry, exchange.agent, str(exchange.reference)))

    def _failed(self, outcome: Refused | Wrong | Lost | Abandoned | LateAfterLost | Duplicate) -> None:
        self.entry(outcome.exchange.ask.entry).failures[outcome.text] += 1
        if isinstance(outcome, Refused | Wrong | Lost):
            self.pulse.failed(outcome.at - self.start)


def merged(states: Iterable[TallyState]) -> Tally:
    """Return the tally of several workers: hand it the last state of each."""
    tally = Tally()
    for state in states:
        tally.merge(state)
    return tally


def overloaded(gauges: Gauges) -> bool:
    """Tell whether a worker was busy in more than a tenth of its samples: then its latencies are its own."""
    return gauges["cpu_busy"] * 10 > gauges["cpu_samples"]


def _no_gauges() -> Gauges:
    return {"sessions": 0, "held": 0, "in_flight": 0, "cpu_samples": 0, "cpu_busy": 0, "cpu_total": 0, "cpu_highest": 0}


def _both(one: Gauges, other: Gauges) -> Gauges:
    return {
        "sessions": one["sessions"] + other["sessions"],
        "held": one["held"] + other["held"],
        "in_flight": one["in_flight"] + other["in_flight"],
        "cpu_samples": one["cpu_samples"] + other["cpu_samples"],
        "cpu_busy": one["cpu_busy"] + other["cpu_busy"],
        "cpu_total": one["cpu_total"] + other["cpu_total"],
        "cpu_highest": max(one["cpu_highest"], other["cpu_highest"]),
    }


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
