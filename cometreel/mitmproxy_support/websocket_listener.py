"""A WebSocket listener on loopback, for a host that can't end a WebSocket itself.

mitmproxy can make an upgrade look accepted, but its layer then has no server behind it: pings and closes fail. So the
addon redirects the upgrade to here, with a ticket that names the request as the client sent it. Whoever comes without
a ticket is refused. Nothing about Bayeux or mitmproxy may enter.
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
    """Listen on a free loopback port from the first `expect` on, and lead each WebSocket to the driver.

    `max_size` is the longest message that a client may send, in bytes.
    """

    def __init__(self, driver: Driver, *, max_size: int = 16 * 1024 * 1024) -> None:
        self._driver, self._max_size = driver, max_size
        self._server: Server | None = None
        self._starting = asyncio.Lock()
        self._expected: dict[str, Request] = {}
        self._accepted: dict[ServerConnection, WebSocketConversation] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def expect(self, request: Request) -> tuple[tuple[str, int], str]:
        """Prepare for one upgrade; return the address to redirect it to, and its ticket.

        :raises OSError: if no port can be opened.
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
        quiet.setLevel(logging.ERROR)  # each open and close is seen in the host's own log already
        return await serve(
            self._converse,
            HOST,
            0,
            select_subprotocol=_first_offered,
            compression=None,
            process_request=self._admit,
            process_response=self._ask,
            server_header=None,
            open_timeout=None,
            ping_interval=None,
            max_size=self._max_size,
            logger=quiet,
        )

    def _admit(self, connection: ServerConnection, upgrade: Upgrade) -> Response | None:
        if upgrade.headers.get(TICKET) in self._expected:
            return None
        return connection.respond(403, "This port serves one proxy only.\n")

    async def _ask(self, connection: ServerConnection, upgrade: Upgrade, response: Response) -> Response | None:
        """Ask the engine, once the upgrade itself is known to be well formed."""
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
            case Reply() as refusal:
                return Response(refusal.status, refusal.reason, Headers(refusal.headers), refusal.body)
            case _:
                connection.transport.abort()
                return None

    def _watch(self, connection: ServerConnection, conversation: WebSocketConversation) -> None:
        """Make sure that the engine hears of the end, whichever way the connection ends."""

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
            pass  # without a closing handshake; `_watch` tells the engine
        finally:
            sending.cancel()


async def _send(connection: ServerConnection, conversation: WebSocketConversation) -> None:
    """Send frames until the engine closes the connection or the client is gone."""
    try:
        code = await conversation.send_frames(connection.send)
    except ConnectionClosed:
        return
    await connection.close(code)


def _first_offered(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Agree to the client's first subprotocol: a browser ends a connection on which none was agreed."""
    return next(iter(offered), None)
