"""mitmproxy addon that answers everything from a scenario: replies, held polls, pushes, WebSockets.

    mitmdump --mode reverse:http://unused -s proxy_addons/replay.py --set reel_scenario=scenarios/login_workload.yaml

Thin: it hands each flow to the engine and tells it what became of the answer. What to answer is decided in
`cometreel.engine`. No server is ever contacted, but by a GET that the scenario doesn't answer, if
`reel_unmatched=forward` says so.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Address, Client, Server
from mitmproxy.net.http import url
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from cometreel.engine.driver import Driver, DriverReply
from cometreel.errors import InputError
from cometreel.http_fields import error_reply
from cometreel.mitmproxy_support.addon_options import refuse
from cometreel.mitmproxy_support.flow_translation import reply_into, request_from
from cometreel.mitmproxy_support.replay_options import OPTIONS, add_options, read_options, unknown_options
from cometreel.mitmproxy_support.replay_run import ReplayRun, start_replay
from cometreel.mitmproxy_support.websocket_listener import TICKET, WebSocketListener
from cometreel.wire import Drop, Reply, Request

BODY_LIMIT = "32m"  # beyond it mitmproxy itself answers 413 and reads no further; below, the engine does
STOP_PATIENCE = 2.0  # seconds that a stop waits until the last answers are written


class Replay:
    """Answer every flow from the scenario."""

    def __init__(self) -> None:
        self._running = False
        self._keep_host_header = False
        self._run: ReplayRun | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._held: defaultdict[str, set[tuple[Driver, int]]] = defaultdict(set)  # by client connection
        self._answered: dict[str, tuple[Driver, int]] = {}  # by flow, until it is known what became of the answer
        self._allowed: defaultdict[str, set[Address | None]] = defaultdict(set)  # servers, by client connection

    def load(self, loader: Loader) -> None:
        """Add the options, and set those of mitmproxy that would let it contact a server before it asks us."""
        add_options(loader)
        self._keep_host_header = ctx.options.keep_host_header
        limit = ctx.options.body_size_limit or BODY_LIMIT
        ctx.options.update(connection_strategy="lazy", keep_host_header=True, body_size_limit=limit)

    def configure(self, updated: set[str]) -> None:
        """Load the scenario and play it from now on; what was played before ends.

        :raises mitmproxy.exceptions.OptionsError: if an option can't be used and mitmproxy is running already.
        """
        if updated.isdisjoint({*OPTIONS, "stream_large_bodies"}):
            return
        try:
            plan = read_options(ctx.options)
        except InputError as error:
            refuse(error, running=self._running)
            return
        self._leave_run()
        self._run = start_replay(plan)

    def running(self) -> None:
        """Report the options that no addon took; only now all are loaded."""
        self._running = True
        for error in unknown_options(ctx.options.deferred):
            refuse(error, running=False)

    def done(self) -> Awaitable[None]:
        """Stop gracefully: held polls are answered, and the answers are written before mitmproxy ends.

        Not `async def`: mitmproxy awaits what this hook returns when it ends, but calls it plainly on a reload.
        """
        return asyncio.ensure_future(self._stop())

    async def request(self, flow: http.HTTPFlow) -> None:
        """Answer a request, however long the engine holds it. Other flows go on meanwhile."""
        if flow.response or flow.error or not flow.live:
            return
        if (run := self._run) is None:
            reply_into(flow, error_reply(0, 503, 6, "cometreel: no scenario is being played"))
            return
        try:
            request = request_from(flow, run.driver.new_request_id())
        except ValueError:
            reply_into(flow, error_reply(0, 400, 6, "cometreel: the body isn't what its Content-Encoding says"))
            return
        if request.websocket:
            await self._redirect(flow, run.door, request)
        else:
            answer = run.driver.begin(request) or await self._hold(flow, run.driver, request.id)
            self._put(flow, answer, run.driver)

    def response(self, flow: http.HTTPFlow) -> None:
        """Look again later: the answer is only about to be written, and the layer may find the client gone."""
        if flow.id in self._answered:
            asyncio.get_running_loop().call_soon(self._look_again, flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """The client was gone before its answer could be written."""
        self._tell(flow, written=False)

    def client_disconnected(self, client: Client) -> None:
        """Tell the engine that a client is gone: the hooks that hold its polls aren't cancelled by that."""
        for driver, request_id in self._held.pop(client.id, ()):
            driver.hung_up(request_id)
        self._allowed.pop(client.id, None)

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Let no connection to a server be opened that this addon didn't ask for, whatever makes mitmproxy try."""
        if data.server.address not in self._allowed.get(data.client.id, ()):
            data.server.error = "a replay contacts no server"

    async def _hold(self, flow: http.HTTPFlow, driver: Driver, request_id: int) -> DriverReply:
        held = self._held[flow.client_conn.id]
        held.add((driver, request_id))
        try:
            return await driver.wait(request_id)
        finally:
            held.discard((driver, request_id))

    def _put(self, flow: http.HTTPFlow, answer: DriverReply, driver: Driver) -> None:
        if isinstance(answer, Reply):
            self._answered[flow.id] = driver, answer.request_id
            reply_into(flow, answer)
        elif isinstance(answer, Drop):
            flow.kill()
        else:
            self._forward(flow)

    def _forward(self, flow: http.HTTPFlow) -> None:
        """Let the request go to its server as mitmproxy would have sent it without this addon."""
        mode = flow.client_conn.proxy_mode
        if isinstance(mode, ReverseMode) and not self._keep_host_header:
            flow.request.host_header = url.hostport(mode.scheme, *mode.address)
        allowed = self._allowed[flow.client_conn.id]
        allowed.add((flow.request.host, flow.request.port))
        if flow.server_conn.via is not None:
            allowed.add(flow.server_conn.via[1])

    async def _redirect(self, flow: http.HTTPFlow, door: WebSocketListener, request: Request) -> None:
        """Lead an upgrade to our own listener: a layer with no server behind it can't answer pings or closes."""
        address, ticket = await door.expect(request)
        flow.request.headers[TICKET] = ticket
        flow.server_conn = Server(address=address)  # also forgets the proxy of upstream mode
        flow.request.scheme, (flow.request.host, flow.request.port) = "http", address
        self._allowed[flow.client_conn.id].add(address)

    def _look_again(self, flow: http.HTTPFlow, delay_seconds: float = 0.0) -> None:
        """Tell the engine what became of an answer, once mitmproxy is done with the flow."""
        if flow.live:  # the layer hasn't gone on yet, or another addon still looks at the response
            again = min(2 * delay_seconds + 0.0005, 0.1)
            asyncio.get_running_loop().call_later(delay_seconds, self._look_again, flow, again)
        else:
            self._tell(flow, written=flow.error is None)

    def _tell(self, flow: http.HTTPFlow, *, written: bool) -> None:
        if (answered := self._answered.pop(flow.id, None)) is not None:
            driver, request_id = answered
            (driver.written if written else driver.hung_up)(request_id)

    def _leave_run(self) -> None:
        if self._run is not None:
            ending = asyncio.ensure_future(self._run.close())
            self._run = None
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _stop(self) -> None:
        self._leave_run()
        end = asyncio.get_running_loop().time() + STOP_PATIENCE
        await _until(lambda: not (self._ending or self._answered or any(self._held.values())), end)
        proxyserver = ctx.master.addons.get("proxyserver")
        if isinstance(proxyserver, Proxyserver):  # asyncio would complain of each connection that is still open
            for handler in list(proxyserver.connections.values()):
                handler.close_connection(handler.client)
            await _until(lambda: not proxyserver.connections, end)


async def _until(finished: Callable[[], bool], end: float) -> None:
    """Wait for what mitmproxy has no hook for, until a time of the loop at the latest."""
    loop = asyncio.get_running_loop()
    while not finished() and loop.time() < end:  # noqa: ASYNC110  # as said: nobody sets an event
        await asyncio.sleep(0.005)


addons = [Replay()]
