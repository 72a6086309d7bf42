"""A server in this process, on a thread of its own: started in milliseconds, asked from any thread, stopped gracefully.

Serves any ASGI application. Nothing about scenarios may enter but the short ways to a door's driver and engine.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import sys
from _queue import Empty, SimpleQueue  # the C type: gevent replaces only the name in `queue`
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, NoReturn, ParamSpec, Self, TypeVar

import uvloop
from starlette.types import ASGIApp

from cometreel.engine import Backend
from cometreel.engine.driver import Driver
from cometreel.errors import BugError, CometreelError
from cometreel.serve.app import ReplayApp
from cometreel.serve.http_server import AppFactory, HttpListener, ListenOptions, listen

__all__ = [
    "BackgroundServer",
    "Empty",
    "ServerStopped",
    "SimpleQueue",
    "current_thread",
    "serve_in_background",
    "start_thread",
]

A = TypeVar("A", bound=ASGIApp)
P = ParamSpec("P")
T = TypeVar("T")

REPLY_TIMEOUT = 30.0  # seconds until a loop that doesn't answer is taken for stuck


class ServerStopped(CometreelError):
    """A server was asked for something after its end."""


@dataclass(frozen=True, slots=True)
class _StartedServer(Generic[A]):
    """What the thread reports once it listens."""

    app: A
    listener: HttpListener
    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Event
    thread: int


class BackgroundServer(Generic[A]):
    """A server that runs on its own thread, until `stop` or the end of the `with` block.

    The thread is the operating system's own also in a process that gevent has patched.
    """

    def __init__(self, opening: AppFactory[A], listening: ListenOptions) -> None:
        self._reports: SimpleQueue[_StartedServer[A] | BaseException] = SimpleQueue()
        self._ended: SimpleQueue[BaseException | None] = SimpleQueue()
        self._stopped = False
        start_thread(lambda: self._run(opening, listening))
        report = self._reports.get()
        if isinstance(report, BaseException):
            raise report
        self._running = report

    @property
    def url(self) -> str:
        """Where it listens: `http://127.0.0.1:43211`, without a slash at the end."""
        return self._running.listener.url

    @property
    def app(self) -> A:
        """The application. Use `call` for what isn't safe from another thread."""
        return self._running.app

    @property
    def driver(self: BackgroundServer[ReplayApp]) -> Driver:
        """The driver of the replay that is served; use it through `call`."""
        return self.app.driver

    @property
    def backend(self: BackgroundServer[ReplayApp]) -> Backend:
        """The engine of the replay that is served; use it through `call`."""
        engine = self.app.driver.engine
        if not isinstance(engine, Backend):
            raise BugError(f"the door drives {engine!r}, which isn't a replay")
        return engine

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on the server's event loop, and return its result or raise its exception.

        It may be called from any thread, a greenlet or a coroutine of another event loop: the caller's thread waits.
        On the server's own thread the function runs at once.

        :raises ServerStopped: if the server has been stopped.
        """
        if current_thread() == self._running.thread:
            return function(*args, **kwargs)
        outcome: SimpleQueue[Callable[[], T]] = SimpleQueue()
        self._soon(lambda: outcome.put(_tried(partial(function, *args, **kwargs))))
        try:
            return outcome.get(timeout=REPLY_TIMEOUT)()
        except Empty:
            raise ServerStopped(f"the server at {self.url} didn't answer within {REPLY_TIMEOUT:g} s") from None

    def stop(self) -> None:
        """Stop gracefully: held polls are answered, answers are written, the thread ends. Twice does no harm.

        What went wrong on the thread is raised here.

        :raises ServerStopped: if the thread doesn't end.
        """
        if self._stopped:
            return
        self._stopped = True
        with contextlib.suppress(ServerStopped):  # it has ended by itself, and the reason is told below
            self._soon(self._running.stopping.set)
        try:
            failure = self._ended.get(timeout=REPLY_TIMEOUT)
        except Empty:
            raise ServerStopped(f"the server at {self.url} didn't end within {REPLY_TIMEOUT:g} s") from None
        if failure is not None:
            raise failure

    def _soon(self, callback: Callable[[], object]) -> None:
        try:
            self._running.loop.call_soon_threadsafe(callback)
        except RuntimeError:
            raise ServerStopped(f"the server at {self.url} has been stopped") from None

    def _run(self, opening: AppFactory[A], listening: ListenOptions) -> None:
        """Live in the thread."""
        failure: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve(opening, listening))
        except BaseException as error:  # noqa: BLE001  # it is raised again where the server was asked for
            failure = error
            self._reports.put(error)
        self._ended.put(failure)

    async def _serve(self, opening: AppFactory[A], listening: ListenOptions) -> None:
        async with listen(opening, listening) as (app, listener):
            stopping = asyncio.Event()
            running = _StartedServer(app, listener, asyncio.get_running_loop(), stopping, current_thread())
            self._reports.put(running)
            await stopping.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()


def serve_in_background(opening: AppFactory[A], listening: ListenOptions | None = None) -> BackgroundServer[A]:
    """Start a server in this process, and return when it listens.

        with serve_in_thread(playing(load(["scenarios/subscribe.yaml"]))) as served:
            httpx.get(served.url + "/api/v2/me")

    `opening` makes the application on the server's own event loop, as an asynchronous context manager, and ends it:
    `playing(…)` for a scenario, or your own for any other ASGI application.

    :raises OptionInvalid: if the address can't be had.
    """
    return BackgroundServer(opening, listening or ListenOptions())


def _tried(function: Callable[[], T]) -> Callable[[], T]:
    """Call a function; return what returns its result again, or raises its exception."""
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001  # it is raised again in the thread that asked
        return partial(_raise, error)
    return lambda: result


def _raise(error: BaseException) -> NoReturn:
    raise error


def start_thread(function: Callable[[], None]) -> None:
    """Run a function on a new thread of the operating system. The thread doesn't keep the process alive."""
    _original("start_new_thread")(function, ())


def current_thread() -> int:
    """Return the number of the operating system's thread that asks."""
    number: int = _original("get_ident")()
    return number


def _original(name: str) -> Callable[..., int]:
    """Return a function of `_thread` as Python has it."""
    monkey = sys.modules.get("gevent.monkey")
    function: Callable[..., int] = getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)
    return function
