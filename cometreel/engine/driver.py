"""Runs the engine on asyncio: effects become calls of the host, and one timer calls `advance`.

It is the only module of the engine that reads a clock: that of the event loop, or a manual one. It is independent of
Bayeux, scenarios and the host (mitmproxy, the HTTP server, ASGI). A host creates a `Request`, gets the reply at once or
by a callback or a future, and reports afterwards whether it was written.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol, TypeAlias

from cometreel.engine.clock import ManualClock
from cometreel.engine.log_limiter import LogLimiter
from cometreel.errors import BugError
from cometreel.masking import masked_text
from cometreel.wire import Accept, Begin, Chunk, Drop, Effect, End, Forward, Frame, Log, Reply, Request

__all__ = [
    "BINARY_REFUSED",
    "NORMAL_CLOSURE",
    "Driver",
    "DriverReply",
    "Engine",
    "ReplyPart",
    "WebSocketAction",
    "WebSocketConversation",
]

logger = logging.getLogger(__name__)

NORMAL_CLOSURE = 1000  # RFC 6455 §7.4.1
BINARY_REFUSED = (1003, "Bayeux messages are text")
"""Close code (RFC 6455 §7.4.1) and reason for a client that sends a binary message."""

DriverReply: TypeAlias = Reply | Begin | Drop | Forward
"""The result of an HTTP request. After `Begin`, call `Driver.stream` for the parts of the reply."""
ReplyPart: TypeAlias = Chunk | End | Drop
"""The next action of a reply that has begun: send a part, end the reply, or close the connection."""
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
    """Drives one engine on the running event loop. Not thread-safe, like asyncio.

    The engine's time is that of the event loop, or with `manual_clock` that of `clock`, which starts frozen.

    A callback that it is given must not call `begin`, and may call `written` and `hung_up`: the effects of these calls
    are performed after those that are being performed, so that all effects are performed in the engine's order.

    :raises RuntimeError: if no event loop is running.
    """

    def __init__(self, engine: Engine, *, manual_clock: bool = False) -> None:
        self.engine = engine
        self._loop = asyncio.get_running_loop()
        self.clock = ManualClock(self._loop.time) if manual_clock else None
        self.now: Callable[[], float] = self._loop.time if self.clock is None else self.clock.time
        """Returns the engine's time, in seconds."""
        self._ids = itertools.count(1)
        self._held: dict[int, Callable[[DriverReply], None]] = {}
        self._streams: dict[int, Callable[[ReplyPart], None]] = {}
        self._conversations: dict[int, Callable[[WebSocketAction], None]] = {}
        self._effects: deque[Effect] = deque()
        self._performing = False
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
        """Process a request; return its reply, or None if the engine holds it: then call `hold_for`, `hold` or `wait`.

        :raises BugError: if a callback of this driver calls it.
        """
        if self._performing:
            raise BugError("a callback of the driver begins a request; expected `loop.call_soon`")
        effects = self.engine.receive(request, self.now())
        if len(effects) == 1 and not self._effects:  # in most cases the reply, and nothing else is to be performed
            effect = effects[0]
            if isinstance(effect, Reply) and effect.request_id == request.id:
                self._set_timer()
                return effect
        return self._perform(effects, request.id)

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
        self.hold_for(request_id, partial(_resolve, held))
        return held

    def hold_for(self, request_id: int, receive: Callable[[DriverReply], None]) -> None:
        """Call `receive` with the reply to a held request. A held request then costs an entry in a table."""
        self._held[request_id] = receive

    def stream(self, request_id: int, receive: Callable[[ReplyPart], None]) -> None:
        """Call `receive` with each part of a reply that has begun, those that are there already at once.

        Report `written` for each `Chunk`, or `hung_up` once.
        """
        parts = self._streams.get(request_id)
        part: ReplyPart | None = None
        while isinstance(parts, _EarlyParts) and parts.early:
            part = parts.early.popleft()
            receive(part)
        if self._streams.get(request_id) is parts:  # else the client is gone
            if part is None or isinstance(part, Chunk):
                self._streams[request_id] = receive
            else:
                del self._streams[request_id]

    def written(self, request_id: int) -> None:
        """Report that the reply, the oldest unconfirmed part or the oldest unconfirmed frame was written."""
        if self.clock is not None:
            self.clock.written(request_id)
        if self.engine.awaits_confirmation(request_id):
            self._perform(self.engine.delivered(request_id, self.now()))

    def hung_up(self, request_id: int) -> None:
        """Report that the client is gone, or that the write failed. A waiting task gets `Drop`."""
        self.left(request_id)
        self._conversations.pop(request_id, None)
        self._streams.pop(request_id, None)
        held = self._held.pop(request_id, None)
        self._perform(self.engine.gone(request_id, self.now()))
        if held is not None:
            held(Drop(request_id))

    def left(self, request_id: int) -> None:
        """Report that a client has closed its connection after this request, its latest one, was answered."""
        if self.clock is not None:
            self.clock.gone(request_id)

    def open(self, request: Request) -> WebSocketConversation:
        """Open a WebSocket; its first action is `Accept`, or the `Reply` or `Drop` that refuses it."""
        conversation = WebSocketConversation(self, request.id)
        self.open_for(request, conversation.put)
        return conversation

    def open_for(self, request: Request, receive: Callable[[WebSocketAction], None]) -> None:
        """Open a WebSocket, and call `receive` with its actions, in order. Report `written` for each `Frame`."""
        self._conversations[request.id] = receive
        self._perform(self.engine.receive(request, self.now()))

    def frame(self, request_id: int, text: str) -> None:
        """Process a text frame of a WebSocket."""
        self._perform(self.engine.frame(request_id, text, self.now()))

    def close(self) -> None:
        """Stop gracefully: answer every held poll, drop all other requests, and stop the timer."""
        self.closing.set()
        self._perform(self.engine.release_all(self.now()))
        for request_id in [*self._held, *self._streams, *self._conversations]:
            self._dispatch(request_id, Drop(request_id, code=1001))
        self._log.flush(self._loop.time())
        self._stop_timer()

    def advance(self) -> None:
        """Process everything that is due; for a manual clock that was moved or resumed."""
        self._perform(self.engine.advance(self.now()))

    def apply(self, command: Callable[[float], Iterable[Effect]]) -> None:
        """Call a command of the engine with the current time, and perform its effects."""
        self._perform(command(self.now()))

    def _perform(self, effects: Iterable[Effect], current: int = 0) -> DriverReply | None:
        """Perform the effects in order; return the reply to the request `current`, if it is one of them.

        A call by a callback, while effects are being performed, adds its effects to the end of the queue.
        """
        self._effects.extend(effects)
        if self._performing:
            return None
        answer: DriverReply | None = None
        self._performing = True
        try:
            while self._effects:
                effect = self._effects.popleft()
                if isinstance(effect, Log):
                    self._log.add(effect, self._loop.time())
                elif effect.request_id == current and isinstance(effect, (Reply, Begin, Drop, Forward)) and not answer:
                    answer = effect
                    if isinstance(effect, Begin):
                        self._streams[current] = _EarlyParts()
                else:
                    self._dispatch(effect.request_id, effect)
        finally:
            self._performing = False
        self._set_timer()
        return answer

    def _dispatch(self, request_id: int, effect: DriverReply | ReplyPart | WebSocketAction) -> None:
        """Pass an effect to the callback of its request; ignore it if the client is gone."""
        if self.clock is not None and isinstance(effect, (Reply, Chunk, Frame)) and self._has_client(request_id):
            self.clock.handed_over(request_id)
        if (held := self._held.get(request_id)) is not None:
            if isinstance(effect, (Accept, Frame, Chunk, End)):
                raise BugError(f"the engine answered an HTTP request with {effect}")
            del self._held[request_id]
            if isinstance(effect, Begin):
                self._streams[request_id] = _EarlyParts()
            held(effect)
        elif (converse := self._conversations.get(request_id)) is not None:
            if not isinstance(effect, (Accept, Reply, Frame, Drop)):
                raise BugError(f"the engine answered a WebSocket with {effect}")
            converse(effect)
        elif (stream := self._streams.get(request_id)) is not None:
            if not isinstance(effect, (Chunk, End, Drop)):
                raise BugError(f"the engine continued a reply in parts with {effect}")
            if not isinstance(effect, Chunk) and not isinstance(stream, _EarlyParts):
                del self._streams[request_id]
            stream(effect)

    def _has_client(self, request_id: int) -> bool:
        return request_id in self._held or request_id in self._conversations or request_id in self._streams

    def _set_timer(self) -> None:
        """Set the timer to the deadline of the engine or the log. An earlier timer stays: it sets the next one."""
        deadline, log_deadline = self.engine.deadline(), self._log.deadline
        if self.clock is not None:
            self.clock.changed()
            deadline = None if deadline is None else self.clock.real_time(deadline)
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
        self._timer = None
        if self._log.deadline is not None:
            self._log.advance(self._loop.time())
        self.advance()


class _EarlyParts:
    """Keeps the parts of a reply until `Driver.stream` is called."""

    def __init__(self) -> None:
        self.early: deque[ReplyPart] = deque()

    def __call__(self, part: ReplyPart) -> None:
        self.early.append(part)


def _resolve(held: asyncio.Future[DriverReply], reply: DriverReply) -> None:
    if not held.done():
        held.set_result(reply)


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
        self._driver.frame(self.request_id, text)

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
