"""Runs the engine on asyncio: effects become futures, and one timer calls `advance`.

It is the only module of the engine that reads a clock. It is independent of Bayeux, scenarios and the host (mitmproxy,
ASGI). A host creates a `Request`, awaits the reply, and reports afterwards whether it was written.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeAlias

from cometreel.engine.log_limiter import LogLimiter
from cometreel.errors import BugError
from cometreel.masking import masked_text
from cometreel.wire import Accept, Drop, Effect, Forward, Frame, Log, Reply, Request

__all__ = ["BINARY_REFUSED", "Driver", "DriverReply", "Engine", "WebSocketConversation"]

logger = logging.getLogger(__name__)

NORMAL_CLOSURE = 1000  # RFC 6455 §7.4.1
BINARY_REFUSED = (1003, "Bayeux messages are text")
"""Close code (RFC 6455 §7.4.1) and reason for a client that sends a binary message."""

DriverReply: TypeAlias = Reply | Drop | Forward
"""The result of an HTTP request."""
WebSocketAction: TypeAlias = Accept | Reply | Frame | Drop
"""The actions of a WebSocket, in order: first `Accept` (or a refusal), then frames, then `Drop`."""


class Engine(Protocol):
    """The interface of an engine, such as `engine.Backend`. `now` is in seconds."""

    def receive(self, request: Request, now: float) -> list[Effect]:
        """Process a request, or the upgrade that opens a WebSocket."""

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Process a text frame of a WebSocket."""

    def deadline(self) -> float | None:
        """Return the time of the next call to `advance`, or None."""

    def advance(self, now: float) -> list[Effect]:
        """Process everything that is due by now."""

    def awaits_confirmation(self, request_id: int) -> bool:
        """True if `delivered` must be called for the reply, or for the oldest unconfirmed frame."""

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Record that the reply, or the oldest unconfirmed frame, was written."""

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Handle a client that disconnected, or a failed write."""

    def release_all(self, now: float) -> list[Effect]:
        """Answer every held request."""


