"""mitmproxy addon that answers requests from a scenario: replies, held polls, notifications and WebSockets.

    mitmdump --mode reverse:http://unused -s proxy_addons/replay.py --set reel_scenario=scenarios/login_workload.yaml

No server is contacted, except for unmatched GET requests with `reel_unmatched=forward`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from cometreel.errors import InputError
from cometreel.mitmproxy_support.addon_options import refuse
from cometreel.mitmproxy_support.flow_replayer import FlowReplayer
from cometreel.mitmproxy_support.replay_options import OPTIONS, add_options, read_options, unknown_options
from cometreel.mitmproxy_support.replay_run import ReplayRun, start_replay

__all__ = ["Replay", "addons"]

BODY_LIMIT = "32m"  # mitmproxy replies 413 to larger bodies; the engine checks smaller ones
STOP_TIMEOUT = 2.0  # seconds to wait until the last replies are written


class Replay:
    """Answers every flow from the scenario."""

    def __init__(self) -> None:
        self._running = False
        self._run: ReplayRun | None = None
        self._flows = FlowReplayer()
        self._ending: set[asyncio.Task[None]] = set()

    def load(self, loader: Loader) -> None:
        """Add the options, and set options of mitmproxy so that it contacts no server before the addon is called."""
        add_options(loader)
        self._flows.keep_host_header = ctx.options.keep_host_header
        limit = ctx.options.body_size_limit or BODY_LIMIT
        ctx.options.update(connection_strategy="lazy", keep_host_header=True, body_size_limit=limit)

    def configure(self, updated: set[str]) -> None:
        """Load the scenario and replay it; the previous replay ends.

        :raises mitmproxy.exceptions.OptionsError: if an option is invalid and mitmproxy is running.
        """
        if updated.isdisjoint({*OPTIONS, "stream_large_bodies"}):
            return
        try:
            plan = read_options(ctx.options)
        except InputError as error:
            refuse(error, running=self._running)
            return
        self._end_run()
        self._run = start_replay(plan)

    def running(self) -> None:
        """Report unknown options, now that all addons are loaded."""
        self._running = True
        for error in unknown_options(ctx.options.deferred):
            refuse(error, running=False)

    def done(self) -> Awaitable[None]:
        """Answer held polls, and wait until the replies are written.

        Not `async def`: mitmproxy awaits the result of this hook at its end, but not when it reloads the addon.
        """
        return asyncio.ensure_future(self._stop())

    async def request(self, flow: http.HTTPFlow) -> None:
        """Answer a request, after the time for which the engine holds it."""
        if not flow.response and not flow.error and flow.live:
            await self._flows.answer(flow, self._run)

    def response(self, flow: http.HTTPFlow) -> None:
        """Report to the engine when the reply is written."""
        self._flows.response(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Report to the engine that the reply could not be written."""
        self._flows.failed(flow)

    def client_disconnected(self, client: Client) -> None:
        """Report to the engine that a client disconnected."""
        self._flows.client_disconnected(client)

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Prevent connections to servers that no request was forwarded to."""
        if not self._flows.is_allowed(data.client, data.server.address):
            data.server.error = "a replay contacts no server"

    def _end_run(self) -> None:
        if self._run is not None:
            ending = asyncio.ensure_future(self._run.close())
            self._run = None
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _stop(self) -> None:
        self._end_run()
        end = asyncio.get_running_loop().time() + STOP_TIMEOUT
        await _wait_until(lambda: not self._ending and self._flows.is_idle, end)
        proxyserver = ctx.master.addons.get("proxyserver")
        if isinstance(proxyserver, Proxyserver):  # asyncio warns about connections that are still open
            for handler in list(proxyserver.connections.values()):
                handler.close_connection(handler.client)
            await _wait_until(lambda: not proxyserver.connections, end)


async def _wait_until(condition: Callable[[], bool], end: float) -> None:
    """Wait for a condition without a hook in mitmproxy, at most until `end` in the time of the event loop."""
    loop = asyncio.get_running_loop()
    while not condition() and loop.time() < end:  # noqa: ASYNC110  # no event is set
        await asyncio.sleep(0.005)


addons = [Replay()]
