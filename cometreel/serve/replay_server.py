"""The public API of a running replay: `cometreel.replay(…)` and the class `ReplayServer` that it returns.

The `reel` fixture of pytest and the admin API use the same class.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Protocol, Self, TypeVar

from cometreel.engine import Auth, Calls, Control, FaultInfo, GivenUpEvent, Repeat, Responder, SessionInfo
from cometreel.engine.clock_control import ClockControl, ClockKind
from cometreel.engine.driver import Driver
from cometreel.errors import BugError, CometreelError, OptionInvalid
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import CompiledScenario, ExchangeBlock, FaultBlock, TimelineBlock
from cometreel.serve.app import ReplayApp
from cometreel.serve.app_factory import replay_app, settings_for
from cometreel.serve.background import serve_in_background
from cometreel.serve.certificate import certificate_of
from cometreel.serve.failure_messages import failed_message, unmatched_message
from cometreel.serve.http_server import AppFactory, ListenOptions
from cometreel.serve.replay_clock import ReplayClock, RunOnLoop
from cometreel.serve.scenario_sources import AnyScenario, ScenarioSource, parse_source
from cometreel.wire import Effect

__all__ = ["ReplayServer", "RunningReplay", "UnmatchedRequests", "replay", "running_replay"]

__tracebackhide__ = True  # of pytest: the traceback of an error ends in the test

P = ParamSpec("P")
T = TypeVar("T")


class UnmatchedRequests(CometreelError, AssertionError):
    """A replay with `strict=True` got requests that no exchange matches, or whose response could not be rendered.

    The text lists the requests with their near misses.
    """

    def __init__(self, text: str, unmatched: Calls, failed: Calls) -> None:
        self.unmatched, self.failed = unmatched, failed
        super().__init__(text)


class _CallOnLoop(Protocol):
    """Runs a function on the event loop of the driver and returns its result."""

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function."""


