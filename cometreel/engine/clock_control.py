"""Controls the time of a running replay: freezes it, lets it run, and moves it from deadline to deadline."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Literal, TypeAlias

from cometreel.bayeux.server import UnpolledClient
from cometreel.engine.backend import Backend
from cometreel.engine.clock import ManualClock
from cometreel.engine.driver import Driver
from cometreel.errors import CometreelError, OptionInvalid
from cometreel.scenario.durations import LONGEST, parse_duration

__all__ = [
    "SETTLE",
    "AdvanceResult",
    "ClockControl",
    "ClockDuration",
    "ClockKind",
    "ServerStoppedAdvancing",
    "checked_clock",
]

ClockKind: TypeAlias = Literal["real", "manual"]
ClockDuration: TypeAlias = str | float | timedelta
"""A duration, as text with a unit (`8h`, `1.5s`), as seconds, or as a `timedelta`."""

SETTLE = 0.2
"""The default of `settle`, in seconds."""
_TICK = 1e-6  # the resolution of the schedule, in seconds


class ServerStoppedAdvancing(CometreelError):
    """The server stopped while its clock was being advanced."""

    def __init__(self) -> None:
        super().__init__("advance: the server stopped before the end; expected it to run until advance returns")


@dataclass(frozen=True, slots=True)
class AdvanceResult:
    """The events of one `advance`."""

    seconds: float
    """The duration by which the clock was moved, in seconds."""
    notifications: int
    """The number of notifications delivered to CometD clients, counted once per client."""
    polls_timed_out: int
    """The number of held polls that were answered because they timed out."""
    sessions_expired: int
    """The number of CometD sessions that expired."""
    clients_not_polling: int
    """The number of times that a CometD client didn't poll again within `settle`."""


