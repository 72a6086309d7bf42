"""Connects Locust's events to a run: start and stop of a test, Ctrl-C, messages between master and workers, reports.

A locustfile calls `register_listeners(read_options)` once. The same code runs in a single process, masters and workers:
the worker side and the coordinator exchange Locust messages, which a single process sends to itself.
"""

from __future__ import annotations

import logging
import signal
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from locust import events
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

from cometreel.errors import CometreelError
from cometreel.locust_agents.agents_tab import AgentsTab
from cometreel.locust_agents.coordinator import Coordinator
from cometreel.locust_agents.preflight import check_open_files, check_server, raise_open_files
from cometreel.locust_agents.run_options import RunOptions, add_options
from cometreel.locust_agents.run_reports import RunReports
from cometreel.locust_agents.worker_run import WorkerRun

__all__ = ["ReelRun", "register_listeners", "run_of"]

logger = logging.getLogger(__name__)

ReadOptions = Callable[[Namespace, str | None], RunOptions]

_INIT_CHECK = 0.05  # seconds between two checks whether Locust has fired `init`

_RUNS: WeakKeyDictionary[Environment, ReelRun] = WeakKeyDictionary()


class ReelRun:
    """The run of a Locust environment: `worker` if it has agents, `coordinator` unless it is a Locust worker."""

    def __init__(self, environment: Environment, read: ReadOptions) -> None:
        assert environment.runner is not None
        self._environment, self._read = environment, read
        self._runner = environment.runner
        self.coordinates = not isinstance(self._runner, WorkerRunner)
        self.has_agents = not isinstance(self._runner, MasterRunner)
        self.worker: WorkerRun | None = None
        self.coordinator: Coordinator | None = None
        self.quitting = False
        options = environment.parsed_options
        if self.coordinates and options is not None:
            options.enable_rebalancing = True  # Locust moves the users of a lost worker to the others
        if self.coordinates:
            self._runner.register_message("reel-report", self._report)
        if self.has_agents:
            self._runner.register_message("reel-instructions", self._grant)

    @property
    def is_started_by_master(self) -> bool:
        """True in a worker that was told to start its users."""
        return isinstance(self._runner, WorkerRunner) and self._runner.worker_state in (STATE_SPAWNING, STATE_RUNNING)

    @property
    def follows_master(self) -> bool:
        """True in a worker of `--processes` whose master is connected and will end the run."""
        options = self._environment.parsed_options
        started_by_master = options is not None and options.processes and not self.coordinates
        return bool(started_by_master) and self.worker is not None and self.worker.has_contact

    def options(self) -> RunOptions:
        """Return the current options: a worker receives them from its master when a test starts."""
        assert self._environment.parsed_options is not None
        return self._read(self._environment.parsed_options, self._environment.host)

    def agents_wanted(self) -> int:
        """Return the number of agents on the command line."""
        options = self._environment.parsed_options
        return int(options.num_users or 1) if options is not None else 1

    def start(self) -> None:
        """Create the worker side and the coordinator of a new run."""
        self._close()
        options = self.options()
        if self.coordinates:
            self.coordinator = Coordinator(self._environment, options)
        if self.has_agents:
            raise_open_files()
            self.worker = WorkerRun(self._environment, options, self._name())

    def _name(self) -> str:
        return self._runner.client_id if isinstance(self._runner, WorkerRunner) else "local"

    def drain(self) -> None:
        """Stop new requests and wait for those in progress. The figures are complete then."""
        if self.coordinator is not None:
            self.coordinator.finish()
            self.refresh()

    def leave(self) -> None:
        """Do the same in a worker that was told to quit, but not by its master, and send the figures to the master."""
        if self.worker is not None:
            self.worker.leave()
            data: dict[str, Any] = {}
            self._environment.events.report_to_master.fire(client_id=self._name(), data=data)
            self._runner.send_message("stats", data)

    def cut_short(self) -> None:
        """Don't wait any longer for requests in progress."""
        for side in (self.coordinator, self.worker):
            if side is not None:
                side.cut_short()

    def stop(self) -> None:
        """Stop the run; its figures stay available."""
        if self.coordinator is not None:
            self.coordinator.close()
        if self.worker is not None:
            self.worker.close()

    def _close(self) -> None:
        self.stop()
        self.worker = self.coordinator = None

    def add_figures(self, data: dict[str, Any]) -> None:
        """Add the figures of this worker to its report to the master."""
        if self.worker is not None:
            data["reel"] = {"worker": self.worker.name, "tally": self.worker.tallies.whole.state()}

    def take_figures(self, data: dict[str, Any]) -> None:
        """Store the figures of a worker, in the master."""
        if self.coordinator is not None and "reel" in data:
            self.coordinator.set_figures(data["reel"]["worker"], data["reel"]["tally"])

    def refresh(self) -> None:
        """Store the figures of the worker in this process."""
        if self.coordinator is not None and self.worker is not None:
            self.coordinator.set_figures(self.worker.name, self.worker.tallies.whole.state())

    def _report(self, environment: Environment, msg: Any) -> None:
        if self.coordinator is not None:
            self.coordinator.handle_report(msg.data, msg.node_id)

    def _grant(self, environment: Environment, msg: Any) -> None:
        if self.worker is not None:
            self.worker.apply(msg.data)


