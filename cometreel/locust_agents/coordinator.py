"""The search for capacity on a running system: it turns the steps of the search into changes of the rate and steps.

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

_WARM_PART = 0.2  # of what is counted: so long a rate is there before
_CHANGE_DELAY = 2.0  # seconds: crews report twice in each of them


class CapacityRun:
    """One search. `rates`, `steps` and `wanted` are what the crews are told."""

    def __init__(self, options: RunOptions) -> None:
        assert options.rate is not None
        self.search = CapacitySearch(
            options.limits,
            first=options.rate.at(0.0),
            warm=_WARM_PART * options.step,
            counted=options.step,
            settle=options.config.patience,
        )
        self._first = options.rate
        self.rates: list[tuple[float, float]] = []
        self.steps: list[tuple[int, float]] = []
        self.wanted: int | None = None
        self._judge_at = 0.0
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

    def add_figures(self, worker: str, number: int, state: TallyState) -> None:
        """Take a worker's figures of a stage."""
        if self.search.step is not None and number == self.search.step.number:
            self._states[worker] = state

    def advance(self, elapsed: float, workers: list[str]) -> None:
        """Judge the step when its last answers may have come and all crews have told its figures."""
        step = self.search.step
        if step is None or elapsed < self._judge_at:
            return
        if self.wanted != step.number:
            self._states.clear()
            self.wanted = step.number
        elif self._states and self._states.keys() >= set(workers):
            self.search.add_result(merge_tallies(self._states.values()))
            self._announce(elapsed)

    def _announce(self, elapsed: float, *, first: bool = False) -> None:
        step = self.search.step
        if step is None:
            return
        starts = elapsed if first else elapsed + _CHANGE_DELAY
        if step.rest:
            self.rates.append((starts, 0.0))
            starts += step.rest
        if not first:
            self.rates.append((starts, step.rate))
        counted = starts + step.warm
        self.steps += [(step.number, counted), (0, counted + step.counted)]
        self._judge_at = counted + step.counted + step.settle


_MAX_AGENTS = 100_000
_TICK = 0.25
_START_DELAY = 1.0  # seconds from the decision to begin until it is done: every worker has heard of it by then
_GRACE = 3.0  # seconds for the last messages to travel


class Coordinator:
    """One run, from its start to its last figure."""

    def __init__(self, environment: Environment, options: RunOptions) -> None:
        assert environment.runner is not None
        self.options = options
        self._environment, self._runner = environment, environment.runner
        self._leases = Leases(len(options.users) or _MAX_AGENTS, start=clock())
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
        self._login_error = ""
        self._stopping = False
        self.search = CapacityRun(options) if options.find_capacity else None
        for name, why in options.script.skipped.items() if options.script else ():
            logger.warning("%r is not asked: %s", name, why)
        self._greenlet = gevent.spawn(self._watch)
        self._greenlet.link_exception(greenlet_exception_logger(logger))

    # ------------------------------------------------------------------ the conversation
    def handle_report(self, report: WorkerReport, client_id: str) -> None:
        """Take a worker's report, and answer it."""
        now = clock()
        self._drop_lost_workers(now)
        name = report["report"]["worker"]
        grant = self._leases.handle_report(report["report"], now)
        if grant is None:
            return  # a report that was overtaken on its way
        self._ready[name] = report["ready"]
        self._login_error = report["login_error"] or self._login_error
        if report["final"] is not None:
            self._figures[name] = report["final"]
            self._final.add(name)
        if self.search is not None and report["step"] is not None:
            number, state = report["step"]
            self.search.add_figures(name, number, state)
        instructions: Instructions = {
            "grant": grant,
            "elapsed": None if self.began is None else now - self.began,
            "rates": self.search.rates if self.search else [],
            "steps": self.search.steps if self.search else [],
            "wanted_step": self.search.wanted if self.search else None,
            "stop": self._stopping,
        }
        self._runner.send_message("reel-grant", instructions, client_id=client_id)

    def set_figures(self, name: str, state: TallyState) -> None:
        """Take the figures of a worker so far."""
        if name not in self._final:
            self._figures[name] = state

    def tally(self) -> Tally:
        """Return the figures of all crews together."""
        return merge_tallies(self._figures.values())

    def lease_counts(self) -> dict[str, tuple[int, int]]:
        """How many agents and shares of the load each worker has."""
        return self._leases.counts()

    # ------------------------------------------------------------------ the course of the run
    def elapsed(self, now: float) -> float:
        """How many seconds were asked: since the run began, until nothing new was sent."""
        return 0.0 if self.began is None else max((self.ended or now) - self.began, 0.0)

    def _watch(self) -> None:
        while not self._stopping:
            now = clock()
            self._drop_lost_workers(now)
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
        if ready < wanted and now < self._since + self.options.config.patience:
            return
        if ready < wanted:
            logger.warning("%s", self._login_error or "not all agents have logged in yet")
        logger.info("The run begins: %d of %d agents can ask", ready, wanted)
        self.began = self._leases.start = now + _START_DELAY
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

    def _drop_lost_workers(self, now: float) -> None:
        for name in self._leases.advance(now):
            self.lost.append(name)
            self._ready.pop(name, None)
            logger.warning("%s isn't heard of any more: its agents and its share of the load go to the others", name)

    def finish(self) -> None:
        """Let nothing new be sent, and wait until all is answered or given up; then the figures are final."""
        if self._stopping:
            return
        self._stopping = True
        now = self.ended = clock()
        patience = self.options.config.patience
        if self.began is not None:
            logger.info("Waiting for what is still under way, at most %g s", 2 * patience + _GRACE)
        while clock() < now + 2 * patience + _GRACE and not self._final.issuperset(self._leases.workers):
            self._drop_lost_workers(clock())
            gevent.sleep(_TICK / 5)
        options = self._environment.parsed_options
        if options is not None and options.csv_prefix:
            gevent.sleep(2 * CSV_STATS_INTERVAL_SEC)  # Locust writes its files that often, and not at the end

    def close(self) -> None:
        """Stop watching."""
        self._greenlet.kill(block=False)
