"""The search for capacity on a running system: it turns the steps of the search into changes of the rate and stages.

All crews must change at the same moment, so each change is announced a little before it is due.
"""

from __future__ import annotations

import logging

import gevent
from locust.env import Environment
from locust.log import greenlet_exception_logger
from locust.runners import STATE_RUNNING
from locust.stats import CSV_STATS_INTERVAL_SEC

from cometreel.load import CapacitySearch, Leases, Rate, Tally, TallyState, merge_tallies
from cometreel.locust_agents.event_loop import clock
from cometreel.locust_agents.run_options import RunOptions
from cometreel.locust_agents.worker_run import Instructions, WorkerReport

__all__ = ["CapacityRun", "Coordinator"]

logger = logging.getLogger(__name__)

_WARM = 0.2  # of what is counted: so long a rate is there before
_ANNOUNCED = 2.0  # seconds: crews report twice in each of them


class CapacityRun:
    """One search. `rates`, `stages` and `wanted` are what the crews are told."""

    def __init__(self, options: RunOptions) -> None:
        assert options.rate is not None
        self.search = CapacitySearch(
            options.limits,
            first=options.rate.at(0.0),
            warm=_WARM * options.step,
            counted=options.step,
            settle=options.habits.patience,
        )
        self._first = options.rate
        self.rates: list[tuple[float, float]] = []
        self.stages: list[tuple[int, float]] = []
        self.wanted: int | None = None
        self._judged_at = 0.0
        self._states: dict[str, TallyState] = {}

    @property
    def over(self) -> bool:
        """Whether the highest rate is found, or it is known that there is none."""
        return self.search.step is None

    @property
    def rate(self) -> Rate:
        """The rate that the crews were told, from the beginning on."""
        rate = self._first
        for since, per_second in self.rates:
            rate = rate.changed(since, per_second)
        return rate

    def begin(self) -> None:
        """Take the first step; the rate is there already."""
        self._announce(0.0, first=True)

    def take(self, worker: str, number: int, state: TallyState) -> None:
        """Take a crew's figures of a stage."""
        if self.search.step is not None and number == self.search.step.number:
            self._states[worker] = state

    def advance(self, elapsed: float, workers: list[str]) -> None:
        """Judge the step when its last answers may have come and all crews have told its figures."""
        step = self.search.step
        if step is None or elapsed < self._judged_at:
            return
        if self.wanted != step.number:
            self._states.clear()
            self.wanted = step.number
        elif self._states and self._states.keys() >= set(workers):
            self.search.judge(merge_tallies(self._states.values()))
            self._announce(elapsed)

    def _announce(self, elapsed: float, *, first: bool = False) -> None:
        step = self.search.step
        if step is None:
            return
        starts = elapsed if first else elapsed + _ANNOUNCED
        if step.rest:
            self.rates.append((starts, 0.0))
            starts += step.rest
        if not first:
            self.rates.append((starts, step.rate))
        counted = starts + step.warm
        self.stages += [(step.number, counted), (0, counted + step.counted)]
        self._judged_at = counted + step.counted + step.settle


_MOST_AGENTS = 100_000
_TICK = 0.25
_LEAD = 1.0  # seconds from the decision to begin until it is done: every crew has heard of it by then
_GRACE = 3.0  # seconds for the last messages to travel


