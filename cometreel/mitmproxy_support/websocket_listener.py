"""A WebSocket server on loopback for the replay addon.

mitmproxy can't terminate a WebSocket without a server: pings and closes would fail. The addon redirects upgrades to
this server, with a one-time ticket in a header field that identifies the original request. Other upgrades are
rejected.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Upgrade
from websockets.http11 import Response
from websockets.typing import Subprotocol

from cometreel.engine.driver import BINARY_REFUSED, Driver, WebSocketConversation
from cometreel.wire import Accept, Reply, Request

__all__ = ["TICKET", "WebSocketListener"]

TICKET = "X-Cometreel-Ticket"
"""The header field that carries the ticket."""

HOST = "127.0.0.1"


class WebSocketListener:
    """Listens on a free loopback port from the first `expect` on and connects each WebSocket to the driver.

    `max_size` is the maximum size of a message of a client, in bytes.
    """

    def __init__(self, driver: Driver, *, max_size: int = 16 * 1024 * 1024) -> None:
        self._driver, self._max_size = driver, max_size
        self._server: Server | None = None
        self._starting = asyncio.Lock()
        self._expected: dict[str, Request] = {}
        self._accepted: dict[ServerConnection, WebSocketConversation] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def expect(self, request: Request) -> tuple[tuple[str, int], str]:
        """Register an upgrade; return the address to redirect it to, and its ticket.

        :raises OSError: if no port is available.
        """
        async with self._starting:
            if self._server is None:
                self._server = await self._listen()
        ticket = secrets.token_urlsafe()
        self._expected[ticket] = request
        return (HOST, self._server.sockets[0].getsockname()[1]), ticket

    async def close(self) -> None:
        """Close every WebSocket (1001, going away) and the listener."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _listen(self) -> Server:
        quiet = logging.getLogger(f"{__name__}.protocol")
        quiet.setLevel(logging.ERROR)  # mitmproxy logs each WebSocket already
        return await serve(
            self._converse,
            HOST,
            0,
            select_subprotocol=_first_offered,
            compression=None,
            process_request=self._check_ticket,
            process_response=self._accept,
            server_header=None,
            open_timeout=None,
            ping_interval=None,
            max_size=self._max_size,
            logger=quiet,
        )

    def _check_ticket(self, connection: ServerConnection, upgrade: Upgrade) -> Response | None:
        if upgrade.headers.get(TICKET) in self._expected:
            return None
        return connection.respond(403, "This port serves one proxy only.\n")

    async def _accept(self, connection: ServerConnection, upgrade: Upgrade, response: Response) -> Response | None:
        """Pass a valid upgrade to the engine."""
        request = self._expected.pop(upgrade.headers.get(TICKET, ""), None)
        if request is None or response.status_code != 101:
            return None
        conversation = self._driver.open(request)
        self._watch(connection, conversation)
        match await conversation.next():
            case Accept(headers=headers):
                for name, value in headers:
                    response.headers[name] = value
                self._accepted[connection] = conversation
                return None
            case Reply() as rejection:
                return Response(rejection.status, rejection.reason, Headers(rejection.headers), rejection.body)
            case _:
                connection.transport.abort()
                return None

    def _watch(self, connection: ServerConnection, conversation: WebSocketConversation) -> None:
        """Report the end of the connection to the engine."""

        async def until_closed() -> None:
            await connection.wait_closed()
            self._accepted.pop(connection, None)
            conversation.ended()

        watch = asyncio.create_task(until_closed())
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _converse(self, connection: ServerConnection) -> None:
        conversation = self._accepted[connection]
        sending = asyncio.create_task(_send(connection, conversation))
        try:
            async for message in connection:
                if isinstance(message, bytes):
                    await connection.close(*BINARY_REFUSED)
                else:
                    conversation.received(message)
        except ConnectionClosed:
            pass  # no closing handshake; `_watch` reports the end
        finally:
            sending.cancel()


async def _send(connection: ServerConnection, conversation: WebSocketConversation) -> None:
    """Send messages of the engine until it closes the connection or the client disconnects."""
    try:
        code = await conversation.send_frames(connection.send)
    except ConnectionClosed:
        return
    await connection.close(code)


def _first_offered(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Accept the first subprotocol: a browser closes the connection if it offered some and none is accepted."""
    return next(iter(offered), None)
