"""Several nodes behind a real HAProxy: sessions stay on their node; if it is killed, clients repeat the handshake."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect as connect_async

from cometreel import programs
from cometreel.errors import OptionInvalid
from cometreel.scenario import CompiledScenario, loads
from cometreel.serve import ListenOptions
from cometreel.serve.certificate import local_certificate
from cometreel.serve.cluster import ClusterPlan, haproxy_config, node_warnings
from demo import peers
from demo.processes import Process
from tests.serve.conftest import ASKED, SCENARIO, until

COMETREEL = Path(sys.executable).with_name("cometreel")


ADDRESS = """\
  - name: where to go on
    request: {method: GET, path: /api/v2/address}
    reply: {body: {uri: "http://gws.example/api/v2/page"}}
  - name: moved
    request: {method: GET, path: /api/v2/old}
    reply: {status: 302, headers: {Location: {$t: "{{ request.base }}/api/v2/page"}}}
"""


class RunningCluster:
    """`cometreel serve --nodes` in a process, and the ids of the processes that it has started."""

    def __init__(self, folder: Path, count: int, *arguments: str | Path) -> None:
        scenario = folder / "scenario.yaml"
        scenario.write_text(SCENARIO + ADDRESS)
        self.process = Process("serve", [COMETREEL, "serve", scenario, "--nodes", str(count), *arguments], folder)
        self.url = self.process.await_line(r"^(https?://\S+)$")[1]
        found = re.findall(r"(node\d+) is process (\d+) at", self.process.err.read_text())
        self.pids = {name: int(pid) for name, pid in found}

    @property
    def started(self) -> set[int]:
        """Return all descendant processes: nodes, HAProxy, and their watchers."""
        return set(_below(self.process._popen.pid))


def _below(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from _below(int(child))


def _runs(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RunningCluster]:
    """Two nodes behind HAProxy."""
    found = RunningCluster(tmp_path, 2)
    with found.process:
        yield found


def test_a_session_stays_on_the_node_that_opened_it_and_new_ones_are_spread(cluster: RunningCluster):
    nodes = []
    for _ in range(4):
        with httpx.Client(base_url=cluster.url, trust_env=False) as client:
            for _ in range(3):
                assert client.post("/api/v2/workbins", json=ASKED).status_code == 200
            cookies = [cookie.value or "" for cookie in client.cookies.jar]  # another node would have set another
            assert len(cookies) == 1
            nodes.append(cookies[0].rpartition(".")[2])
    assert sorted(nodes) == ["node1", "node1", "node2", "node2"]


def test_a_redirect_leads_back_to_the_balancer(cluster: RunningCluster):
    address = f"{cluster.url}/api/v2/old"
    ended = subprocess.run(
        ["curl", "-sS", "-L", "-m", "10", "-w", " at %{url_effective}", address],  # found on the path
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == f"a page at {cluster.url}/api/v2/page"


def test_clients_of_a_killed_node_repeat_the_handshake_on_another(cluster: RunningCluster, tmp_path: Path):
    with Process("phoenix", ["node", peers.NODE / "phoenix.mjs", cluster.url], tmp_path) as client:
        first = client.await_line(r'"node":"(node\d)","saw":"message"')[1]
        os.kill(cluster.pids[first], signal.SIGKILL)
        other = {"node1": "node2", "node2": "node1"}[first]
        client.await_line(r'"saw":"refusal","error":"402::[^"]*","advice":"handshake"')
        client.await_line(rf'"node":"{other}","saw":"handshake","successful":true')
        client.await_line(rf'"node":"{other}","saw":"message","type":"WorkbinStatsMessage"')
    assert (
        f"{first} ended with code -9: its clients start new sessions on the other nodes."
        in cluster.process.err.read_text()
    )


def test_a_stop_ends_every_process(cluster: RunningCluster):
    cluster.process.stop(signal.SIGTERM)
    assert [pid for pid in cluster.pids.values() if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.parametrize("in_one_file", [False, True], ids=["certificate and key", "both in one file"])
def test_haproxy_terminates_tls_and_uris_in_replies_have_the_host_of_the_client(tmp_path: Path, in_one_file: bool):
    made = local_certificate(tmp_path)
    assert made.key is not None
    if in_one_file:
        both = tmp_path / "both.pem"
        both.write_bytes(made.chain.read_bytes() + made.key.read_bytes())
        arguments: list[str | Path] = ["--certificate", both]
    else:
        arguments = ["--certificate", made.chain, "--key", made.key]
    trusted = ssl.create_default_context(cafile=made.chain)
    cluster = RunningCluster(tmp_path, 2, *arguments)
    with cluster.process, httpx.Client(base_url=cluster.url, verify=trusted, trust_env=False) as client:
        assert cluster.url.startswith("https://")
        assert client.get("/api/v2/address").json() == {"uri": f"{cluster.url}/api/v2/page"}
        url = cluster.url.replace("https", "wss") + "/api/v2/notifications"
        assert '"successful":true' in asyncio.run(_shaken_hands(url, trusted))


async def _shaken_hands(url: str, trusted: ssl.SSLContext) -> str:
    """Send a handshake over a secure WebSocket.

    The threaded client isn't used: its two threads share one TLS connection, and it sometimes misses the reply.
    """
    async with connect_async(url, ssl=trusted) as socket:
        await socket.send('[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]}]')
        return str(await socket.recv())


def test_a_command_that_is_killed_leaves_no_process_behind(cluster: RunningCluster):
    """A killed process can't signal its children; they detect that its end of a pipe is closed."""
    started = cluster.started
    assert len(started) == 6  # two nodes and HAProxy, each with its watcher
    assert started > set(cluster.pids.values())
    cluster.process._popen.kill()
    until(lambda: not [pid for pid in started if _runs(pid)], "every process has ended")


