"""A server on a background thread of this process, for any ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, NoReturn, ParamSpec, Self, TypeVar

import uvloop
from starlette.types import ASGIApp

from cometreel.engine import Backend
from cometreel.engine.driver import Driver
from cometreel.errors import BugError, CometreelError
from cometreel.os_threads import Empty, SimpleQueue, current_thread, start_thread
from cometreel.serve.app import ReplayApp
from cometreel.serve.http_server import AppFactory, HttpListener, ListenOptions, listen

__all__ = [
    "BackgroundServer",
    "ServerStopped",
    "serve_in_background",
]

A = TypeVar("A", bound=ASGIApp)
P = ParamSpec("P")
T = TypeVar("T")

REPLY_TIMEOUT = 30.0  # seconds until the event loop counts as stuck


class ServerStopped(CometreelError):
    """A method was called after the server had stopped, or in a forked process, which has no server."""


class CalledByServer(CometreelError):
    """A responder tried to close its own server, or to advance its clock."""


@dataclass(frozen=True, slots=True)
class _StartedServer(Generic[A]):
    """The report of the thread when the server listens."""

    app: A
    listener: HttpListener
    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Event
    thread: int


class BackgroundServer(Generic[A]):
    """A server on a background thread, until `stop` or the end of the `with` block.

    It is an operating system thread, even if gevent has patched the process.
    """

    def __init__(self, factory: AppFactory[A], options: ListenOptions) -> None:
        self._reports: SimpleQueue[_StartedServer[A] | BaseException] = SimpleQueue()
        self._ended: SimpleQueue[BaseException | None] = SimpleQueue()
        self._process = os.getpid()
        self._tasks: set[asyncio.Task[object]] = set()  # of `run`
        start_thread(lambda: self._run(factory, options))
        report = self._reports.get()
        if isinstance(report, BaseException):
            raise report
        self._running = report

    @property
    def url(self) -> str:
        """The URL of the server without a trailing slash: `http://127.0.0.1:43211`."""
        return self._running.listener.url

    @property
    def app(self) -> A:
        """The application. It is not thread-safe: use it through `call`."""
        return self._running.app

    @property
    def driver(self: BackgroundServer[ReplayApp]) -> Driver:
        """The driver of the replay; use it through `call`."""
        return self.app.driver

    @property
    def backend(self: BackgroundServer[ReplayApp]) -> Backend:
        """The engine of the replay; use it through `call`."""
        engine = self.app.driver.engine
        if not isinstance(engine, Backend):
            raise BugError(f"the driver has {engine!r}; expected a Backend")
        return engine

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on the server's event loop, and return its result or raise its exception.

        It may be called from any thread, greenlet or coroutine; it blocks the calling thread. On the server's own
        thread the function runs directly.

        :raises ServerStopped: if the server has been stopped.
        """
        if current_thread() == self._running.thread:
            return function(*args, **kwargs)
        results: SimpleQueue[Callable[[], T]] = SimpleQueue()
        self._call_soon(lambda: results.put(_outcome(partial(function, *args, **kwargs))))
        try:
            return results.get(timeout=REPLY_TIMEOUT)()
        except Empty:
            raise ServerStopped(f"the server at {self.url} didn't answer within {REPLY_TIMEOUT:g} s") from None

    def run(self, function: Callable[[], Coroutine[None, None, T]]) -> T:
        """Run a coroutine on the server's event loop, and return its result or raise its exception.

        It may be called from any other thread, and blocks the calling thread for as long as the coroutine takes.

        :raises ServerStopped: if the server has been stopped, or stops meanwhile.
        :raises CalledByServer: on the thread of the server, which can't wait for itself.
        """
        if current_thread() == self._running.thread:
            raise CalledByServer(f"a responder of the server at {self.url} can't wait for it; call this elsewhere")
        results: SimpleQueue[Callable[[], T]] = SimpleQueue()
        self._call_soon(lambda: self._start_task(function, results))
        while True:
            try:
                return results.get(timeout=REPLY_TIMEOUT)()
            except Empty:
                self.call(lambda: None)  # raises an exception if the event loop is stuck

    def _start_task(
        self, function: Callable[[], Coroutine[None, None, T]], results: SimpleQueue[Callable[[], T]]
    ) -> None:
        def report(ended: asyncio.Task[T]) -> None:
            self._tasks.discard(ended)
            if ended.cancelled():
                results.put(partial(_raise, ServerStopped(f"the server at {self.url} has been stopped")))
            else:
                results.put(ended.result)

        task = asyncio.get_running_loop().create_task(function())
        self._tasks.add(task)
        task.add_done_callback(report)

    def stop(self) -> None:
        """Stop gracefully: answer held polls, write pending replies, end the thread.

        A second call waits until the first has ended. In a forked process, which has no thread, nothing happens. An
        exception of the thread is raised here.

        :raises ServerStopped: if the thread does not end.
        :raises CalledByServer: on the thread of the server, which can't wait for itself.
        """
        if os.getpid() != self._process:
            return
        if current_thread() == self._running.thread:
            raise CalledByServer(f"the server at {self.url} can't be closed by its own responder; close it elsewhere")
        with contextlib.suppress(ServerStopped):  # it has ended already; the reason is raised below
            self._call_soon(self._running.stopping.set)
        try:
            failure = self._ended.get(timeout=REPLY_TIMEOUT)
        except Empty:
            raise ServerStopped(f"the server at {self.url} didn't end within {REPLY_TIMEOUT:g} s") from None
        self._ended.put(None)  # for a second call
        if failure is not None:
            raise failure

    def _call_soon(self, callback: Callable[[], object]) -> None:
        if os.getpid() != self._process:
            raise ServerStopped(f"the server at {self.url} runs in another process, which forked this one")
        try:
            self._running.loop.call_soon_threadsafe(callback)
        except RuntimeError:
            raise ServerStopped(f"the server at {self.url} has been stopped") from None

    def _run(self, factory: AppFactory[A], options: ListenOptions) -> None:
        """Run the server; the function of the thread."""
        failure: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve(factory, options))
        except BaseException as error:  # noqa: BLE001  # raised again in the calling thread
            failure = error
            self._reports.put(error)
        self._ended.put(failure)

    async def _serve(self, factory: AppFactory[A], options: ListenOptions) -> None:
        async with listen(factory, options) as (app, listener):
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


def serve_in_background(factory: AppFactory[A], options: ListenOptions | None = None) -> BackgroundServer[A]:
    """Start a server in this process and return when it listens.

        with serve_in_background(replay_app(load(["scenarios/subscribe.yaml"]))) as server:
            httpx.get(server.url + "/api/v2/me")

    `factory` returns an asynchronous context manager for the application, which is entered on the server's event loop:
    `replay_app(…)` for a scenario, or your own for another ASGI application.

    :raises OptionInvalid: if the address is not available.
    """
    return BackgroundServer(factory, options or ListenOptions())


def _outcome(function: Callable[[], T]) -> Callable[[], T]:
    """Call a function; return a function that returns its result or raises its exception."""
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001  # raised again in the calling thread
        return partial(_raise, error)
    return lambda: result


def _raise(error: BaseException) -> NoReturn:
    raise error
