"""The figures of a run, of one worker or of all, computed from outcomes.

The state of a tally is plain JSON. Merging states is exact, in any order and grouping.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

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
from cometreel.load.time_series import TimeSeries, TimeSeriesState
from cometreel.value_copies import copy_by_constructor

__all__ = [
    "BUSY_PERCENT",
    "COUNTED",
    "SLOWEST_KEPT",
    "Counted",
    "Entry",
    "EntryState",
    "FirstMessage",
    "Gauges",
    "SlowAnswer",
    "SlowState",
    "Slowest",
    "StepTallies",
    "Tally",
    "TallyState",
    "Timing",
    "TimingState",
    "count_of",
    "count_sent",
    "merge_tallies",
    "overloaded",
]


class TimingState(TypedDict):
    """Both latencies as JSON."""

    intended: LatencyState
    actual: LatencyState


class FirstMessage(TypedDict):
    """The first message of a failure: the start of the request in seconds of the run, and the text of the server."""

    at: float
    message: str


class EntryState(TypedDict):
    """An entry as JSON."""

    sent: int
    acknowledged: int
    expected: int
    answered: int
    failures: dict[str, int]
    messages: dict[str, FirstMessage]
    ack: TimingState
    notification: TimingState


class Timing:
    """One latency, measured from the intended and from the actual start."""

    def __init__(self) -> None:
        self.intended = Latency()
        """From the intended start: the time that a user had to wait."""
        self.actual = Latency()
        """From the time at which the request was sent."""

    def merge(self, other: TimingState) -> None:
        """Add the values of another state."""
        self.intended.merge(other["intended"])
        self.actual.merge(other["actual"])

    def state(self) -> TimingState:
        """Return the state for `merge`."""
        return {"intended": self.intended.state(), "actual": self.actual.state()}


class Entry:
    """The figures of one entry, that is, of one kind of owner or one request of a scenario.

    At the end of a run, `expected` is the sum of answered, wrong, lost and abandoned exchanges.
    """

    def __init__(self) -> None:
        self.sent = 0
        """POSTs sent."""
        self.acknowledged = 0
        """HTTP replies that acknowledged the POST."""
        self.expected = 0
        """Notifications expected after these replies."""
        self.answered = 0
        """Right notifications within the patience, including late ones."""
        self.failures: Counter[str] = Counter()
        """Failures by the text of their outcome, and `late`."""
        self.messages: dict[str, FirstMessage] = {}
        """The first message of each failure that has one."""
        self.ack = Timing()
        self.notification = Timing()

    def add_message(self, text: str, new: FirstMessage) -> None:
        """Keep this message of a failure if it is the first one."""
        kept = self.messages.get(text)
        if kept is None or (new["at"], new["message"]) < (kept["at"], kept["message"]):
            self.messages[text] = new.copy()

    def merge(self, other: EntryState) -> None:
        """Add the figures of another state."""
        self.sent += other["sent"]
        self.acknowledged += other["acknowledged"]
        self.expected += other["expected"]
        self.answered += other["answered"]
        self.failures.update(other["failures"])
        for text, first in other["messages"].items():
            self.add_message(text, first)
        self.ack.merge(other["ack"])
        self.notification.merge(other["notification"])

    def state(self) -> EntryState:
        """Return the state for `merge`."""
        return {
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "expected": self.expected,
            "answered": self.answered,
            "failures": dict(sorted(self.failures.items())),
            "messages": {text: first.copy() for text, first in sorted(self.messages.items())},
            "ack": self.ack.state(),
            "notification": self.notification.state(),
        }


SLOWEST_KEPT = 20


class SlowAnswer(NamedTuple):
    """One slow answer. The order depends on all fields, so that merging in any order gives the same result."""

    micros: int
    """From the intended start."""
    at: float
    """The intended start, in seconds since the start of the run."""
    entry: str
    agent: str
    reference: str
    """The referenceId as text, to find the request in the log of the server."""


class SlowState(TypedDict):
    """A slow answer as JSON."""

    micros: int
    at: float
    entry: str
    agent: str
    reference: str


class Slowest:
    """Keeps the slowest answers."""

    def __init__(self) -> None:
        self._heap: list[SlowAnswer] = []

    def would_keep(self, micros: int) -> bool:
        """Return True if an answer with this latency may be among the slowest. Check this first: it is cheap."""
        return len(self._heap) < SLOWEST_KEPT or micros >= self._heap[0].micros

    def add(self, answer: SlowAnswer) -> None:
        """Add an answer if it is among the slowest."""
        if len(self._heap) < SLOWEST_KEPT:
            heapq.heappush(self._heap, answer)
        else:
            heapq.heappushpop(self._heap, answer)

    def merge(self, others: Iterable[SlowState]) -> None:
        """Add the answers of another state."""
        for each in others:
            self.add(SlowAnswer(**each))

    def answers(self) -> list[SlowAnswer]:
        """Return the answers, slowest first."""
        return sorted(self._heap, reverse=True)

    def state(self) -> list[SlowState]:
        """Return the state for `merge`."""
        return [
            {
                "micros": each.micros,
                "at": each.at,
                "entry": each.entry,
                "agent": each.agent,
                "reference": each.reference,
            }
            for each in self.answers()
        ]


BUSY_PERCENT = 90.0
"""Percentage of one core above which the load generator, not the server, limits a run."""


class Gauges(TypedDict):
    """The current state of a worker. CPU samples are tenths of a percent of one core; integers keep the sums exact."""

    sessions: int
    held: int
    in_flight: int
    cpu_samples: int
    cpu_busy: int
    """Number of samples above `BUSY_PERCENT`."""
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
    time_series: TimeSeriesState
    workers: dict[str, Gauges]


_MOST_NEW = 500


class Tally:
    """The figures of a run.

    :param worker: name of this worker; empty for a tally that only merges others.
    :param start: start of the run, on the same clock as the exchanges.
    """

    def __init__(self, worker: str = "", start: float = 0.0) -> None:
        self.start = start
        self.due = 0
        """Requests whose intended start has passed, sent or not."""
        self.unsent = 0
        """Requests that were due and will never be sent: their agent had no session, or the run ended."""
        self.strays: Counter[str] = Counter()
        """Outcomes without an entry: `unexpected`, `session lost`, `dropped notification`."""
        self._entries: dict[str, Entry] = {}
        self._lag = Latency()
        self._slowest = Slowest()
        self._time_series = TimeSeries()
        self._new_posts: list[PendingRequest] = []
        self._new_acknowledged: list[Acknowledged] = []
        self._new_answered: list[Answered] = []
        self.workers: dict[str, Gauges] = {}
        self._own = _no_gauges()
        if worker:
            self.workers[worker] = self._own

    @property
    def entries(self) -> dict[str, Entry]:
        """The figures by entry."""
        self._count_new()
        return self._entries

    @property
    def lag(self) -> Latency:
        """Time from the intended to the actual start of a request: delay in the load generator and its queues."""
        self._count_new()
        return self._lag

    @property
    def slowest(self) -> Slowest:
        """The slowest answers."""
        self._count_new()
        return self._slowest

    @property
    def time_series(self) -> TimeSeries:
        """The requests per second."""
        self._count_new()
        return self._time_series

    def entry(self, name: str) -> Entry:
        """Return the entry of this name. It is created if missing."""
        found = self._entries.get(name)
        if found is None:
            found = self._entries[name] = Entry()
        return found

    # ------------------------------------------------------------------ events of one worker
    def sent(self, exchange: PendingRequest) -> None:
        """Count a POST that was sent."""
        self._new_posts.append(exchange)
        if len(self._new_posts) >= _MOST_NEW:
            self._count_new()

    def add(self, outcomes: Iterable[RequestOutcome]) -> None:
        """Count outcomes."""
        for outcome in outcomes:
            if isinstance(outcome, Acknowledged):
                self._new_acknowledged.append(outcome)
            elif isinstance(outcome, Answered):
                self._new_answered.append(outcome)
            elif isinstance(outcome, Unexpected | SessionLost):
                self.strays[outcome.text] += 1
            else:
                self._failed(outcome)

    def set_gauges(self, *, sessions: int, held: int, in_flight: int) -> None:
        """Set the number of connected sessions, held polls and exchanges in progress of this worker."""
        self._own.update({"sessions": sessions, "held": held, "in_flight": in_flight})

    def add_cpu_sample(self, percent: float) -> None:
        """Add a sample of this worker's CPU, as a percentage of one core."""
        self._own["cpu_samples"] += 1
        self._own["cpu_busy"] += percent > BUSY_PERCENT
        self._own["cpu_total"] += round(percent * 10)
        self._own["cpu_highest"] = max(self._own["cpu_highest"], round(percent * 10))

    # ------------------------------------------------------------------ merging
    def merge(self, other: TallyState) -> None:
        """Add the figures of another worker. States are cumulative: merge the last state of each worker only."""
        self.due += other["due"]
        self.unsent += other["unsent"]
        for name, entry in other["entries"].items():
            self.entry(name).merge(entry)
        self.strays.update(other["strays"])
        self.lag.merge(other["lag"])
        self.slowest.merge(other["slowest"])
        self.time_series.merge(other["time_series"])
        for name, gauges in other["workers"].items():
            self.workers[name] = _add_gauges(self.workers[name], gauges) if name in self.workers else gauges.copy()

    def state(self) -> TallyState:
        """Return the state for `merge`."""
        return {
            "due": self.due,
            "unsent": self.unsent,
            "entries": {name: entry.state() for name, entry in sorted(self.entries.items())},
            "strays": dict(sorted(self.strays.items())),
            "lag": self.lag.state(),
            "slowest": self.slowest.state(),
            "time_series": self.time_series.state(),
            "workers": {name: gauges.copy() for name, gauges in sorted(self.workers.items())},
        }

    # ------------------------------------------------------------------ internals
    def _count_new(self) -> None:
        """Count what every exchange has: its POST, acknowledgement and answer. In batches this takes half of the time.

        They are counted when the figures are read, or when there are `_MOST_NEW`.
        """
        if self._new_posts:
            posts, self._new_posts = self._new_posts, []
            self._count_posts(posts)
        if self._new_acknowledged:
            acknowledged, self._new_acknowledged = self._new_acknowledged, []
            self._count_acknowledged(acknowledged)
        if self._new_answered:
            answered, self._new_answered = self._new_answered, []
            self._count_answered(answered)

    def _count_posts(self, posts: list[PendingRequest]) -> None:
        start = self.start
        self._lag.record_all([exchange.sent - exchange.intended for exchange in posts])
        for name, count in Counter([exchange.planned.entry for exchange in posts]).items():
            self.entry(name).sent += count
        for second, count in Counter([int(exchange.sent - start) for exchange in posts]).items():
            self._time_series.sent(second, count)

    def _count_acknowledged(self, acknowledged: list[Acknowledged]) -> None:
        by_entry: dict[str, list[Acknowledged]] = {}
        for outcome in acknowledged:
            by_entry.setdefault(outcome.exchange.planned.entry, []).append(outcome)
        for name, outcomes in by_entry.items():
            entry = self.entry(name)
            entry.acknowledged += len(outcomes)
            entry.expected += sum(outcome.exchange.planned.expectation is not None for outcome in outcomes)
            entry.ack.intended.record_all([at - exchange.intended for exchange, at in outcomes])
            entry.ack.actual.record_all([at - exchange.sent for exchange, at in outcomes])

    def _count_answered(self, answered: list[Answered]) -> None:
        by_entry: dict[str, list[Answered]] = {}
        for outcome in answered:
            by_entry.setdefault(outcome.exchange.planned.entry, []).append(outcome)
        for name, outcomes in by_entry.items():
            entry = self.entry(name)
            entry.answered += len(outcomes)
            if late := sum(outcome.late for outcome in outcomes):
                entry.failures["late"] += late
            latencies = [at - exchange.intended for exchange, at, _ in outcomes]
            entry.notification.intended.record_all(latencies)
            entry.notification.actual.record_all([at - exchange.sent for exchange, at, _ in outcomes])
            self._count_latencies(outcomes, latencies)

    def _count_latencies(self, answered: list[Answered], latencies: list[float]) -> None:
        """Add answers and their latencies from the intended start to the time series and to the slowest answers."""
        by_second: dict[int, list[float]] = {}
        for (exchange, at, _), latency in zip(answered, latencies, strict=True):
            by_second.setdefault(int(at - self.start), []).append(latency)
            if self._slowest.would_keep(micros := round(latency * 1_000_000)):
                since = round(exchange.intended - self.start, 6)
                entry, reference = exchange.planned.entry, str(exchange.reference)
                self._slowest.add(SlowAnswer(micros, since, entry, exchange.agent, reference))
        for second, each in by_second.items():
            self._time_series.answered(second, round(max(each) * 1_000_000), len(each))

    def _failed(self, outcome: Refused | Wrong | Lost | Abandoned | LateAfterLost | Duplicate) -> None:
        entry = self.entry(outcome.exchange.planned.entry)
        entry.failures[outcome.text] += 1
        if isinstance(outcome, Refused) and outcome.message:
            at = round(outcome.exchange.sent - self.start, 6)
            entry.add_message(outcome.text, {"at": at, "message": outcome.message})
        if isinstance(outcome, Refused | Wrong | Lost):
            self._time_series.failed(outcome.at - self.start)