class ClockControl:
    """Controls the clock of one driver. Use it on the event loop of the driver, from the start of the clock on."""

    def __init__(self, backend: Backend, driver: Driver) -> None:
        self._backend, self._driver = backend, driver
        self._queue = asyncio.Lock()
        self._changed = asyncio.Event()
        if driver.clock is not None:
            driver.clock.changed = self._changed.set
            backend.follow_clock(driver.clock.time())
        self._is_frozen = driver.clock is not None
        self._absent: dict[str | int, int] = {}  # the clients and requests that are no longer waited for
        self._given_up = 0

    @property
    def kind(self) -> ClockKind:
        """`manual` if the clock can be controlled, else `real`."""
        return "real" if self._driver.clock is None else "manual"

    @property
    def is_frozen(self) -> bool:
        """True if the time stands still."""
        return self._is_frozen

    @property
    def now(self) -> float:
        """The engine's time, in seconds."""
        return self._driver.now()

    def freeze(self) -> None:
        """Let the time stand still; after the end of an `advance` that is running.

        :raises OptionInvalid: if the clock is the real one.
        """
        clock = self._manual()
        self._is_frozen = True
        clock.freeze()

    def resume(self) -> None:
        """Let the time run from here on; after the end of an `advance` that is running.

        :raises OptionInvalid: if the clock is the real one.
        """
        clock = self._manual()
        self._is_frozen = False
        if not self._queue.locked():
            self._run(clock)

    async def advance(self, by: ClockDuration, *, settle: ClockDuration = SETTLE) -> AdvanceResult:
        """Move the time forward, from deadline to deadline, and return what happened.

        Before each move, and before it returns, it waits until every CometD client polls or has closed its connection,
        and until everything is written; for at most `settle` (real time) after the latest change. It doesn't wait again
        for a client that didn't poll in time, until that client polls. Calls at the same time are performed one after
        the other.

        :raises OptionInvalid: if the clock is the real one, or a duration is invalid.
        :raises ServerStoppedAdvancing: if the server stops meanwhile.
        """
        clock = self._manual()
        seconds, pause = _seconds("advance", by), _seconds("settle", settle)
        async with self._queue:
            clock.freeze()
            try:
                return await self._advance(clock, seconds, pause)
            finally:
                if not self._is_frozen:
                    self._run(clock)

    # ------------------------------------------------------------------ inside
    def _manual(self) -> ManualClock:
        if self._driver.clock is None:
            raise OptionInvalid(
                "clock", "the replay uses the real clock", "a replay that was started with a manual one"
            )
        return self._driver.clock

    def _run(self, clock: ManualClock) -> None:
        clock.resume()
        if not self._driver.closing.is_set():
            self._driver.advance()  # sets the timer

    async def _advance(self, clock: ManualClock, seconds: float, pause: float) -> AdvanceResult:
        target = clock.time() + seconds
        events, polls, sessions, absent = self._backend.counters.events, 0, 0, self._given_up
        while True:
            await self._settled(clock, pause)
            if self._driver.closing.is_set():
                raise ServerStoppedAdvancing
            deadline = self._backend.deadline()
            at = target if deadline is None else max(deadline, clock.time() + _TICK)
            server = self._backend.server
            timed_out, expired = server.polls_timed_out, server.sessions_expired
            clock.move_to(at if at <= target + _TICK else target)  # a sum of parts may miss a deadline by its rounding
            self._driver.advance()
            polls += server.polls_timed_out - timed_out
            sessions += server.sessions_expired - expired
            if at >= target and not self._is_due(clock):
                await self._settled(clock, pause)
                return AdvanceResult(
                    seconds, self._backend.counters.events - events, polls, sessions, self._given_up - absent
                )

    def _is_due(self, clock: ManualClock) -> bool:
        deadline = self._backend.deadline()
        return deadline is not None and deadline <= clock.time() - _TICK

    async def _settled(self, clock: ManualClock, pause: float) -> None:
        """Wait until every client polls or is gone, and everything is written; for at most `pause` without a change."""
        await asyncio.sleep(0)  # other tasks of the event loop have their turn
        loop = asyncio.get_running_loop()
        started: dict[str, int] = {}
        before: dict[str | int, int] = {}
        end = loop.time() + pause
        while not self._driver.closing.is_set() and (pending := self._pending(clock, started)):
            if pending != before:
                before, end = pending, loop.time() + pause
            self._changed.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._changed.wait()
            except TimeoutError:
                if self._pending(clock, started) == before:
                    self._absent |= before
                    self._given_up += sum(isinstance(key, str) for key in before)
                    return

    def _pending(self, clock: ManualClock, started: dict[str, int]) -> dict[str | int, int]:
        """Return the clients that don't poll, with the number of their polls, and the requests with unwritten replies.

        `started` has the number of polls of each client when it was seen first. A client that gets no message and has
        polled twice since is not pending: its polls are never held.
        """
        pending: dict[str | int, int] = dict(clock.unwritten.items())
        for client in self._backend.server.unpolled_clients():
            if client.latest_request in clock.left:
                continue
            if client.queued or client.client_id not in started:
                started[client.client_id] = client.polls
            if not _is_never_held(client, started):
                pending[client.client_id] = client.polls
        return {key: count for key, count in pending.items() if self._absent.get(key) != count}


def _is_never_held(client: UnpolledClient, started: dict[str, int]) -> bool:
    return client.polls >= started[client.client_id] + 2


def _seconds(option: str, duration: object) -> float:
    """Return a duration in seconds.

    :raises OptionInvalid: if it is not a duration.
    """
    seconds = None
    if isinstance(duration, timedelta):
        seconds = duration.total_seconds()
    elif isinstance(duration, int | float) and not isinstance(duration, bool):
        seconds = float(duration)
    elif isinstance(duration, str):
        try:
            seconds = parse_duration(duration)
        except ValueError as error:
            raise OptionInvalid(option, str(error), "a duration of at most a year, such as '8h' or '1.5s'") from None
    if seconds is None or not isfinite(seconds) or not 0 <= seconds <= LONGEST:
        raise OptionInvalid(option, repr(duration), "a duration of at most a year: '8h', seconds or a timedelta")
    return seconds


def checked_clock(clock: object) -> ClockKind:
    """Return the kind of a clock.

    :raises OptionInvalid: if it is neither `real` nor `manual`.
    """
    if clock == "real":
        return "real"
    if clock == "manual":
        return "manual"
    raise OptionInvalid("clock", repr(clock), "'real' or 'manual'")