def _call_directly(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return function(*args, **kwargs)


def _nothing_to_run(function: Callable[[], Coroutine[None, None, T]]) -> T:
    """Refuse to wait on the event loop of the driver."""
    raise BugError(f"{function} is run on its own event loop; expected `await`")


def _nothing_to_stop() -> None:
    """Do nothing: the caller owns the server."""


@dataclass(frozen=True, slots=True)
class RunningReplay:
    """The parts of a running replay. The defaults are for a caller on the event loop of the driver."""

    control: Control
    driver: Driver
    call: _CallOnLoop = _call_directly
    url: str = ""
    stop: Callable[[], None] = _nothing_to_stop
    run: RunOnLoop = _nothing_to_run
    clock: ClockControl | None = None


class ReplayServer:
    """A running replay. It is returned by `cometreel.replay`, and closed by `close` or the end of a `with` block.

    All methods and properties may be used from any thread, coroutine or greenlet.
    """

    def __init__(self, running: RunningReplay | None, *, strict: bool = False) -> None:
        self._started = running
        self._strict, self._closed = strict, False

    # ------------------------------------------------------------------ information
    @property
    def url(self) -> str:
        """The URL of the server without a trailing slash, such as `http://127.0.0.1:43211`."""
        return self._running().url

    @property
    def calls(self) -> Calls:
        """The latest calls, oldest first, without CometD's meta messages. Call it to filter:

            server.calls(operation="RequestAgentStats", owner_type="Place")

        The filters are `exchange`, `method`, `path`, `body` (an object is compared in part), `operation`, `owner_type`,
        `owner`, `session`, `user`, `role` and `outcome`. The places of the operation and of the owner in a body are
        those of the scenario's correlation profile.
        """
        return self._read(lambda control: control.calls)

    @property
    def unmatched(self) -> Calls:
        """The latest unmatched calls, each with its `miss`: the closest exchanges and how they differ."""
        return self._read(lambda control: control.unmatched)

    @property
    def failed(self) -> Calls:
        """The latest calls whose response could not be rendered, each with its `failure`."""
        return self._read(lambda control: control.failed)

    @property
    def unplayed(self) -> Sequence[str]:
        """The names of the exchanges that no session has played, in the order of the scenario."""
        return self._read(lambda control: control.unplayed)

    @property
    def given_up(self) -> Sequence[GivenUpEvent]:
        """The latest notifications that no CometD client gets, each with its `reason`, oldest first."""
        return self._read(lambda control: control.given_up)

    @property
    def sessions(self) -> Sequence[SessionInfo]:
        """The live sessions, oldest first."""
        return self._read(lambda control: control.sessions)

    @property
    def faults(self) -> Sequence[FaultInfo]:
        """The active faults, those of the scenario first."""
        return self._read(lambda control: control.faults)

    @property
    def clock(self) -> ReplayClock:
        """The clock of the replay; `cometreel.replay(…, clock="manual")` starts one that can be moved."""
        running = self._running()
        assert running.clock is not None  # only the admin API has none here
        return ReplayClock(running.clock, running.call, running.run)

    # ------------------------------------------------------------------ commands
    def push(
        self,
        channel: str,
        data: JSON,
        session: int | None = None,
        *,
        user: str | None = None,
        ext: JSONObject | None = None,
    ) -> None:
        """Send a notification now: to all live sessions, to one (by its number), or to all sessions of a user.

        It is sent to each of their CometD clients; a session without a client keeps it for the next one.

        :raises OptionInvalid: if there is no such session or user, or the message is invalid.
        """
        self._apply(lambda control, now: control.push(channel, data, now=now, session=session, user=user, ext=ext))

    def fault(self, fault: Mapping[str, JSON] | FaultBlock, *, session: int | None = None) -> FaultInfo:
        """Add a fault, in all sessions or in one: the result of `cometreel.fault`, or as written under `faults:`.

        :raises FileInvalid: if the fault is invalid, with all problems.
        :raises OptionInvalid: if there is no such session.
        """
        return self._change(lambda control: control.add_fault(fault, session=session))

    def add(self, *blocks: ExchangeBlock | TimelineBlock | FaultBlock) -> None:
        """Add exchanges, timeline entries and faults while the server runs. The sessions continue.

        An added exchange takes precedence over older ones that match the same request. Several with equal requests in
        one call are played in order, as in a file.

        :raises FileInvalid: if they don't fit the scenario, with all problems; then nothing is added.
        """
        self._apply(lambda control, now: control.add(blocks, now=now))

    def register(self, responder: Responder) -> Responder:
        """Add a responder, which takes precedence over the exchanges; may be used as a decorator."""
        self._change(lambda control: control.register(responder))
        return responder

    def remove(self, *removed: str | ExchangeBlock | FaultInfo) -> None:
        """Remove exchanges, by their name or block, and faults.

        :raises OptionInvalid: if there is no such exchange or fault, or another exchange needs it.
        """
        self._apply(lambda control, now: control.remove(removed, now=now))

    def reset(self) -> None:
        """Restart with the scenario and the responders of the start: without sessions, calls, plays and anything added.

        Held polls are answered. A CometD client of before is told to shake hands again.
        """
        self._apply(lambda control, now: control.reset(now=now))

    def replace(self, *scenarios: AnyScenario) -> None:
        """Play another scenario from now on. Sessions stay; everything that was added is removed.

        :raises FileInvalid: if a scenario is missing or invalid, with all problems.
        """
        compiled = _loaded(parse_source(scenarios, option="replace"))
        self._apply(lambda control, now: control.replace(compiled, now=now))

    @property
    def speed(self) -> float:
        """The speed: 2 is twice as fast as recorded, 0 removes all delays. Set it to change what is scheduled later.

        :raises OptionInvalid: if it is set to something else than a number, 0 or more.
        """
        return self._read(lambda control: control.settings.speed)

    @speed.setter
    def speed(self, speed: float) -> None:
        self._apply(lambda control, now: control.set_speed(speed, now=now))

    def close(self) -> None:
        """Answer the held polls and stop the server. A second call does nothing.

        The properties stay readable: `calls`, `unmatched`, `given_up` and so on.

        :raises UnmatchedRequests: with `strict=True`, if there were unmatched or failed requests.
        """
        self._stop()
        if self._strict and (error := self._unmatched_requests()) is not None:
            raise error

    # ------------------------------------------------------------------ context managers
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        self._stop()
        if self._strict and (unmatched := self._unmatched_requests()) is not None:
            error.add_note(str(unmatched))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    def __repr__(self) -> str:
        running = self._started
        state = "without a scenario" if running is None else f"{'closed' if self._closed else 'at'} {running.url}"
        return f"<{type(self).__name__} {state}>"

    # ------------------------------------------------------------------ inside
    def _running(self) -> RunningReplay:
        """Return the running replay."""
        assert self._started is not None
        return self._started

    def _read(self, function: Callable[[Control], T]) -> T:
        """Read something on the event loop; after the stop nothing changes any more, so it is read directly."""
        running = self._running()
        return function(running.control) if self._closed else running.call(function, running.control)

    def _change(self, function: Callable[[Control], T]) -> T:
        running = self._running()
        try:
            return running.call(function, running.control)
        except CometreelError as error:
            raise error.with_traceback(None) from None

    def _apply(self, command: Callable[[Control, float], Iterable[Effect]]) -> None:
        """Call a command with the current time, and perform its effects."""
        driver = self._running().driver
        self._change(lambda control: driver.apply(lambda now: command(control, now)))

    def _stop(self) -> None:
        if not self._closed:
            self._running().stop()
            self._closed = True

    def _unmatched_requests(self) -> UnmatchedRequests | None:
        unmatched, failed = self.unmatched, self.failed
        messages = []
        if unmatched:
            count = self._read(lambda control: control.unmatched_count)
            messages.append(unmatched_message(unmatched, Path.cwd(), count=count))
        if failed:
            messages.append(failed_message(failed))
        return UnmatchedRequests("\n\n".join(messages), unmatched, failed) if messages else None


def _loaded(source: ScenarioSource) -> CompiledScenario:
    """Load the scenario; the traceback of an error ends here."""
    try:
        return source.load()
    except CometreelError as error:
        raise error.with_traceback(None) from None


def running_replay(factory: AppFactory[ReplayApp], options: ListenOptions) -> RunningReplay:
    """Start a replay on a thread of this process.

    :raises OptionInvalid: if the address is not available.
    """
    server = serve_in_background(factory, options)
    return RunningReplay(
        Control(server.backend), server.driver, server.call, server.url, server.stop, server.run, server.app.clock
    )


def replay(  # noqa: PLR0913  # one argument for each option of `cometreel serve`
    *scenarios: AnyScenario,
    speed: float | None = None,
    seed: str | int | None = None,
    repeat: Repeat | None = None,
    auth: Auth | None = None,
    cors: str | Sequence[str] | None = None,
    responders: Sequence[Responder] = (),
    upstream: str | None = None,
    watch: bool = False,
    strict: bool = False,
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    clock: ClockKind = "real",
) -> ReplayServer:
    """Replay scenarios on an HTTP server on a thread of this process, which listens when this function returns.

        with cometreel.replay("desktop.yaml", speed=0) as server:
            httpx.get(server.url + "/api/v2/me")

    A scenario is a file or a folder, YAML text (a string with a line break), or a `Scenario`. Several files are
    combined. Without a scenario, the server has only what is added later. `async with` works as well.

    `speed`, `seed`, `repeat`, `auth` and `cors` override the settings of the scenario. `upstream` is the URL of the
    real server, to which unmatched GET requests are forwarded; without it they get a 404. With `watch`, the scenario is
    loaded again when its files change. With `strict`, unmatched requests are an error at the end. `port` 0 is any free
    port. `certificate` and `key` are PEM files for HTTPS; the key may be in the file of the certificate. With
    `clock="manual"` time stands still until `server.clock` moves it.

    :raises FileInvalid: if a scenario is missing or invalid, with all problems.
    :raises OptionInvalid: if an argument is invalid, or the address is not available.
    :raises ExtraMissing: if there is an upstream, without the extra `forward`.
    """
    source = parse_source(scenarios, option="replay")
    if watch and not source.files:
        raise OptionInvalid("watch", "the scenario is not in files", "files or folders")
    scenario = _loaded(source)
    unmatched = "fail" if upstream is None else "forward"
    given: dict[str, JSON] = {"speed": speed, "seed": seed, "repeat": repeat, "auth": auth, "unmatched": unmatched}
    given["cors"] = None if cors is None else [cors] if isinstance(cors, str) else [*cors]
    settings, watched = settings_for(scenario, given), source.files if watch else ()
    app = replay_app(scenario, settings, responders=responders, watched=watched, upstream=upstream, clock=clock)
    listening = ListenOptions(host, port, certificate_of(certificate, key))
    return ReplayServer(running_replay(app, listening), strict=strict)
