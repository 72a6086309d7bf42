"""Starts the third-party programs: a CometD server, mitmdump, and three clients."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from demo.processes import Process

__all__ = [
    "ADDONS",
    "ANN",
    "BEN",
    "CLIENTS",
    "NODE",
    "ROOT",
    "WORKLOAD",
    "PeerServer",
    "RecordedAgent",
    "client",
    "missing_peers",
    "mitmdump",
    "stand_in",
]

ROOT = Path(__file__).parents[1]
ADDONS = ROOT / "proxy_addons"
PEERS = ROOT / "tests" / "peers"
NODE = PEERS / "node"
WORKLOAD = PEERS / "workload.json"

CLIENTS = ("cometd-3", "cometd-9", "aiocometd-ng")
"""npm's `cometd` in the version that the real desktop uses and in the newest one, and a Python client."""


@dataclass(frozen=True, slots=True)
class RecordedAgent:
    """A user of the stand-in server."""

    user: str
    password: str


ANN = RecordedAgent("ann.archer", "archer-secret")
BEN = RecordedAgent("ben.baker", "baker-secret")


@dataclass(frozen=True, slots=True)
class PeerServer:
    """A running server: the stand-in, or a proxy."""

    process: Process
    url: str


def missing_peers() -> list[str]:
    """Return the npm packages that are not installed."""
    modules = NODE / "node_modules"
    wanted = (
        "cometd-3",
        "cometd-9",
        "cometd-nodejs-client",
        "cometd-nodejs-server",
        "faye",
        "jsforce",
        "genesys-workspace-client-js",
    )
    return [f"npm package {name}" for name in wanted if not (modules / name / "package.json").is_file()]


def stand_in(folder: Path, *arguments: str, name: str = "stand-in") -> PeerServer:
    """Start the stand-in for Genesys Web Services on a free loopback port."""
    process = Process(name, ["node", NODE / "stand_in.js", *arguments], folder)
    return PeerServer(process, process.await_line(r"^listening on (http://\S+)")[1])


def mitmdump(
    folder: Path, mode: str, addon: Path | str, options: dict[str, object], name: str = "mitmdump"
) -> PeerServer:
    """Start mitmdump with one addon on a free loopback port."""
    settings = {"flow_detail": 0, "confdir": folder / "mitmproxy", **options}
    command: list[str | Path] = [Path(sys.executable).with_name("mitmdump"), "--mode", mode, "-s", addon]
    command += ["--listen-host", "127.0.0.1", "--listen-port", "0"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    process = Process(name, command, folder)
    return PeerServer(process, "http://" + process.await_line(r"listening at (127\.0\.0\.1:\d+)")[1])


def client(folder: Path, name: str, url: str, agent: RecordedAgent = ANN, workload: Path = WORKLOAD) -> Process:
    """Start a client that runs the workload against a URL and prints the replies and messages that it gets."""
    last: list[str | Path] = [agent.user, agent.password, workload]
    if name == "aiocometd-ng":  # its cookie jar rejects cookies for IP addresses
        url = url.replace("127.0.0.1", "localhost")
        return Process(name, [sys.executable, PEERS / "aiocometd_desktop.py", url, *last], folder)
    return Process(name, ["node", NODE / "desktop.mjs", name, url, *last], folder)
