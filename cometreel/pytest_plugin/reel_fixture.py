"""The object behind the fixtures `reel` and `reel_session`: serves one scenario, or records it.

The module is not called `reel`, because importing it would replace the package's fixture of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from cometreel.engine import Auth, Calls, FaultInfo, GivenUpEvent, Repeat, Responder
from cometreel.errors import CometreelError
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.pytest_plugin.failure_messages import (
    failed_message,
    undelivered_message,
    unmatched_message,
    unplayed_message,
)
from cometreel.pytest_plugin.plugin_options import OPTIONS, PluginOptions
from cometreel.pytest_plugin.replay_reel import ReplayReel
from cometreel.pytest_plugin.scenario_sources import ScenarioSource, parse_source
from cometreel.pytest_plugin.terminal_summary import MESSAGES
from cometreel.scenario import CompiledScenario, Exchange
from cometreel.serve import settings_for

__all__ = ["NothingPlayed", "PlayedAlready", "Reel", "reel_for_session", "reel_for_test"]

T = TypeVar("T")


class NothingPlayed(CometreelError):
    """A reel was used before it had a scenario."""

    def __init__(self) -> None:
        super().__init__("the reel has no scenario; expected reel.play(SCENARIO) first, or @pytest.mark.reel(SCENARIO)")


class PlayedAlready(CometreelError):
    """A reel that plays a scenario was given another one."""

    def __init__(self, first: str, other: str) -> None:
        self.first, self.other = first, other
        super().__init__(f"the reel already plays {first} and can't play {other}; expected both in one reel.play(…)")


class RunningReel(Protocol):
    """A running replay or recording."""

    @property
    def url(self) -> str:
        """The URL of the server."""

    @property
    def calls(self) -> Calls:
        """The calls so far."""

    def unmatched_and_failed(self) -> tuple[Calls, Calls]:
        """Return the unmatched calls, and those whose response could not be rendered."""

    def unplayed(self) -> Sequence[Exchange]:
        """Return the exchanges that were not played."""

    def undelivered(self) -> tuple[Sequence[GivenUpEvent], Mapping[int, int]]:
        """Return the notifications that no client gets, and the number that wait for a client, by session."""

    def push(self, channel: str, data: JSON, session: int | None, user: str | None, ext: JSONObject | None) -> None:
        """Send a notification."""

    def fault(self, fault: Mapping[str, JSON], session: int | None) -> FaultInfo:
        """Activate a fault."""

    def register(self, responder: Responder) -> None:
        """Add a responder, which takes precedence over the scenario."""

    def stop(self) -> None:
        """Stop the server."""


class Reel:
    """Serves one scenario, or several files combined into one, on its own port."""

    def __init__(
        self, folders: Sequence[Path], options: PluginOptions, report: Callable[[str], None], *, shown_from: Path
    ) -> None:
        self._folders, self._options, self._report, self._shown_from = folders, options, report, shown_from
        self._source: ScenarioSource | None = None
        self._given: dict[str, JSON] = {}
        self._running: RunningReel | None = None
        self._last_reported = 0
        self._given_up_before = float("-inf")
        self._allows_unmatched, self._allows_failed = False, False

    # ------------------------------------------------------------------ for tests
    def play(
        self,
        *scenarios: str | Path | CompiledScenario,
        speed: float | None = None,
        seed: str | int | None = None,
        repeat: Repeat | None = None,
        auth: Auth | None = None,
    ) -> Reel:
        """Serve these scenarios, and return the reel.

        A scenario is a file or a folder (`"desktop.yaml"`), YAML text (a string with a line break), or the result of
        `cometreel.scenario.load`. The arguments default to the settings of the scenario. With `--reel-record`, the file
        may be recorded from the real server instead. A second call with the same arguments has no effect.

        :raises FileInvalid: if a scenario is missing or invalid, with all problems.
        :raises OptionInvalid: if a setting is invalid.
        :raises PlayedAlready: if the reel already plays another scenario.
        """
        __tracebackhide__ = True
        given: dict[str, JSON] = {"speed": speed, "seed": seed, "repeat": repeat, "auth": auth}
        try:
            source = parse_source(scenarios, self._folders)
            if self._running is None:
                self._running = self._start(source, given)
                self._source, self._given = source, given
            elif (source, given) != (self._source, self._given):
                raise PlayedAlready(str(self._source), str(source))
        except CometreelError as error:
            raise error.with_traceback(None) from None  # the traceback should end in the test
        return self

    @property
    def url(self) -> str:
        """The URL of the server for the application under test, such as `http://127.0.0.1:43211`."""
        __tracebackhide__ = True
        return self._use(lambda running: running.url)

    @property
    def calls(self) -> Calls:
        """The requests so far, without CometD's meta messages. Call it to filter:

        reel.calls(operation="RequestAgentStats", owner_type="Place")
        """
        __tracebackhide__ = True
        return self._use(lambda running: running.calls)

    @property
    def given_up(self) -> Sequence[GivenUpEvent]:
        """The notifications that no CometD client gets, each with its `reason`, oldest first."""
        __tracebackhide__ = True
        return self._use(lambda running: running.undelivered()[0])

    def push(
        self,
        channel: str,
        data: JSON,
        *,
        session: int | None = None,
        user: str | None = None,
        ext: JSONObject | None = None,
    ) -> None:
        """Send a notification now: to all live sessions, to one (by its number), or to all sessions of a user.

        :raises OptionInvalid: if there is no such session or user, or the message is invalid.
        :raises NotWhileRecording: if the real server is being recorded.
        """
        __tracebackhide__ = True
        self._use(lambda running: running.push(channel, data, session, user, ext))

    def fault(self, fault: Mapping[str, JSON], *, session: int | None = None) -> FaultInfo:
        """Activate a fault, written as under `faults:` in a scenario.

        :raises FileInvalid: if the fault is invalid, with all problems.
        :raises NotWhileRecording: if the real server is being recorded.
        """
        __tracebackhide__ = True
        return self._use(lambda running: running.fault(fault, session))

    def register(self, responder: Responder) -> Responder:
        """Add a responder, which takes precedence over the scenario; may be used as a decorator.

        :raises NotWhileRecording: if the real server is being recorded.
        """
        __tracebackhide__ = True
        self._use(lambda running: running.register(responder))
        return responder

    def allow_unmatched(self) -> None:
        """Allow unmatched requests in this test."""
        self._allows_unmatched = True

    def allow_failed(self) -> None:
        """Allow responses that cannot be rendered, because a template fails or a responder raises, in this test."""
        self._allows_failed = True

    # ------------------------------------------------------------------ for the plugin
    def start_test(self) -> None:
        """Start a test of several, which does not fail for earlier requests."""
        self._allows_unmatched, self._allows_failed = False, False
        self._new_unmatched_and_failed()
        given_up = () if self._running is None else self._running.undelivered()[0]
        self._given_up_before = given_up[-1].at if given_up else float("-inf")

    def failure_message(self, *, passed: bool) -> str:
        """Return why a test should fail, without what was returned before; empty if it should not.

        With `--reel-strict`, a test that `passed` must have played all exchanges.
        """
        if self._running is None:
            return ""
        unmatched, failed = self._new_unmatched_and_failed()
        messages = []
        if unmatched and not self._allows_unmatched:
            messages.append(unmatched_message(unmatched, self._shown_from))
        if failed and not self._allows_failed:
            messages.append(failed_message(failed))
        if messages:
            return "\n\n".join(messages)
        if passed and self._options.strict and (unplayed := self._running.unplayed()):
            return unplayed_message(unplayed, self._shown_from)
        return ""

    def undelivered_message(self) -> str:
        """Return the notifications that no client got in this test, for the report of a failed one."""
        if self._running is None:
            return ""
        given_up, waiting = self._running.undelivered()
        return undelivered_message([event for event in given_up if event.at > self._given_up_before], waiting)

    def stop(self) -> None:
        """Stop the server; a recording is written as a scenario."""
        if self._running is not None:
            self._running.stop()

    def _new_unmatched_and_failed(self) -> tuple[Calls, Calls]:
        """Return the unmatched and the failed calls since the last call of this method."""
        if self._running is None:
            return Calls(), Calls()
        new = [calls.since(self._last_reported) for calls in self._running.unmatched_and_failed()]
        self._last_reported = max((call.number for calls in new for call in calls), default=self._last_reported)
        unmatched, failed = new
        return unmatched, failed

    def _start(self, source: ScenarioSource, given: Mapping[str, JSON]) -> RunningReel:
        file = source.file_to_record(self._options)
        if file is not None:
            from cometreel.pytest_plugin.recording_reel import RecordingReel  # noqa: PLC0415  # seldom needed
            from cometreel.recording.upstream import Upstream  # noqa: PLC0415  # httpx, an optional dependency

            return RecordingReel(
                Upstream.at(self._options.record), file, self._report, only_new=self._options.mode == "new"
            )
        scenario = source.load()
        return ReplayReel(scenario, settings_for(scenario, {**given, "unmatched": "fail"}))  # no server to forward to

    def _use(self, function: Callable[[RunningReel], T]) -> T:
        """Call a function with the running reel; the traceback of an error ends in the test."""
        __tracebackhide__ = True
        try:
            if self._running is None:
                raise NothingPlayed
            return function(self._running)
        except CometreelError as error:
            raise error.with_traceback(None) from None


@contextmanager
def reel_for_test(request: pytest.FixtureRequest) -> Iterator[Reel]:
    """Provide the reel of one test, which plays the scenarios of the test's marker."""
    reel = Reel(
        (request.path.parent, request.config.rootpath),
        request.config.stash[OPTIONS],
        request.config.stash[MESSAGES].append,
        shown_from=request.config.invocation_params.dir,
    )
    marker = request.node.get_closest_marker("reel")
    if marker is not None and (error := _play_marker(reel, marker)):
        pytest.fail(f"@pytest.mark.reel: {error}", pytrace=False)
    yield reel
    _stop(reel)


def _play_marker(reel: Reel, marker: pytest.Mark) -> str:
    """Play the scenarios of a marker; return an error's text, empty if there is none."""
    try:
        reel.play(*marker.args, **marker.kwargs)
    except (CometreelError, TypeError) as error:
        return str(error).replace("Reel.play()", "it")
    return ""


@contextmanager
def reel_for_session(request: pytest.FixtureRequest) -> Iterator[Reel]:
    """Provide the reel of a run. `--reel-strict` does not apply, because no single test plays all exchanges."""
    config = request.config
    reel = Reel(
        (config.rootpath,),
        config.stash[OPTIONS].not_strict(),
        config.stash[MESSAGES].append,
        shown_from=config.invocation_params.dir,
    )
    yield reel
    _stop(reel)


def _stop(reel: Reel) -> None:
    """Stop a reel, and fail the teardown for unmatched requests after the test."""
    message = reel.failure_message(passed=False)
    try:
        reel.stop()
    except CometreelError as error:
        pytest.fail(str(error), pytrace=False)
    if message:
        pytest.fail(message, pytrace=False)