def merge_tallies(states: Iterable[TallyState]) -> Tally:
    """Return the tally of several workers from the last state of each."""
    tally = Tally()
    for state in states:
        tally.merge(state)
    return tally


def overloaded(gauges: Gauges) -> bool:
    """Return True if a worker was busy in more than a tenth of its samples. Its latencies are not reliable then."""
    return gauges["cpu_busy"] * 10 > gauges["cpu_samples"]


def _no_gauges() -> Gauges:
    return {"sessions": 0, "held": 0, "in_flight": 0, "cpu_samples": 0, "cpu_busy": 0, "cpu_total": 0, "cpu_highest": 0}


def _add_gauges(one: Gauges, other: Gauges) -> Gauges:
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
    """A word that reports and limits count: the failures that it includes, and whether it belongs to entries."""

    matches: Callable[[str], bool]
    of_entries: bool = True


def _equal_to(*texts: str) -> Callable[[str], bool]:
    return lambda text: text in texts


def _starting_with(*starts: str) -> Callable[[str], bool]:
    return lambda text: text.startswith(starts)


_REFUSED = ("HTTP", "statusCode", "no reply", "no referenceId")

COUNTED: Mapping[str, Counted] = {
    "error": Counted(_starting_with(*_REFUSED, "lost", "wrong")),
    "lost": Counted(_equal_to("lost")),
    "late": Counted(_equal_to("late")),
    "late-after-lost": Counted(_equal_to("late-after-lost")),
    "duplicate": Counted(_equal_to("duplicate")),
    "wrong": Counted(_starting_with("wrong ")),
    "http error": Counted(_starting_with("HTTP")),
    "status error": Counted(_starting_with("statusCode", "no referenceId")),
    "no reply": Counted(_equal_to("no reply")),
    "abandoned": Counted(_equal_to("abandoned")),
    "unexpected": Counted(_equal_to("unexpected"), of_entries=False),
    "session lost": Counted(_equal_to("session lost"), of_entries=False),
    "unsent": Counted(_equal_to(), of_entries=False),
}
"""`error` is every failed exchange: refused, lost or wrong. `unsent` was due and never sent."""


