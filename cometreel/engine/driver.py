"""The driver: does on asyncio what the engine orders. Effects become futures, and one timer wakes the engine.

The only place that looks at a clock. Nothing about Bayeux, scenarios or the host (mitmproxy, ASGI) may enter: a door
makes a `Request`, awaits the answer, and says afterwards whether it could be written.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeAlias

from cometreel.errors import BugError
from cometreel.masking import masked_text
from cometreel.wire import Accept, Drop, Effect, Forward, Frame, Log, Reply, Request

__all__ = ["BINARY_REFUSED", "DriverReply", "WebSocketConversation", "Driver", "Engine"]

logger = logging.getLogger(__name__)

NORMAL_CLOSURE = 1000  # RFC 6455 §7.4.1
BINARY_REFUSED = (1003, "Bayeux messages are text")
"""Close code (RFC 6455 §7.4.1) and reason for a client that sends a binary message."""

DriverReply: TypeAlias = Reply | Drop | Forward
"""What ends an HTTP request."""
WebSocketAction: TypeAlias = Accept | Reply | Frame | Drop
"""What a WebSocket is told, in order: first `Accept` (or a refusal), then frames, then `Drop`."""


class Engine(Protocol):
    """What is driven: `replay.Backend`, or another that speaks the same effects. `now` is in seconds."""

    def receive(self, request: Request, now: float) -> list[Effect]:
        """Take a request, or the upgrade that opens a WebSocket."""

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        """Take a text frame of a WebSocket."""

    def deadline(self) -> float | None:
        """Tell when `advance` wants to be called next."""

    def advance(self, now: float) -> list[Effect]:
        """Do what is due by now."""

    def awaits(self, request_id: int) -> bool:
        """Tell whether it wants to know that the reply, or the oldest unconfirmed frame, was written."""

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        """Note that the reply, or the oldest unconfirmed frame, was written."""

    def gone(self, request_id: int, now: float) -> list[Effect]:
        """Note that the client hung up or that the write failed."""

    def release_all(self, now: float) -> list[Effect]:
        """Answer every held request."""


class Driver:
    """Drive one engine on the running event loop, whose clock is the engine's. Not thread-safe, as asyncio isn't.

    :raises RuntimeError: if no event loop is running.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._held: dict[int, asyncio.Future[DriverReply]] = {}
        self._conversations: dict[int, WebSocketConversation] = {}
        self._timer: asyncio.Handle | None = None
        self._wakes_at = 0.0  # uvloop's handle of a time that is past doesn't know when
        self.closing = asyncio.Event()
        """Set when this driver stops: whoever streams from the engine ends then."""

    def new_request_id(self) -> int:
        """Return a number that no request of this driver had before."""
        return next(self._ids)

    async def answer(self, request: Request) -> DriverReply:
        """Ask the engine and wait for its answer, however long it holds the request.

        The door must then say `written` or `hung_up`. If the waiting task is cancelled, the client counts as gone.
        """
        answer = self.begin(request)
        return answer if answer is not None else await self.wait(request.id)

    def begin(self, request: Request) -> DriverReply | None:
        """Ask the engine; return its answer, or None if it holds the request: then `wait` for it."""
        return self._do(self.engine.receive(request, self._loop.time()), request.id)

    async def wait(self, request_id: int) -> DriverReply:
        """Wait for the answer to a request that is held."""
        try:
            return await self.hold(request_id)
        except asyncio.CancelledError:
            self.hung_up(request_id)
            raise

    def hold(self, request_id: int) -> asyncio.Future[DriverReply]:
        """Return the future answer to a request that is held, for a door that has no task to wait with."""
        held: asyncio.Future[DriverReply] = self._loop.create_future()
        self._held[request_id] = held
        return held

    def written(self, request_id: int) -> None:
        """Tell the engine that the reply, or the oldest unconfirmed frame, was written."""
        if self.engine.awaits(request_id):
            self._do(self.engine.delivered(request_id, self._loop.time()))

    def hung_up(self, request_id: int) -> None:
        """Tell the engine that the client is gone, or that the write failed. Who waits for the answer gets `Drop`."""
        self._conversations.pop(request_id, None)
        self._do(self.engine.gone(request_id, self._loop.time()))
        self._settle(request_id, Drop(request_id))

    def open(self, request: Request) -> WebSocketConversation:
        """Open a WebSocket; its first turn is `Accept`, or the `Reply` or `Drop` that refuses it."""
        conversation = self._conversations[request.id] = WebSocketConversation(self, request.id)
        self._do(self.engine.receive(request, self._loop.time()))
        return conversation

    def close(self) -> None:
        """Stop gracefully: every held poll is answered, what is still held then is dropped, the timer ends."""
        self.closing.set()
        self._do(self.engine.release_all(self._loop.time()))
        for request_id in [*self._held, *self._conversations]:
            self._settle(request_id, Drop(request_id, code=1001))
        self._stop_timer()

    def apply(self, order: Callable[[float], Iterable[Effect]]) -> None:
        """Give the engine an order that the driver doesn't know: it is called with the time, its effects are done."""
        self._do(order(self._loop.time()))

    def _do(self, effects: Iterable[Effect], asking: int = 0) -> DriverReply | None:
        """Do the effects in order; return the answer to the request that is asking, if it is among them."""
        answer = None
        for effect in effects:
            if isinstance(effect, Log):
                logger.log(logging.getLevelNamesMapping()[effect.level.upper()], "%s", masked_text(effect.text))
            elif effect.request_id == asking and isinstance(effect, (Reply, Drop, Forward)):
                answer = effect
            else:
                self._settle(effect.request_id, effect)
        self._set_timer()
        return answer

    def _settle(self, request_id: int, effect: DriverReply | WebSocketAction) -> None:
        """Hand an effect to whoever waits for it; to a client that is already gone there is nobody to hand it to."""
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
        """Wake the engine at its deadline. A timer that would wake it too early is left alone: it sets itself anew."""
        deadline = self.engine.deadline()
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
        self._do(self.engine.advance(self._loop.time()))


class WebSocketConversation:
    """One WebSocket as its door sees it: turns to send come out, frames that came in and what became of ours go in."""

    def __init__(self, driver: Driver, request_id: int) -> None:
        self.request_id = request_id
        self._driver = driver
        self._turns: asyncio.Queue[WebSocketAction] = asyncio.Queue()

    def put(self, turn: WebSocketAction) -> None:
        """Queue what the door is to send next."""
        self._turns.put_nowait(turn)

    async def next(self) -> WebSocketAction:
        """Wait for what is to be sent next. After each `Frame` comes `sent` or `ended`."""
        return await self._turns.get()

    def received(self, text: str) -> None:
        """Give the engine a text frame of the client."""
        driver = self._driver
        driver.apply(lambda now: driver.engine.frame(self.request_id, text, now))

    def sent(self) -> None:
        """Tell that the oldest unconfirmed frame was written."""
        self._driver.written(self.request_id)

    async def send_frames(self, send: Callable[[str], Awaitable[None]]) -> int:
        """Send and confirm each frame until the engine closes the connection; return the close code to send."""
        while isinstance(action := await self.next(), Frame):
            await send(action.text)
            self.sent()
        return action.code if isinstance(action, Drop) else NORMAL_CLOSURE

    def ended(self) -> None:
        """Tell that the connection is over; frames that were not confirmed count as not delivered."""
        self._driver.hung_up(self.request_id)
