"""The HTTP server: listens, checks the time limits of connections, and stops."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias, TypeVar

from starlette.types import ASGIApp

from cometreel.errors import OptionInvalid
from cometreel.serve.certificate import Certificate, ssl_context
from cometreel.serve.server_connections import HttpConnection
from cometreel.serve.server_context import Limits, OpenConnection, ServerContext

__all__ = [
    "RESERVED_FILES",
    "AppFactory",
    "HttpListener",
    "Limits",
    "ListenOptions",
    "bind_socket",
    "connections_allowed",
    "listen",
    "raise_open_files_limit",
]

A = TypeVar("A", bound=ASGIApp)

AppFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[A]]
"""Creates an application on the event loop of the server, and closes it when the server stops."""

CHECK_INTERVAL = 1.0  # seconds between two checks of all connections
CHECKED_AT_ONCE = 2000  # connections; then requests are answered before the check goes on
BACKLOG = 2048
HIGHEST_PORT = 65535
STOP_TIMEOUT = 2.0  # seconds until a stop closes connections with unwritten responses
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # only compared


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Address, port, TLS certificate and limits of a server. Port 0 is any free port."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Certificate | None = None
    limits: Limits = field(default_factory=lambda: Limits(connections_allowed()))


class HttpListener:
    """A listening socket and its connections. Not thread-safe."""

    def __init__(self, options: ListenOptions) -> None:
        self._options = options
        self._context: ServerContext | None = None
        self._server: asyncio.Server | None = None
        self._timer: asyncio.Handle | None = None
        self.url = ""
        """The URL after `open`, without a trailing slash."""

    async def open(self, app: ASGIApp) -> None:
        """Listen on the running event loop.

        :raises OptionInvalid: if the address is not available.
        """
        loop, options = asyncio.get_running_loop(), self._options
        _check_port(options.port)
        secure = ssl_context(options.certificate) if options.certificate else None
        context = self._context = ServerContext(app, options.limits, loop, secure=secure is not None)
        try:
            self._server = await loop.create_server(
                lambda: HttpConnection(context), options.host, options.port, ssl=secure, backlog=BACKLOG
            )
        except OSError as error:
            raise _cannot_listen(options, error) from None
        self.url = _url("https" if secure else "http", options.host, self._server.sockets[0])
        self._timer = loop.call_later(CHECK_INTERVAL, self._check_deadlines)

    def _check_deadlines(self, unchecked: Iterator[OpenConnection] | None = None) -> None:
        """Close the connections whose deadline has passed. One timer for all: one each would cost time per request."""
        assert self._context is not None
        loop, now = self._context.loop, self._context.loop.time()
        if unchecked is None:
            unchecked = iter([*self._context.connections])
        batch = [*islice(unchecked, CHECKED_AT_ONCE)]
        for connection in batch:
            if now > connection.read_deadline or now > connection.write_deadline:
                connection.expire(now)
        if len(batch) == CHECKED_AT_ONCE:
            self._timer = loop.call_soon(self._check_deadlines, unchecked)
        else:
            self._timer = loop.call_later(CHECK_INTERVAL, self._check_deadlines)

    def stop_accepting(self) -> None:
        """Accept no more connections; open ones close after their next answer."""
        if self._server is not None:
            self._server.close()
        if self._context is not None:
            self._context.is_stopping = True

    async def finish(self) -> None:
        """Wait a short time until pending responses are written, then close all connections."""
        if self._timer is not None:
            self._timer.cancel()
        context = self._context
        if context is None or self._server is None:
            return
        for connection in [*context.connections]:
            connection.stop()
        end = context.loop.time() + STOP_TIMEOUT
        while context.connections and context.loop.time() < end:  # noqa: ASYNC110  # an event would cost time per connection
            await asyncio.sleep(0.005)
        for connection in [*context.connections]:
            connection.abort()
        await self._server.wait_closed()


@asynccontextmanager
async def listen(factory: AppFactory[A], options: ListenOptions) -> AsyncIterator[tuple[A, HttpListener]]:
    """Create the application and listen; at the end stop accepting, close the application, then the connections."""
    listener = HttpListener(options)
    try:
        async with factory() as app:
            await listener.open(app)
            try:
                yield app, listener
            finally:
                listener.stop_accepting()
    finally:
        await listener.finish()


@contextmanager
def bind_socket(options: ListenOptions) -> Iterator[tuple[socket.socket, str]]:
    """Bind a socket for another process, and yield it with its URL.

    :raises OptionInvalid: if the address is not available.
    """
    _check_port(options.port)
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise _cannot_listen(options, error) from None
    with listener:
        yield listener, _url("https" if options.certificate else "http", options.host, listener)


def _check_port(port: int) -> None:
    """Refuse a port above 65,535, which libuv would take modulo 65,536."""
    if not 0 <= port <= HIGHEST_PORT:
        raise OptionInvalid("port", str(port), f"a number from 0 to {HIGHEST_PORT}")


def _url(scheme: str, host: str, listener: socket.socket) -> str:
    """Return the URL for clients on this machine."""
    address, port = listener.getsockname()[:2]
    name = host if host == "localhost" else WILDCARDS.get(address, address)
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


def _cannot_listen(options: ListenOptions, error: OSError) -> OptionInvalid:
    """Return the error for an address that is not available: its host or its port, and the reason."""
    if error.errno == errno.EADDRINUSE:
        found = f"{options.port} on {options.host} is used by another program"
        return OptionInvalid("port", found, "a free port", "0 selects one")
    if error.errno == errno.EACCES:
        return OptionInvalid(
            "port", f"{options.port} may not be opened by this user", "a port from 1024 on, or 0 for any"
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return OptionInvalid(
            "host", f"{options.host!r} is not an address of this machine", "127.0.0.1, 0.0.0.0 or the like"
        )
    return OptionInvalid("host", f"can't listen on {options.host}: {error.strerror or error}", "another address")


RESERVED_FILES = 64  # open files that are not connections: listeners, logs, the scenario
UNLIMITED = 1_000_000


def raise_open_files_limit() -> None:
    """Raise the soft limit of open files to the hard limit. It affects the whole process: for programs only."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_allowed() -> int:
    """Return the number of connections that this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else max(1, soft - RESERVED_FILES)