def run_of(environment: Environment) -> ReelRun:
    """Return the run of an environment. Wait for it in a worker that has users already, see `_init`."""
    while environment not in _RUNS:
        gevent.sleep(_INIT_CHECK)
    return _RUNS[environment]


def register_listeners(read: ReadOptions, add: Callable[[Any], None] = add_options) -> None:
    """Register for Locust's events. `read` returns the options of a run, `add` adds them to Locust's parser."""
    events.init_command_line_parser.add_listener(add)
    events.init.add_listener(lambda environment, **_: _init(environment, read))


def _init(environment: Environment, read: ReadOptions) -> None:
    """Create the run of an environment, and listen to the events of Locust.

    A worker processes messages before Locust fires `init`. If its master starts the test at once, because it has been
    waiting for this worker, then `test_start` was fired before this listener could be added, so the run starts here.
    """
    run = _RUNS[environment] = ReelRun(environment, read)
    ending = RunReports(environment)
    hooks = environment.events
    hooks.test_start.add_listener(lambda environment, **_: _start(run))
    hooks.test_stopping.add_listener(lambda environment, **_: run.drain())
    hooks.test_stop.add_listener(lambda environment, **_: _stop(run, ending))
    hooks.report_to_master.add_listener(lambda client_id, data: run.add_figures(data))
    hooks.worker_report.add_listener(lambda client_id, data: run.take_figures(data))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background job of a shell ignores it
        _Interrupts(run).listen()
    if not run.coordinates:
        hooks.quitting.add_listener(lambda environment, **_: run.leave())
        if run.is_started_by_master:
            _start(run)
        return
    hooks.quitting.add_listener(lambda environment, **_: _finish(run, ending))
    if environment.web_ui is not None:
        AgentsTab(run, environment.web_ui)
    if environment.host or environment.web_ui is None:
        _check(run)


def _check(run: ReelRun) -> None:
    """Check the options and the server; print errors in one line each and exit before anything is started."""
    try:
        options = run.options()
        agents = run.agents_wanted()
        options.users.check(agents)
        check_open_files(agents if run.has_agents else 0)
        check_server(options)
    except CometreelError as error:
        for line in str(error).splitlines():
            print(f"cometreel: {line}", file=sys.stderr)  # noqa: T201  # same format as the command line
        sys.exit(2)


def _start(run: ReelRun) -> None:
    try:
        run.start()
    except CometreelError as error:  # the host was set in the web UI, or differs between master and worker
        logger.error("%s", error)  # noqa: TRY400  # the message is complete without a traceback


def _stop(run: ReelRun, ending: RunReports) -> None:
    run.stop()
    if run.coordinator is not None:
        ending.write(run.coordinator)


def _finish(run: ReelRun, ending: RunReports) -> None:
    """Finish the run before Locust quits: it does so before it stops its users, and their requests would be lost."""
    if run.coordinator is None:
        return
    if run.quitting:
        run.cut_short()  # a second SIGTERM
    run.quitting = True
    run.drain()
    ending.write(run.coordinator)
    ending.write_page()


class _Interrupts:
    """Handles Ctrl-C: the first finishes the run and then quits Locust, the second doesn't wait for open requests.

    Without this, Python would raise KeyboardInterrupt in any greenlet, also in the one that serves the agents.
    """

    def __init__(self, run: ReelRun) -> None:
        self._run, self._count = run, 0
        self._main = gevent.getcurrent()

    def listen(self) -> None:
        """Handle SIGINT from now on."""
        gevent.signal_handler(signal.SIGINT, self._interrupted)

    def _interrupted(self) -> None:
        self._count += 1
        if self._count == 1:
            if self._run.follows_master:
                return  # a terminal sends Ctrl-C to all processes; the master finishes the run
            self._run.drain()
        elif self._count == 2 and (self._run.coordinates or self._run.follows_master):  # the second one
            self._run.cut_short()
            return
        gevent.kill(self._main, KeyboardInterrupt)