def test_the_command_reports_a_killed_haproxy_and_stops_the_nodes(cluster: RunningCluster):
    started = cluster.started
    (balancer,) = [pid for pid in started if _name(pid) == "haproxy"]
    os.kill(balancer, signal.SIGKILL)
    until(lambda: cluster.process._popen.poll() is not None, "the command ends")
    assert cluster.process._popen.returncode == 2
    (line,) = [line for line in cluster.process.err.read_text().splitlines() if "haproxy" in line]
    assert line == f"cometreel: haproxy (process {balancer}) ended with code -9"
    until(lambda: not [pid for pid in started if _runs(pid)], "every process has ended")


def test_the_command_ends_when_all_nodes_have_ended(cluster: RunningCluster):
    for pid in cluster.pids.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: cluster.process._popen.poll() is not None, "the command ends")
    assert cluster.process._popen.returncode == 2
    assert "cometreel: all nodes have ended\n" in cluster.process.err.read_text()


def test_receivers_on_other_nodes_are_a_warning():
    scenario = loads(
        "cometreel: 1\nroles: {boss: {}}\nexchanges:\n"
        "  - name: a\n    request: {method: GET, path: /a}\n"
        "    events: [{channel: /c, deliver: all}, {channel: /d, deliver: all}]\n"
        "  - {name: b, request: {method: GET, path: /b}, events: [{channel: /c, deliver: asker}]}\n"
        "timeline:\n  - {channel: /c, deliver: boss}\n",
        "test.yaml",
    )
    reach = "with --nodes it reaches the sessions of the same node only"
    assert [*node_warnings(scenario)] == [
        f"test.yaml:4:5: 'a' has deliver: all; {reach}",
        f"test.yaml:9:5: the timeline entry has deliver: boss; {reach}",
    ]


def test_the_admin_api_of_a_node_is_not_reached_through_the_balancer(cluster: RunningCluster):
    assert httpx.get(cluster.url + "/__reel__/sessions", trust_env=False).status_code == 403


NOT_POSSIBLE = {
    "no node": (loads(SCENARIO), 0, ListenOptions(), "nodes: 0; expected 1 or more"),
    "no cookie": (
        loads(SCENARIO.replace("bayeux:", "session: {cookie: none}\nbayeux:")),
        2,
        ListenOptions(),
        "nodes: the scenario has no session cookie to route by; expected `session: {cookie: JSESSIONID}`",
    ),
}


@pytest.mark.parametrize(("scenario", "count", "listening", "text"), NOT_POSSIBLE.values(), ids=NOT_POSSIBLE)
def test_options_that_nodes_do_not_support_are_refused(
    scenario: CompiledScenario, count: int, listening: ListenOptions, text: str
):
    with pytest.raises(OptionInvalid) as refused:
        ClusterPlan(scenario, [], count, listening)
    assert str(refused.value) == text


def test_without_haproxy_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(programs, "SERVICES", ())
    with pytest.raises(OptionInvalid) as refused:
        ClusterPlan(loads(SCENARIO), [], 2, ListenOptions())
    text = "nodes: haproxy is not installed; expected Debian's package (apt-get install haproxy)"
    assert str(refused.value) == text


def test_the_documented_haproxy_configuration_is_generated_and_valid(tmp_path: Path):
    (shown,) = re.findall(r"```haproxy\n(.*?)```", (peers.ROOT / "docs" / "many-machines.md").read_text(), re.DOTALL)
    nodes = {"node1": "10.0.0.11:8080", "node2": "10.0.0.12:8080", "node3": "10.0.0.13:8080"}
    assert shown == haproxy_config(":8080", nodes, "JSESSIONID", 30)
    config = tmp_path / "haproxy.cfg"
    config.write_text(shown)
    haproxy = programs.find_program("haproxy")
    assert haproxy, "haproxy is not installed; run `make setup`"
    checked = subprocess.run([haproxy, "-c", "-f", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


COMMANDS = re.findall(
    r"^\$ cometreel (serve .*)$", (peers.ROOT / "docs" / "many-machines.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_documentation_serve(tmp_path: Path, command: str):
    """Return the command on the loopback interface, with a free port."""
    words = command.replace("0.0.0.0", "127.0.0.1").replace("8080", "0").split()
    words[1] = str(peers.ROOT / words[1])
    with Process("serve", [COMETREEL, *words], tmp_path) as process:
        url = process.await_line(r"^(http://\S+)$")[1]
        reply = httpx.post(url + "/api/v2/workbins", json=ASKED, trust_env=False)
        assert reply.json()["statusCode"] == 0
        assert re.search(r"\.node\d$", reply.cookies["JSESSIONID"])