class Driver:
    """Drives one engine on the running event loop and its clock. Not thread-safe, like asyncio.

    :raises RuntimeError: if no event loop is running.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._held: dict[int, asyncio.Future[DriverReply]] = {}
        self._conversations: dict[int, WebSocketConversation] = {}
        self._log = LogLimiter(_write)
        self._timer: asyncio.Handle | None = None
        self._wakes_at = 0.0  # kept here because uvloop's handle doesn't return it after that time
        self.closing = asyncio.Event()
        """Set when this driver stops; streams of events end then."""

    def new_request_id(self) -> int:
        """Return a new request id."""
        return next(self._ids)

    async def answer(self, request: Request) -> DriverReply:
        """Process a request and wait for its reply, even if the engine holds it.

        The caller must then call `written` or `hung_up`. If the waiting task is cancelled, the client counts as gone.
        """
        answer = self.begin(request)
        return answer if answer is not None else await self.wait(request.id)

    def begin(self, request: Request) -> DriverReply | None:
        """Process a request; return its reply, or None if the engine holds it: then call `wait`."""
        return self._perform(self.engine.receive(request, self._loop.time()), request.id)

    async def wait(self, request_id: int) -> DriverReply:
        """Wait for the reply to a held request."""
        try:
            return await self.hold(request_id)
        except asyncio.CancelledError:
            self.hung_up(request_id)
            raise

    def hold(self, request_id: int) -> asyncio.Future[DriverReply]:
        """Return the future reply to a held request, for callers without a task that waits."""
        held: asyncio.Future[DriverReply] = self._loop.create_future()
        self._held[request_id] = held
        return held

    def written(self, request_id: int) -> None:
        """Report that the reply, or the oldest unconfirmed frame, was written."""
        if self.engine.awaits_confirmation(request_id):
            self._perform(self.engine.delivered(request_id, self._loop.time()))

    def hung_up(self, request_id: int) -> None:
        """Report that the client is gone, or that the write failed. A waiting task gets `Drop`."""
        self._conversations.pop(request_id, None)
        self._perform(self.engine.gone(request_id, self._loop.time()))
        self._dispatch(request_id, Drop(request_id))

    def open(self, request: Request) -> WebSocketConversation:
        """Open a WebSocket; its first action is `Accept`, or the `Reply` or `Drop` that refuses it."""
        conversation = self._conversations[request.id] = WebSocketConversation(self, request.id)
        self._perform(self.engine.receive(request, self._loop.time()))
        return conversation

    def close(self) -> None:
        """Stop gracefully: answer every held poll, drop all other requests, and stop the timer."""
        self.closing.set()
        self._perform(self.engine.release_all(self._loop.time()))
        for request_id in [*self._held, *self._conversations]:
            self._dispatch(request_id, Drop(request_id, code=1001))
        self._log.flush(self._loop.time())
        self._stop_timer()

    def apply(self, command: Callable[[float], Iterable[Effect]]) -> None:
        """Call a command of the engine with the current time, and perform its effects."""
        self._perform(command(self._loop.time()))

    def _perform(self, effects: Iterable[Effect], current: int = 0) -> DriverReply | None:
        """Perform the effects in order; return the reply to the request `current`, if it is one of them."""
        answer = None
        for effect in effects:
            if isinstance(effect, Log):
                self._log.add(effect, self._loop.time())
            elif effect.request_id == current and isinstance(effect, (Reply, Drop, Forward)):
                answer = effect
            else:
                self._dispatch(effect.request_id, effect)
        self._set_timer()
        return answer

    def _dispatch(self, request_id: int, effect: DriverReply | WebSocketAction) -> None:
        """Pass an effect to the task that waits for it; ignore it if the client is gone."""
        if (conversation := self._conversations.get(request_id)) is not None:
            if isinstance(effect, Forward):
                raise BugError("the engine asked to forward a WebSocket")
            conversation.put(effect)
        elif (held := self._held.get(request_id)) is not None:
            if isinstance(effect, (Accept, Frame)):
                raise BugError(f"the engine answered an HTTP request with {effect}")
            del self._held[request_id]
            if not held.done():
                held.set_result(effect)

    def _set_timer(self) -> None:
        """Set the timer to the deadline of the engine or the log. An earlier timer stays: it sets the next one."""
        deadline, log_deadline = self.engine.deadline(), self._log.deadline
        if log_deadline is not None and (deadline is None or log_deadline < deadline):
            deadline = log_deadline
        if deadline is None or (self._timer is not None and self._wakes_at <= deadline):
            return
        self._stop_timer()
        self._timer, self._wakes_at = self._loop.call_at(deadline, self._wake), deadline

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer, now = None, self._loop.time()
        if self._log.deadline is not None:
            self._log.advance(now)
        self._perform(self.engine.advance(now))


def _write(log: Log) -> None:
    logger.log(logging.getLevelNamesMapping()[log.level.upper()], "%s", masked_text(log.text))


class WebSocketConversation:
    """One WebSocket: returns the actions to perform, and takes received frames and the results of sent ones."""

    def __init__(self, driver: Driver, request_id: int) -> None:
        self.request_id = request_id
        self._driver = driver
        self._actions: asyncio.Queue[WebSocketAction] = asyncio.Queue()

    def put(self, action: WebSocketAction) -> None:
        """Queue the next action."""
        self._actions.put_nowait(action)

    async def next(self) -> WebSocketAction:
        """Wait for the next action. Call `sent` or `ended` after each `Frame`."""
        return await self._actions.get()

    def received(self, text: str) -> None:
        """Process a text frame of the client."""
        driver = self._driver
        driver.apply(lambda now: driver.engine.frame(self.request_id, text, now))

    def sent(self) -> None:
        """Report that the oldest unconfirmed frame was written."""
        self._driver.written(self.request_id)

    async def send_frames(self, send: Callable[[str], Awaitable[None]]) -> int:
        """Send and confirm each frame until the engine closes the connection; return the close code to send."""
        while isinstance(action := await self.next(), Frame):
            await send(action.text)
            self.sent()
        return action.code if isinstance(action, Drop) else NORMAL_CLOSURE

    def ended(self) -> None:
        """Report that the connection is closed; unconfirmed frames count as not delivered."""
        self._driver.hung_up(self.request_id)
