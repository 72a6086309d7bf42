"""What a test has in its hands: one scenario, played to whoever asks at a URL, or recorded there.

Joins what was given to what plays it. Nothing about fixtures, hooks or HTTP may enter. The module isn't called `reel`
because importing it would put it in the place of the package's fixture of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from cometreel.engine import Auth, Calls, FaultInfo, Repeat, Responder
from cometreel.errors import CometreelError
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.pytest_plugin.failure_messages import failed_text, unmatched_text, unplayed_text
from cometreel.pytest_plugin.plugin_options import PluginOptions
from cometreel.pytest_plugin.replay_reel import ReplayReel
from cometreel.pytest_plugin.scenario_sources import ScenarioSource, scenario_source_of
from cometreel.scenario import Exchange, Scenario
from cometreel.serve import settings_for

__all__ = ["NothingPlayed", "PlayedAlready", "Reel"]

T = TypeVar("T")


class NothingPlayed(CometreelError):
    """A reel was asked for something before it was given a scenario."""

    def __init__(self) -> None:
        super().__init__(
            "the reel has no scenario yet; expected reel.play(SCENARIO) first, or @pytest.mark.reel(SCENARIO)"
        )


class PlayedAlready(CometreelError):
    """A reel that plays one scenario was given another."""

    def __init__(self, first: str, other: str) -> None:
        self.first, self.other = first, other
        super().__init__(f"the reel plays {first} and can't play {other} too; expected both in one reel.play(…)")


class RunningReel(Protocol):
    """What a reel is while it runs: a playback, or a take."""

    @property
    def url(self) -> str:
        """Where it listens."""

    @property
    def calls(self) -> Calls:
        """What was asked so far."""

    def unanswered(self) -> tuple[Calls, Calls]:
        """What nothing answered, and what failed."""

    def unplayed(self) -> Sequence[Exchange]:
        """What was never asked for."""

    def push(self, channel: str, data: JSON, session: int | None, user: str | None, ext: JSONObject | None) -> None:
        """Send a notification."""

    def fault(self, fault: Mapping[str, JSON], session: int | None) -> FaultInfo:
        """Put a fault in force."""

    def register(self, responder: Responder) -> None:
        """Ask this responder first."""

    def stop(self) -> None:
        """End it."""


class Reel:
    """Plays one scenario, or several files as one, on a port of its own."""

    def __init__(
        self, folders: Sequence[Path], options: PluginOptions, say: Callable[[str], None], *, shown_from: Path
    ) -> None:
        self._folders, self._options, self._say, self._shown_from = folders, options, say, shown_from
        self._source: ScenarioSource | None = None
        self._given: dict[str, JSON] = {}
        self._running: RunningReel | None = None
        self._seen = 0
        self._allows_unmatched, self._allows_failed = False, False

    # ------------------------------------------------------------------ for tests
    def play(
        self,
        *scenarios: str | Path | Scenario,
        speed: float | None = None,
        seed: str | int | None = None,
        repeat: Repeat | None = None,
        auth: Auth | None = None,
    ) -> Reel:
        """Play these scenarios, and return the reel.

        A scenario is a file or a folder (`"desktop.yaml"`), YAML text (anything with a line break in it), or one that
        `cometreel.scenario.load` gave. Settings that aren't given are those of the scenario. With `--reel-record` the
        file may be recorded from the real server instead. Playing the same again changes nothing.

        :raises FileInvalid: if a scenario is missing or wrong, with everything that is wrong with it.
        :raises OptionInvalid: if a setting can't be used.
        :raises PlayedAlready: if the reel plays something else.
        """
        __tracebackhide__ = True
        given: dict[str, JSON] = {"speed": speed, "seed": seed, "repeat": repeat, "auth": auth}
        try:
            source = scenario_source_of(scenarios, self._folders)
            if self._running is None:
                self._running = self._run(source, given)
                self._source, self._given = source, given
            elif (source, given) != (self._source, self._given):
                raise PlayedAlready(str(self._source), str(source))
        except CometreelError as error:
            raise error.with_traceback(None) from None  # the place of interest is the caller's
        return self

    @property
    def url(self) -> str:
        """Where the application under test finds its server: `http://127.0.0.1:43211`."""
        __tracebackhide__ = True
        return self._ask(lambda running: running.url)

    @property
    def calls(self) -> Calls:
        """What was asked so far, but for CometD's own messages. It can be called to filter:

        reel.calls(operation="RequestAgentStats", owner_type="Place")
        """
        __tracebackhide__ = True
        return self._ask(lambda running: running.calls)

    def push(
        self,
        channel: str,
        data: JSON,
        *,
        session: int | None = None,
        user: str | None = None,
        ext: JSONObject | None = None,
    ) -> None:
        """Send a notification now: to every live session, or to one (by its number), or to those of a user.

        :raises OptionInvalid: if there is no such session or user, or it isn't a message that could be sent.
        :raises NotWhileRecording: if the real server is being recorded.
        """
        __tracebackhide__ = True
        self._ask(lambda running: running.push(channel, data, session, user, ext))

    def fault(self, fault: Mapping[str, JSON], *, session: int | None = None) -> FaultInfo:
        """Put a fault in force, written as one under `faults:` in a scenario.

        :raises FileInvalid: with everything that is wrong with the fault.
        :raises NotWhileRecording: if the real server is being recorded.
        """
        __tracebackhide__ = True
        return self._ask(lambda running: running.fault(fault, session))

    def register(self, responder: Responder) -> Responder:
        """Ask this function before the scenario; it may be used as a decorator.

        :raises NotWhileRecording: if the real server is being recorded.
        """
        __tracebackhide__ = True
        self._ask(lambda running: running.register(responder))
        return responder

    def allow_unmatched(self) -> None:
        """Let this test make requests that nothing answers."""
        self._allows_unmatched = True

    def allow_failed(self) -> None:
        """Let this test make requests whose exchange can't be played, or whose responder raises something."""
        self._allows_failed = True

    # ------------------------------------------------------------------ for the plugin
    def begin(self) -> None:
        """Begin a test of several: what was asked before isn't its doing."""
        self._allows_unmatched, self._allows_failed = False, False
        self._look()

    def failure_message(self, *, passed: bool) -> str:
        """Tell what a test did that it may not do, and what wasn't told before; empty if there is nothing.

        With `--reel-strict` a test that `passed` must have had every exchange played.
        """
        if self._running is None:
            return ""
        missed, failed = self._look()
        told = []
        if missed and not self._allows_unmatched:
            told.append(unmatched_text(missed, self._shown_from))
        if failed and not self._allows_failed:
            told.append(failed_text(failed))
        if told:
            return "\n\n".join(told)
        if passed and self._options.strict and (unplayed := self._running.unplayed()):
            return unplayed_text(unplayed, self._shown_from)
        return ""

    def stop(self) -> None:
        """Stop listening; a recording becomes a scenario."""
        if self._running is not None:
            self._running.stop()

    def _look(self) -> tuple[Calls, Calls]:
        """Look at what nothing answered, and at what failed, since the last look."""
        if self._running is None:
            return Calls(), Calls()
        missed, failed = (calls.since(self._seen) for calls in self._running.unanswered())
        self._seen = max((call.number for call in (*missed, *failed)), default=self._seen)
        return missed, failed

    def _run(self, source: ScenarioSource, given: Mapping[str, JSON]) -> RunningReel:
        file = source.to_record(self._options)
        if file is not None:
            from cometreel.pytest_plugin.recording_reel import RecordingReel  # noqa: PLC0415  # seldom needed
            from cometreel.recording.upstream import Upstream  # noqa: PLC0415  # httpx, an optional dependency

            return RecordingReel(
                Upstream.at(self._options.record), file, self._say, only_new=self._options.mode == "new"
            )
        scenario = source.load()
        return ReplayReel(scenario, settings_for(scenario, {**given, "unmatched": "fail"}))  # there is nobody to ask

    def _ask(self, question: Callable[[RunningReel], T]) -> T:
        """Ask what runs; an error is shown at the line of the test that asked."""
        __tracebackhide__ = True
        try:
            if self._running is None:
                raise NothingPlayed
            return question(self._running)
        except CometreelError as error:
            raise error.with_traceback(None) from None
