"""Runs the commands of a page in one shell and one folder, with free ports instead of those on the page."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.docs.pages import ROOT, Command, File, NotRun

__all__ = ["Ran", "free_ports", "matches", "run"]

_MARK = "--- the output of that command ends here: "
_PORT = re.compile(r"(?:127\.0\.0\.1:|localhost:|-port )(\d{4,5})")
_READY = "for attempt in $(seq 600); do (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && break; sleep 0.05; done"
_SECONDS = 100

Ran = list[tuple[Command, str, int]]
"""Each command with its output and exit code."""


def run(page: Sequence[Command | File | NotRun], folder: Path, gws: str) -> Ran:
    """Run a page in `folder`; `gws` is the URL of the server used for http://gws.example:8080."""
    for name in ("recordings", "scenarios", "loadtests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    ports = _ports(page)
    lines = ["trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    commands = [step for step in page if isinstance(step, Command)]
    for step in page:
        if isinstance(step, File):
            (folder / f".{step.name}").write_text(_here(step.text, ports, gws), "utf-8")
            lines.append(f"cp '.{step.name}' '{step.name}'")
        elif isinstance(step, Command):
            lines += _lines(_here(step.line, ports, gws))
    stdout, stderr = _bash("\n".join(lines), folder)
    pieces = re.split(rf"{_MARK}(\d+)\n", stdout)
    outputs = [(_there(text, ports), int(code)) for text, code in zip(pieces[::2], pieces[1::2], strict=False)]
    assert len(outputs) == len(commands), f"{stdout}\n{stderr}"
    return [(command, text, code) for command, (text, code) in zip(commands, outputs, strict=True)]


def matches(pattern: str, text: str) -> bool:
    """True if `text` matches the output on a page; `…` matches any text, trailing blanks are ignored."""
    shown = "\n".join(line.rstrip() for line in text.rstrip().splitlines())
    return re.fullmatch(".*".join(map(re.escape, pattern.rstrip().split("…"))), shown, re.DOTALL) is not None


def _bash(script: str, folder: Path) -> tuple[str, str]:
    """Run a script in its own process group, which is killed after a timeout."""
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            return shell.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            raise


def _lines(command: str) -> list[str]:
    if not command.endswith("&"):
        return [command, f'echo "{_MARK}$?"']
    port = _PORT.findall(command)[-1]
    return [f"{command[:-1]} >.out &", _READY.format(port=port), "sleep 0.2; cat .out", f'echo "{_MARK}$?"']


def _ports(page: Sequence[Command | File | NotRun]) -> dict[str, str]:
    """Return a free port for each port on the page."""
    return free_ports(_PORT.findall("\n".join(step.line for step in page if isinstance(step, Command))))


def free_ports(names: Iterable[str]) -> dict[str, str]:
    """Return a free port for each name; all are bound at the same time, so that they differ."""
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in dict.fromkeys(names)}
    ports = {name: str(listener.getsockname()[1]) for name, listener in listeners.items()}
    for listener in listeners.values():
        listener.close()
    return ports


def _here(text: str, ports: dict[str, str], gws: str) -> str:
    text = text.replace("http://gws.example:8080", gws)
    for name, port in ports.items():
        text = re.sub(rf"(127\.0\.0\.1:|localhost:|-port ){name}\b", rf"\g<1>{port}", text)
    return text


def _there(text: str, ports: dict[str, str]) -> str:
    for name, port in ports.items():
        text = re.sub(rf"\b{port}\b", name, text)
    return text


def _environment(folder: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("COMETREEL_", "REEL_", "PYTEST_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    packages = str(ROOT / "tests" / "peers" / "node" / "node_modules")
    return {
        **kept,
        "NODE_PATH": packages,
        "PATH": path,
        "HOME": str(folder),
        "no_proxy": "127.0.0.1",
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
    }
