"""Answers mitmproxy flows with the engine, and reports to the engine if each reply could be written."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from mitmproxy import http
from mitmproxy.connection import Address, Client, Server
from mitmproxy.net.http import url
from mitmproxy.proxy.mode_specs import ReverseMode

from cometreel.engine.driver import Driver, DriverReply, ReplyPart
from cometreel.http_fields import error_reply
from cometreel.mitmproxy_support.flow_translation import reply_into, request_from
from cometreel.mitmproxy_support.replay_run import ReplayRun
from cometreel.mitmproxy_support.websocket_listener import TICKET, WebSocketListener
from cometreel.wire import Begin, Chunk, Drop, End, Reply, Request

__all__ = ["FlowReplayer"]


class FlowReplayer:
    """Answers flows from one run after another. Requests of an ended run are still answered by it."""

    def __init__(self) -> None:
        self.keep_host_header = False
        """The user's value of mitmproxy's option, for forwarded requests."""
        self._held: defaultdict[str, set[_HeldRequest]] = defaultdict(set)  # by client connection
        self._unconfirmed: dict[str, tuple[Driver, int, int]] = {}  # by flow, until the reply is written or failed
        self._allowed: defaultdict[str, set[Address | None]] = defaultdict(set)  # servers, by client connection

    @property
    def is_idle(self) -> bool:
        """True if no request is held and all replies are written."""
        return not (self._unconfirmed or any(self._held.values()))

    async def answer(self, flow: http.HTTPFlow, run: ReplayRun | None) -> None:
        """Set the response of a flow, or redirect or forward its request."""
        if run is None:
            reply_into(flow, error_reply(0, 503, 6, "cometreel: no scenario is being replayed"))
            return
        try:
            request = request_from(flow, run.driver.new_request_id())
        except ValueError:
            reply_into(flow, error_reply(0, 400, 6, "cometreel: the body can't be decoded as its Content-Encoding"))
            return
        if request.websocket:
            await self._redirect(flow, run.listener, request)
        elif run.cors is not None and (preflight := run.cors.preflight(request)) is not None:
            reply_into(flow, preflight)
        else:
            reply, parts = run.driver.begin(request), 1
            if reply is None or isinstance(reply, Begin):
                reply, parts = await self._complete(flow, _HeldRequest(run.driver, request.id), reply)
            if run.cors is not None and isinstance(reply, Reply):
                reply = run.cors.reply(request.headers, reply)
            self._apply(flow, reply, run.driver, parts)

    def response(self, flow: http.HTTPFlow) -> None:
        """Check later if the reply was written: at this hook, mitmproxy has not sent it yet."""
        if flow.id in self._unconfirmed:
            asyncio.get_running_loop().call_soon(self._check_written, flow)

    def failed(self, flow: http.HTTPFlow) -> None:
        """Report that the client disconnected before its reply was written."""
        self._confirm(flow, written=False)

    def client_disconnected(self, client: Client) -> None:
        """Report the end of a client connection; mitmproxy doesn't cancel the hooks of its held requests."""
        for held in self._held.pop(client.id, ()):
            held.disconnected()
        self._allowed.pop(client.id, None)

    def is_allowed(self, client: Client, server: Address | None) -> bool:
        """Return True if a client may be connected to a server."""
        return server in self._allowed.get(client.id, ())

    async def _complete(self, flow: http.HTTPFlow, held: _HeldRequest, begun: Begin | None) -> tuple[DriverReply, int]:
        """Wait for the reply to a request, and for all parts of it; return it with the number of its parts."""
        requests = self._held[flow.client_conn.id]
        requests.add(held)
        try:
            reply = begun or await held.driver.wait(held.request_id)
            return await held.collect(reply) if isinstance(reply, Begin) else (reply, 1)
        finally:
            requests.discard(held)

    def _apply(self, flow: http.HTTPFlow, reply: DriverReply, driver: Driver, parts: int) -> None:
        if isinstance(reply, Reply):
            self._unconfirmed[flow.id] = driver, reply.request_id, parts
            reply_into(flow, reply)
        elif isinstance(reply, Drop):
            flow.kill()
        else:
            self._forward(flow)

    def _forward(self, flow: http.HTTPFlow) -> None:
        """Let mitmproxy send the request to its server, as without the addon."""
        mode = flow.client_conn.proxy_mode
        if isinstance(mode, ReverseMode) and not self.keep_host_header:
            flow.request.host_header = url.hostport(mode.scheme, *mode.address)
        allowed = self._allowed[flow.client_conn.id]
        allowed.add((flow.request.host, flow.request.port))
        if flow.server_conn.via is not None:
            allowed.add(flow.server_conn.via[1])

    async def _redirect(self, flow: http.HTTPFlow, listener: WebSocketListener, request: Request) -> None:
        """Redirect an upgrade to the WebSocket listener."""
        address, ticket = await listener.expect(request)
        flow.request.headers[TICKET] = ticket
        flow.server_conn = Server(address=address)  # without the proxy of upstream mode
        flow.request.scheme, (flow.request.host, flow.request.port) = "http", address
        self._allowed[flow.client_conn.id].add(address)

    def _check_written(self, flow: http.HTTPFlow, delay_seconds: float = 0.0) -> None:
        """Report if a reply was written, once mitmproxy has finished the flow."""
        if flow.live:  # mitmproxy or another addon still uses the response
            next_delay = min(2 * delay_seconds + 0.0005, 0.1)
            asyncio.get_running_loop().call_later(delay_seconds, self._check_written, flow, next_delay)
        else:
            self._confirm(flow, written=flow.error is None)

    def _confirm(self, flow: http.HTTPFlow, *, written: bool) -> None:
        if (unconfirmed := self._unconfirmed.pop(flow.id, None)) is not None:
            driver, request_id, parts = unconfirmed
            if not written:
                driver.hung_up(request_id)
                return
            for _ in range(parts):
                driver.written(request_id)


class _HeldRequest:
    """A request whose reply is not complete. mitmproxy can't send a body in parts, so they are collected here."""

    def __init__(self, driver: Driver, request_id: int) -> None:
        self.driver, self.request_id = driver, request_id
        self._parts: list[bytes] = []
        self._end: asyncio.Future[End | Drop | None] = asyncio.get_running_loop().create_future()  # None: disconnected

    def disconnected(self) -> None:
        """Report that the client is gone, and wait for no more parts."""
        self.driver.hung_up(self.request_id)
        if not self._end.done():
            self._end.set_result(None)

    async def collect(self, begin: Begin) -> tuple[Reply | Drop, int]:
        """Wait for the end of a reply; return it as one, or `Drop`, and the number of its parts."""
        if not self._end.done():
            self.driver.stream(self.request_id, self._add)
        end = await self._end
        if isinstance(end, End):
            return Reply(self.request_id, begin.status, begin.headers, b"".join(self._parts)), len(self._parts)
        if end is not None:
            self.driver.hung_up(self.request_id)  # the client got none of the parts
        return Drop(self.request_id), 1

    def _add(self, part: ReplyPart) -> None:
        if isinstance(part, Chunk):
            self._parts.append(part.data)
        else:
            self._end.set_result(part)
