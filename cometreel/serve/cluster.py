"""Several nodes behind HAProxy: one process each, started, monitored and stopped together."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cometreel.engine.bayeux_application import bayeux_settings
from cometreel.errors import CometreelError, OptionInvalid
from cometreel.programs import find_program
from cometreel.scenario import CompiledScenario
from cometreel.serve.certificate import Certificate, ssl_context
from cometreel.serve.exit_with_parent import exit_with_parent
from cometreel.serve.http_server import ListenOptions, bind_socket

__all__ = ["ClusterPlan", "NodeFailed", "haproxy_config", "node_warnings", "serve_nodes"]

logger = logging.getLogger(__name__)

PROCESS_TIMEOUT = 30.0  # seconds for a process to start or to end


class NodeFailed(CometreelError):
    """A node or HAProxy did not start, HAProxy ended, or all nodes ended."""


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """The scenario, the number of nodes and the address. `arguments` are command line arguments for every node."""

    scenario: CompiledScenario
    arguments: Sequence[str]
    count: int
    listening: ListenOptions

    def __post_init__(self) -> None:
        if self.count < 1:
            raise OptionInvalid("nodes", str(self.count), "1 or more")
        if self.scenario.session.cookie is None:
            raise OptionInvalid(
                "nodes", "the scenario has no session cookie to route by", "`session: {cookie: JSESSIONID}`"
            )
        if find_program("haproxy") is None:
            raise OptionInvalid("nodes", "haproxy is not installed", "Debian's package", "apt-get install haproxy")


def serve_nodes(plan: ClusterPlan, announce: Callable[[str], None]) -> None:
    """Serve from several processes until SIGINT or SIGTERM, then stop all gracefully. `announce` gets the URL.

    HAProxy terminates TLS; the nodes use plain HTTP on the loopback interface.

    :raises OptionInvalid: if the address or the certificate is invalid.
    :raises NodeFailed: if a process does not start, or all nodes end.
    """
    if plan.listening.certificate is not None:
        ssl_context(plan.listening.certificate)  # its errors are clearer than HAProxy's
    for warning in node_warnings(plan.scenario):
        logger.warning("%s", warning)
    asyncio.run(_serve(plan, announce))


def node_warnings(scenario: CompiledScenario) -> Iterator[str]:
    """Yield a warning for each exchange and timeline entry whose notifications are for sessions of other nodes too."""
    for exchange in scenario.exchanges:
        for receivers in dict.fromkeys(event.deliver for event in exchange.events if event.deliver != "asker"):
            yield _node_warning(f"{exchange.position}: {exchange.name!r}", receivers)
    for entry in scenario.timeline:
        if entry.event.deliver != "asker":
            yield _node_warning(f"{entry.position}: the timeline entry", entry.event.deliver)


def _node_warning(cause: str, receivers: str) -> str:
    return f"{cause} has deliver: {receivers}; with --nodes it reaches the sessions of the same node only"


async def _serve(plan: ClusterPlan, announce: Callable[[str], None]) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    with bind_socket(plan.listening) as (listener, url):
        async with AsyncExitStack() as stack:
            nodes = {f"node{number}": await _start_node(plan, number, stack) for number in range(1, plan.count + 1)}
            addresses = {name: await _address(name, node) for name, node in nodes.items()}
            balancer = await stack.enter_async_context(_balancing(plan, listener, addresses))
            for name, node in nodes.items():
                logger.info("%s is process %d at %s.", name, node.pid, addresses[name])
            announce(url)
            await _watch(nodes, balancer, stopping)
            await asyncio.gather(
                *(_stop(node) for node in nodes.values())
            )  # while HAProxy still forwards their responses


async def _start_node(plan: ClusterPlan, number: int, stack: AsyncExitStack) -> Process:
    command = exit_with_parent([sys.executable, "-m", "cometreel", "serve", f"--node=node{number}", *plan.arguments])
    node = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True)
    stack.push_async_callback(_stop, node)
    return node


async def _address(name: str, node: Process) -> str:
    assert node.stdout is not None
    try:
        line = await asyncio.wait_for(node.stdout.readline(), PROCESS_TIMEOUT)
    except TimeoutError:
        line = b""
    if not line:
        raise NodeFailed(f"{name} (process {node.pid}) did not start")
    return line.decode().strip().removeprefix("http://")


@asynccontextmanager
async def _balancing(plan: ClusterPlan, listener: socket.socket, nodes: Mapping[str, str]) -> AsyncIterator[Process]:
    """Run HAProxy on a socket that is already bound, so that no other program can take the port."""
    cookie, longest = plan.scenario.session.cookie, bayeux_settings(plan.scenario.bayeux).timeout
    haproxy = find_program("haproxy")
    assert cookie is not None
    assert haproxy is not None
    with tempfile.TemporaryDirectory(prefix="cometreel-") as name:
        folder, bind = Path(name), f"fd@{listener.fileno()}"
        if plan.listening.certificate is not None:
            bind += f" ssl crt {_link_certificate(plan.listening.certificate, folder)} alpn http/1.1"
        (folder / "haproxy.cfg").write_text(haproxy_config(bind, nodes, cookie, round(longest)))
        command = exit_with_parent([haproxy, "-db", "-q", "-f", "haproxy.cfg"])
        balancer = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, pass_fds=[listener.fileno()], start_new_session=True, cwd=folder
        )
        try:
            await _wait_until_listening(listener, balancer)
            yield balancer
        finally:
            await _stop(balancer)


def _link_certificate(certificate: Certificate, folder: Path) -> str:
    """Link a certificate and its key into the folder of HAProxy, and return the file name.

    HAProxy expects the key next to the certificate, with the suffix `.key` (`ssl-load-extra-files`). They are linked
    because a copy of the key could be left behind.
    """
    (folder / "certificate.pem").symlink_to(certificate.chain.resolve())
    if certificate.key is not None:
        (folder / "certificate.pem.key").symlink_to(certificate.key.resolve())
    return "certificate.pem"


async def _wait_until_listening(listener: socket.socket, balancer: Process) -> None:
    """Wait until HAProxy accepts connections."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PROCESS_TIMEOUT
    while balancer.returncode is None and loop.time() < end:
        try:
            _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise NodeFailed(f"haproxy (process {balancer.pid}) did not start; see its messages above")