def count_of(tally: Tally, what: str, entry: str | None = None) -> int:
    """Return the number of one of `COUNTED`, of one entry or of all."""
    if what == "unsent":
        return tally.unsent
    counted = COUNTED[what]
    if not counted.of_entries:
        return sum(number for text, number in tally.strays.items() if counted.matches(text))
    return sum(number for row in _rows(tally, entry) for text, number in row.failures.items() if counted.matches(text))


def count_sent(tally: Tally, entry: str | None = None) -> int:
    """Return the number of requests sent, of one entry or of all."""
    return sum(row.sent for row in _rows(tally, entry))


def _rows(tally: Tally, entry: str | None) -> Iterator[Entry]:
    return (row for name, row in tally.entries.items() if entry is None or name == entry)


_KEPT_STEPS = 3


class StepTallies:
    """The tally of a whole run, and one for each of the latest steps of a search for capacity.

    A request belongs to the step of its intended start. Steps are added in advance, so that all workers change at the
    same time. Without steps there is only the tally of the whole run.

    :param worker: name of this worker.
    :param start: start of the run, on the clock of the exchanges.
    """

    def __init__(self, worker: str, start: float) -> None:
        self.whole = Tally(worker, start)
        self._only_whole = (self.whole,)
        self._worker = worker
        self._starts: list[float] = []
        self._steps: list[tuple[int, Tally]] = []

    def add_step(self, number: int, since: float) -> None:
        """Add a step that starts at `since` seconds of the run. Nothing happens if it, or a later one, exists."""
        if self._starts and since <= self._starts[-1]:
            return
        self._starts.append(since)
        self._steps.append((number, Tally(self._worker, self.whole.start)))
        del self._starts[:-_KEPT_STEPS], self._steps[:-_KEPT_STEPS]

    def step(self, number: int) -> Tally | None:
        """Return the tally of a step, or None if it has not started or is too old."""
        return next((tally for each, tally in self._steps if each == number), None)

    def due(self, at: float) -> None:
        """Count a due request. `at` is its intended start in seconds since the start of the run."""
        for tally in self._tallies(at):
            tally.due += 1

    def unsent(self, at: float) -> None:
        """Count a request that was due at `at` and is given up."""
        for tally in self._tallies(at):
            tally.unsent += 1

    def add_cpu_sample(self, percent: float, at: float) -> None:
        """Add a sample of this worker's CPU, taken at `at`, as a percentage of one core."""
        for tally in self._tallies(at):
            tally.add_cpu_sample(percent)

    def sent(self, exchange: PendingRequest) -> None:
        """Count a POST that was sent."""
        for tally in self._tallies(exchange.intended - self.whole.start):
            tally.sent(exchange)

    def add(self, outcomes: Iterable[RequestOutcome]) -> None:
        """Count outcomes."""
        if not self._starts:
            self.whole.add(outcomes)
            return
        for outcome in outcomes:
            at = outcome.at if isinstance(outcome, Unexpected | SessionLost) else outcome.exchange.intended
            for tally in self._tallies(at - self.whole.start):
                tally.add((outcome,))

    def _tallies(self, at: float) -> tuple[Tally, ...]:
        if not self._starts:
            return self._only_whole
        place = bisect_right(self._starts, at) - 1
        return self._only_whole if place < 0 else (self.whole, self._steps[place][1])


copy_by_constructor(__name__)