class Coordinator:
    """One run, from its start to its last figure."""

    def __init__(self, environment: Environment, options: RunOptions) -> None:
        assert environment.runner is not None
        self.options = options
        self._environment, self._runner = environment, environment.runner
        self._leases = Leases(len(options.users) or _MOST_AGENTS, start=clock())
        self._since = clock()
        self.began: float | None = None
        """When the run began, on this process's clock; None while agents still log in."""
        self.ended: float | None = None
        """When nothing new was sent any more."""
        self.lost: list[str] = []
        """Workers that were not heard of any more."""
        self._figures: dict[str, TallyState] = {}
        self._final: set[str] = set()
        self._ready: dict[str, int] = {}
        self._turned_away = ""
        self._ends = False
        self.search = CapacityRun(options) if options.find_capacity else None
        for name, why in options.script.left_out.items() if options.script else ():
            logger.warning("%r is not asked: %s", name, why)
        self._greenlet = gevent.spawn(self._watch)
        self._greenlet.link_exception(greenlet_exception_logger(logger))

    # ------------------------------------------------------------------ the conversation
    def heard(self, report: WorkerReport, client_id: str) -> None:
        """Take a crew's report, and answer it."""
        now = clock()
        self._miss(now)
        name = report["report"]["worker"]
        grant = self._leases.heard(report["report"], now)
        if grant is None:
            return  # a report that was overtaken on its way
        self._ready[name] = report["ready"]
        self._turned_away = report["turned_away"] or self._turned_away
        if report["final"] is not None:
            self._figures[name] = report["final"]
            self._final.add(name)
        if self.search is not None and report["stage"] is not None:
            number, state = report["stage"]
            self.search.take(name, number, state)
        orders: Instructions = {
            "grant": grant,
            "elapsed": None if self.began is None else now - self.began,
            "rates": self.search.rates if self.search else [],
            "stages": self.search.stages if self.search else [],
            "wanted_stage": self.search.wanted if self.search else None,
            "ends": self._ends,
        }
        self._runner.send_message("reel-grant", orders, client_id=client_id)

    def figures(self, name: str, state: TallyState) -> None:
        """Take the figures of a crew so far."""
        if name not in self._final:
            self._figures[name] = state

    def tally(self) -> Tally:
        """Return the figures of all crews together."""
        return merge_tallies(self._figures.values())

    def held(self) -> dict[str, tuple[int, int]]:
        """How many agents and shares of the load each crew has."""
        return self._leases.held()

    # ------------------------------------------------------------------ the course of the run
    def elapsed(self, now: float) -> float:
        """How many seconds were asked: since the run began, until nothing new was sent."""
        return 0.0 if self.began is None else max((self.ended or now) - self.began, 0.0)

    def _watch(self) -> None:
        while not self._ends:
            now = clock()
            self._miss(now)
            if self.began is None:
                self._begin_if_ready(now)
            elif self._is_over(now):
                gevent.spawn(self._stop)
                return
            gevent.sleep(_TICK)

    def _begin_if_ready(self, now: float) -> None:
        if self._runner.state != STATE_RUNNING:
            self._since = now
            return
        ready, wanted = sum(self._ready.values()), self._runner.target_user_count
        if ready < wanted and now < self._since + self.options.habits.patience:
            return
        if ready < wanted:
            logger.warning("%s", self._turned_away or "not all agents have logged in yet")
        logger.info("The run begins: %d of %d agents can ask", ready, wanted)
        self.began = self._leases.start = now + _LEAD
        if self.search is not None:
            self.search.begin()

    def _is_over(self, now: float) -> bool:
        elapsed = self.elapsed(now)
        if self.search is not None:
            self.search.advance(elapsed, self._leases.workers)
            return self.search.over
        rate = self.options.rate
        return rate is not None and rate.ends is not None and elapsed >= rate.ends

    def _stop(self) -> None:
        options = self._environment.parsed_options
        if options is not None and options.headless:
            self._runner.quit()
        else:
            self._runner.stop()

    def _miss(self, now: float) -> None:
        for name in self._leases.advance(now):
            self.lost.append(name)
            self._ready.pop(name, None)
            logger.warning("%s isn't heard of any more: its agents and its share of the load go to the others", name)

    def end(self) -> None:
        """Let nothing new be sent, and wait until all is answered or given up; then the figures are final."""
        if self._ends:
            return
        self._ends = True
        now = self.ended = clock()
        patience = self.options.habits.patience
        if self.began is not None:
            logger.info("Waiting for what is still under way, at most %g s", 2 * patience + _GRACE)
        while clock() < now + 2 * patience + _GRACE and not self._final.issuperset(self._leases.workers):
            self._miss(clock())
            gevent.sleep(_TICK / 5)
        options = self._environment.parsed_options
        if options is not None and options.csv_prefix:
            gevent.sleep(2 * CSV_STATS_INTERVAL_SEC)  # Locust writes its files that often, and not at the end

    def close(self) -> None:
        """Stop watching."""
        self._greenlet.kill(block=False)