async def _watch(nodes: Mapping[str, Process], balancer: Process, stopping: asyncio.Event) -> None:
    """Return when the cluster is to stop; log each node that ends before."""
    stop = asyncio.ensure_future(stopping.wait())
    balancing = asyncio.ensure_future(balancer.wait())
    alive = {asyncio.ensure_future(node.wait()): name for name, node in nodes.items()}
    try:
        while alive:
            ended, _ = await asyncio.wait([stop, balancing, *alive], return_when=asyncio.FIRST_COMPLETED)
            if stop in ended:
                return
            if balancing in ended:
                raise NodeFailed(f"haproxy (process {balancer.pid}) ended with code {balancer.returncode}")
            for gone in [each for each in alive if each in ended]:
                name = alive.pop(gone)
                logger.warning(
                    "%s ended with code %s: its clients start new sessions on the other nodes.", name, gone.result()
                )
        raise NodeFailed("all nodes have ended")
    finally:
        for waiting in (stop, balancing, *alive):
            waiting.cancel()


async def _stop(process: Process) -> None:
    """Terminate a process and wait for its end."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), PROCESS_TIMEOUT)
    except TimeoutError:
        process.kill()
        await process.wait()


def haproxy_config(bind: str, nodes: Mapping[str, str], cookie: str, longest_poll_seconds: int) -> str:
    """Return the configuration of HAProxy.

    `bind` is the address of HAProxy (`:8080`, or `:8443 ssl crt FILE`), `nodes` are addresses (`10.0.0.11:8080`) by
    node name, `cookie` is the name of the session cookie; its value ends with a dot and the name of the node that set
    it. The timeouts are longer than a held poll.
    """
    timeout = longest_poll_seconds + 30
    routes = "\n".join(f"    use-server {name} if {{ var(txn.node) -m str {name} }}" for name in nodes)
    servers = "\n".join(
        f"    server {name} {address} check inter 500ms fall 2 rise 1" for name, address in nodes.items()
    )
    return f"""\
defaults
    mode http
    timeout connect 5s
    timeout client {timeout}s
    timeout server {timeout}s
    timeout tunnel 1h
    # if a node is down, send its clients to another one, which asks them for a new handshake
    retries 3
    option redispatch 1

frontend clients
    bind {bind}
    # each node has its own admin API for local clients; requests that HAProxy forwards are not local
    http-request deny if {{ path,url_dec -m beg /__reel__ }}
    # URLs in replies start with the scheme that the client used
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    # faults count the requests of clients without cookies by address
    option forwardfor
    default_backend replay

backend replay
    balance roundrobin
    # send a session to the node that created it; new sessions, and those of a node that is down, to any node
    http-request set-var(txn.node) req.cook({cookie}),field(-1,.)
{routes}
{servers}
"""
