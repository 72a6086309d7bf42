"""The clock of a replay in the public API: `server.clock`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Protocol, TypeVar

from cometreel.engine.clock_control import SETTLE, AdvanceResult, ClockControl, ClockDuration
from cometreel.errors import CometreelError

__all__ = ["ReplayClock", "RunOnLoop"]

__tracebackhide__ = True  # of pytest: the traceback of an error ends in the test

T = TypeVar("T")


class RunOnLoop(Protocol):
    """Runs a coroutine on the event loop of the driver and returns its result."""

    def __call__(self, function: Callable[[], Coroutine[None, None, T]]) -> T:
        """Run the coroutine."""


class ReplayClock:
    """The time of a replay that was started with `clock="manual"`. It moves delays, time-outs and `now` of templates.

    It starts frozen. All methods and properties may be used from any thread; a responder can't call `advance`. Call
    `advance` in a coroutine with `await asyncio.to_thread(server.clock.advance, "30m")`, because it blocks the thread.
    """

    def __init__(self, control: ClockControl, call: Callable[[Callable[[], object]], object], run: RunOnLoop) -> None:
        self._control, self._call, self._run = control, call, run

    @property
    def now(self) -> float:
        """The time in seconds, which `call.at` and the times of sessions use too; differences are meaningful."""
        return self._control.now

    @property
    def is_frozen(self) -> bool:
        """True if the time stands still."""
        return self._control.is_frozen

    def freeze(self) -> None:
        """Let the time stand still.

        :raises OptionInvalid: if the replay was not started with `clock="manual"`.
        """
        self._command(self._control.freeze)

    def resume(self) -> None:
        """Let the time run, as fast as the real one, from where it is.

        :raises OptionInvalid: if the replay was not started with `clock="manual"`.
        """
        self._command(self._control.resume)

    def advance(self, by: ClockDuration, *, settle: ClockDuration = SETTLE) -> AdvanceResult:
        """Move the time forward, by `"8h"`, a number of seconds or a `timedelta`, and return what happened.

        Everything that is due meanwhile is done at its time and in its order. Before each move, and before it returns,
        this method waits until every CometD client polls or has closed its connection, and until everything is written;
        for at most `settle` (real time) after the latest change. Calls at the same time are performed one after the
        other.

        :raises OptionInvalid: if the replay was not started with `clock="manual"`, or a duration is invalid.
        :raises CometreelError: if the server stops meanwhile.
        """
        try:
            return self._run(lambda: self._control.advance(by, settle=settle))
        except CometreelError as error:
            raise error.with_traceback(None) from None

    def _command(self, function: Callable[[], None]) -> None:
        try:
            self._call(function)
        except CometreelError as error:
            raise error.with_traceback(None) from None
