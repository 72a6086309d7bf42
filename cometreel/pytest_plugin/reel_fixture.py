"""The object behind the fixtures `reel` and `reel_session`: a `ReplayServer` that a test starts, or a recording.

The module is not called `reel`, because importing it would replace the package's fixture of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from cometreel.engine import Auth, Calls, GivenUpEvent, Repeat
from cometreel.engine.clock_control import ClockKind, checked_clock
from cometreel.errors import CometreelError, OptionInvalid
from cometreel.jsonvalue import JSON
from cometreel.pytest_plugin.plugin_options import OPTIONS, PluginOptions
from cometreel.pytest_plugin.terminal_summary import MESSAGES
from cometreel.scenario import Exchange
from cometreel.serve import replay_app, settings_for
from cometreel.serve.failure_messages import (
    failed_message,
    undelivered_message,
    unmatched_message,
    unplayed_message,
)
from cometreel.serve.http_server import ListenOptions
from cometreel.serve.recording_server import RecordingServer, record
from cometreel.serve.replay_server import ReplayServer, RunningReplay, running_replay
from cometreel.serve.scenario_sources import EXPECTED, AnyScenario, ScenarioSource, parse_source

__all__ = ["NotWhileRecording", "NothingPlayed", "PlayedAlready", "Reel", "reel_for_session", "reel_for_test"]

__tracebackhide__ = True  # of pytest: the traceback of an error ends in the test


class NothingPlayed(CometreelError):
    """A reel was used before it had a scenario."""

    def __init__(self) -> None:
        super().__init__("the reel has no scenario; expected reel.play(SCENARIO) first, or @pytest.mark.reel(SCENARIO)")


class PlayedAlready(CometreelError):
    """A reel that plays a scenario was given another one."""

    def __init__(self, first: str, other: str) -> None:
        self.first, self.other = first, other
        super().__init__(f"the reel already plays {first} and can't play {other}; expected both in one reel.play(…)")


class NotWhileRecording(CometreelError):
    """A test has used a method that is only available in a replay."""

    def __init__(self, upstream: str) -> None:
        super().__init__(
            f"the reel: only url, calls and close() are available while {upstream} is being recorded; "
            "expected a scenario that is replayed (skip this test, or pass --reel-record-mode=none)"
        )


class Reel(ReplayServer):
    """Serves one scenario, or several files combined into one, on its own port, from the call of `play` on."""

    def __init__(
        self, folders: Sequence[Path], options: PluginOptions, report: Callable[[str], None], *, shown_from: Path
    ) -> None:
        super().__init__(None)
        self._folders, self._options, self._report, self._shown_from = folders, options, report, shown_from
        self._source: ScenarioSource | None = None
        self._given: dict[str, JSON] = {}
        self._recording: RecordingServer | None = None
        self._last_reported = 0
        self._given_up_before = float("-inf")
        self._allows_unmatched, self._allows_failed = False, False

    # ------------------------------------------------------------------ for tests
    def play(
        self,
        *scenarios: AnyScenario,
        speed: float | None = None,
        seed: str | int | None = None,
        repeat: Repeat | None = None,
        auth: Auth | None = None,
        clock: ClockKind = "real",
    ) -> Reel:
        """Serve these scenarios, and return the reel.

        A scenario is a file or a folder (`"desktop.yaml"`), YAML text (a string with a line break), or a
        `cometreel.Scenario`. The arguments default to the settings of the scenario. With `clock="manual"` time stands
        still until `reel.clock` moves it. With `--reel-record`, the file may
        be recorded from the real server instead. A second call with the same arguments has no effect.

        :raises FileInvalid: if a scenario is missing or invalid, with all problems.
        :raises OptionInvalid: if a setting is invalid.
        :raises PlayedAlready: if the reel already plays another scenario.
        """
        given: dict[str, JSON] = {"speed": speed, "seed": seed, "repeat": repeat, "auth": auth, "clock": clock}
        try:
            self._play(scenarios, given)
        except CometreelError as error:
            raise error.with_traceback(None) from None
        return self

    @property
    def url(self) -> str:
        """The URL of the server for the application under test, such as `http://127.0.0.1:43211`."""
        return super().url if self._recording is None else self._recording.url

    @property
    def calls(self) -> Calls:
        """The requests so far, as `ReplayServer.calls`; while recording, those to the proxy."""
        return super().calls if self._recording is None else self._recording.calls

    @property
    def unmatched(self) -> Calls:
        """The unmatched calls, as `ReplayServer.unmatched`; none while recording: the real server answers all."""
        return super().unmatched if self._recording is None else Calls()

    @property
    def failed(self) -> Calls:
        """The failed calls, as `ReplayServer.failed`; none while recording."""
        return super().failed if self._recording is None else Calls()

    @property
    def given_up(self) -> Sequence[GivenUpEvent]:
        """The lost notifications, as `ReplayServer.given_up`; none while recording: the real server delivers them."""
        return super().given_up if self._recording is None else []

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
        given_up = self._given_up_so_far()
        self._given_up_before = given_up[-1].at if given_up else float("-inf")

    def failure_message(self, *, passed: bool) -> str:
        """Return why a test should fail, without what was returned before; empty if it should not.

        With `--reel-strict`, a test that `passed` must have played all exchanges.
        """
        unmatched, failed = self._new_unmatched_and_failed()
        messages = []
        if unmatched and not self._allows_unmatched:
            messages.append(f"{unmatched_message(unmatched, self._shown_from, 'The test')}\n\n{_REMEDY_FOR_UNMATCHED}")
        if failed and not self._allows_failed:
            messages.append(f"{failed_message(failed, 'The test')}\n\n{_REMEDY_FOR_FAILED}")
        if messages:
            return "\n\n".join(messages)
        if passed and self._options.strict and (unplayed := self._unplayed_exchanges()):
            return unplayed_message(unplayed, self._shown_from)
        return ""

    def undelivered_message(self) -> str:
        """Return the notifications that no client got in this test, for the report of a failed one."""
        if self._started is None:
            return ""
        given_up = [event for event in self._given_up_so_far() if event.at > self._given_up_before]
        return undelivered_message(given_up, {one.number: one.waiting for one in self.sessions if one.waiting})

    def close(self) -> None:
        """Stop the server; a recording is written as a scenario, and its path is reported.

        :raises FileInvalid: if the scenario can't be written; the journal is complete.
        """
        if self._recording is not None:
            self._report_recording(self._recording)
        elif self._started is not None:
            super().close()

    # ------------------------------------------------------------------ inside
    def _play(self, scenarios: Sequence[AnyScenario], given: Mapping[str, JSON]) -> None:
        if not scenarios:
            raise OptionInvalid("reel.play", "nothing to play", EXPECTED)
        source = parse_source(scenarios, option="reel.play", folders=self._folders)
        if self._source is None:
            self._start(source, given)
            self._source, self._given = source, {**given}
        elif (source, given) != (self._source, self._given):
            raise PlayedAlready(str(self._source), str(source))

    def _start(self, source: ScenarioSource, given: Mapping[str, JSON]) -> None:
        file = self._file_to_record(source)
        if file is not None:
            self._recording = record(self._options.record, file, only_new=self._options.mode == "new")
            return
        scenario = source.load(hint="to record it: pytest --reel-record=URL")
        settings = {name: value for name, value in given.items() if name != "clock"}
        settings["unmatched"] = "fail"  # no server to forward to
        app = replay_app(scenario, settings_for(scenario, settings), clock=checked_clock(given["clock"]))
        self._started = running_replay(app, ListenOptions())

    def _file_to_record(self, source: ScenarioSource) -> Path | None:
        """Return the file to record; None if the scenario is to be replayed.

        Only a single file is recorded: new exchanges have no definite place in several files or in text.
        """
        options = self._options
        if not options.record or options.mode == "none" or len(source.files) != 1 or source.files[0].is_dir():
            return None
        (file,) = source.files
        return None if options.mode == "once" and file.exists() else file

    def _running(self) -> RunningReplay:
        if self._recording is not None:
            raise NotWhileRecording(self._recording.upstream)
        if self._started is None:
            raise NothingPlayed
        return self._started

    def _new_unmatched_and_failed(self) -> tuple[Calls, Calls]:
        """Return the unmatched and the failed calls since the last call of this method."""
        if self._started is None:
            return Calls(), Calls()
        unmatched, failed = self.unmatched.since(self._last_reported), self.failed.since(self._last_reported)
        numbers = [call.number for calls in (unmatched, failed) for call in calls]
        self._last_reported = max(numbers, default=self._last_reported)
        return unmatched, failed

    def _unplayed_exchanges(self) -> Sequence[Exchange]:
        if self._started is None:
            return ()
        return self._read(lambda control: [control.scenario.by_name[name] for name in control.unplayed])

    def _given_up_so_far(self) -> Sequence[GivenUpEvent]:
        return () if self._started is None else self.given_up

    def _report_recording(self, recording: RecordingServer) -> None:
        result = recording.close()
        scenario = f"scenario in {result.scenario}" if result.scenario else f"{recording.scenario} is unchanged"
        for line in (f"{scenario}; journal in {result.journal}", *(f"  {line}" for line in result.lines)):
            self._report(line)
        for line in result.difference.splitlines():
            self._report(f"  {line}")


_REMEDY_FOR_UNMATCHED = """\
To allow this in the test: reel.allow_unmatched()
To record the missing exchanges: pytest --reel-record=URL --reel-record-mode=new"""
_REMEDY_FOR_FAILED = "To allow this in the test: reel.allow_failed()"


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
    _close(reel)


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
    _close(reel)


def _close(reel: Reel) -> None:
    """Close a reel, and fail the teardown for unmatched requests after the test."""
    message = reel.failure_message(passed=False)
    try:
        reel.close()
    except CometreelError as error:
        pytest.fail(str(error), pytrace=False)
    if message:
        pytest.fail(message, pytrace=False)
