"""The coordinator: runs in the master or in the only process, starts and ends a run and distributes it to the workers.

It leases agents and load shares to the workers by message, leases those of a lost worker to the others, and keeps the
latest figures of each worker. Its clock is the clock of the run.
"""

from __future__ import annotations

import logging

import gevent
from gevent.event import Event
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

_MAX_AGENTS = 100_000
_TICK = 0.25
_START_DELAY = 1.0  # seconds from the decision to start until the start, so that every worker knows it in time
_GRACE = 3.0  # seconds for the last messages
_LAST_MESSAGES = 1.0  # the same if the wait for requests in progress is cut short
_WARM_PART = 0.2  # duration of `warm`, as a fraction of the counted time
_CHANGE_DELAY = 2.0  # seconds; a worker reports four times in this time


class CapacityRun:
    """A search for capacity in a running test: turns each step into changes of the rate, and steps of the tallies.

    Changes are announced in advance, so that all workers apply them at the same time. `rates`, `steps` and `wanted` are
    sent to the workers.
    """

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
        """True if the search is finished."""
        return self.search.step is None

    @property
    def rate(self) -> Rate:
        """The rate that the workers use, from the start of the run."""
        rate = self._first
        for since, per_second in self.rates:
            rate = rate.changed(since, per_second)
        return rate

    def start(self) -> None:
        """Start the first step. The workers use its rate from the start."""
        self._announce(0.0, first=True)

    def add_figures(self, worker: str, number: int, state: TallyState) -> None:
        """Add a worker's figures of a step."""
        if self.search.step is not None and number == self.search.step.number:
            self._states[worker] = state

    def advance(self, elapsed: float, workers: list[str]) -> None:
        """Judge the step after its last answers, when all workers have sent their figures."""
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


class Coordinator:
    """One run, from its start to its final figures."""

    def __init__(self, environment: Environment, options: RunOptions) -> None:
        assert environment.runner is not None
        self.options = options
        self._environment, self._runner = environment, environment.runner
        self._leases = Leases(len(options.users) or _MAX_AGENTS, start=clock())
        self._since = clock()
        self.began: float | None = None
        """Start of the run on the clock of this process; None while agents log in."""
        self.ended: float | None = None
        """The time after which no new requests were sent."""
        self.lost: list[str] = []
        """Names of lost workers."""
        self._figures: dict[str, TallyState] = {}
        self._final: set[str] = set()
        self._ready: dict[str, int] = {}
        self.login_error = ""
        """Error of the last failed login; empty if none failed."""
        self._stopping = False
        self._finish_by = float("inf")
        self._finished = Event()
        self.search = CapacityRun(options) if options.find_capacity else None
        for note in options.notes():
            logger.warning("%s", note)
        self._greenlet = gevent.spawn(self._watch)
        self._greenlet.link_exception(greenlet_exception_logger(logger))

    # ------------------------------------------------------------------ messages
    def handle_report(self, report: WorkerReport, client_id: str) -> None:
        """Process a worker's report and reply to it."""
        now = clock()
        self._drop_lost_workers(now)
        name = report["report"]["worker"]
        if name in self._final and not self._stopping:
            return  # this worker has left
        grant = self._leases.handle_report(report["report"], now)
        if grant is None:
            return  # a newer report was already processed
        self._ready[name] = report["ready"]
        self.login_error = report["login_error"] or self.login_error
        if report["final"] is not None:
            self._figures[name] = report["final"]
            self._final.add(name)
            if not self._stopping:  # this worker leaves, and the run goes on with the others
                self._leases.remove(name, now)
                self._ready.pop(name, None)
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
        self._runner.send_message("reel-instructions", instructions, client_id=client_id)

    def set_figures(self, name: str, state: TallyState) -> None:
        """Store a worker's current figures."""
        if name not in self._final:
            self._figures[name] = state

    def tally(self) -> Tally:
        """Return the figures of all workers together."""
        return merge_tallies(self._figures.values())

    # ------------------------------------------------------------------ progress of the run
    def elapsed(self, now: float) -> float:
        """Return the seconds from the start of the run until now, or until no new requests were sent."""
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
            logger.warning("%s", self.login_error or "not all agents have logged in")
        logger.info("The run starts: %d of %d agents are ready", ready, wanted)
        self.began = self._leases.start = now + _START_DELAY
        if self.search is not None:
            self.search.start()

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
            logger.warning("%s is lost: no report in time; its agents and load move to the other workers", name)

    def finish(self) -> None:
        """Stop new requests and wait until all requests are finished. The figures are final then.

        Locust stops a run for several reasons, which can coincide: each call waits until the run is finished.
        """
        if self._stopping:
            self._finished.wait()
            return
        self._stopping = True
        try:
            self._await_final_figures()
        finally:
            self._finished.set()

    def cut_short(self) -> None:
        """Don't wait any longer for requests in progress."""
        self._finish_by = min(self._finish_by, clock() + _LAST_MESSAGES)

    def _await_final_figures(self) -> None:
        now = self.ended = clock()
        wait = 2 * self.options.config.patience + _GRACE
        self._finish_by = min(self._finish_by, now + wait)
        if self.began is not None:
            logger.info("Waiting for requests in progress, at most %g s; Ctrl-C again stops at once", wait)
        while clock() < self._finish_by and not self._final.issuperset(self._leases.workers):
            self._drop_lost_workers(clock())
            gevent.sleep(_TICK / 5)
        options = self._environment.parsed_options
        if options is not None and options.csv_prefix:
            gevent.sleep(2 * CSV_STATS_INTERVAL_SEC)  # Locust writes its CSV files at this interval, and not at the end

    def close(self) -> None:
        """Stop the watcher."""
        self._greenlet.kill(block=False)
