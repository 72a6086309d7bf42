"""Starts other stub servers, each with its simplest stub for the same POST, to compare `cometreel serve` with.

WireMock, mountebank and Mockoon are installed from npm (`benchmarks/node`, by `make bench`); WireMock needs a Java
runtime. Each returns a constant reply to one workbin POST. Request journals and logs are off; connections are kept
alive.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.server_processes import ServerProcess, running

__all__ = ["PATH", "REPLY", "STUBS", "free_port", "missing"]

PATH = "/api/v2/workbins"
REPLY = '{"statusCode":0,"referenceId":67}'
_JSON = "application/json;charset=UTF-8"
_MODULES = Path(__file__).parent / "node" / "node_modules"


def missing() -> list[str]:
    """Return the missing npm packages and programs; empty if all stub servers can be started."""
    lacks = [f"npm package {name}" for name in ("wiremock", "@mbtest/mountebank", "@mockoon/cli")]
    absent = [name for name in lacks if not (_MODULES / name.split(" ")[-1] / "package.json").is_file()]
    return [*absent, *(f"the program {name}" for name in ("node", "java") if shutil.which(name) is None)]


@contextmanager
def wiremock(folder: Path) -> Iterator[ServerProcess]:
    """Run WireMock 3 with one stub mapping."""
    reply = {"status": 200, "headers": {"Content-Type": _JSON}, "body": REPLY}
    mappings = folder / "wiremock" / "mappings"
    mappings.mkdir(parents=True)
    request = {"method": "POST", "urlPath": PATH}
    (mappings / "stub.json").write_text(json.dumps({"request": request, "response": reply}))
    (jar,) = (_MODULES / "wiremock" / "build").glob("wiremock-standalone-*.jar")
    command = ["java", "-jar", str(jar), "--port", "0", "--bind-address", "127.0.0.1", "--no-request-journal"]
    command += ["--root-dir", str(mappings.parent), "--disable-gzip"]
    with running(command, folder / "wiremock.log", r"port: +(\d+)") as server:
        yield server


@contextmanager
def mountebank(folder: Path) -> Iterator[ServerProcess]:
    """Run mountebank with one imposter; the header stops it from closing each connection."""
    reply = {"statusCode": 200, "headers": {"Content-Type": _JSON, "Connection": "keep-alive"}, "body": REPLY}
    stub = {"predicates": [{"equals": {"method": "POST", "path": PATH}}], "responses": [{"is": reply}]}
    imposter = {"port": free_port(), "host": "127.0.0.1", "protocol": "http", "stubs": [stub]}
    config = folder / "mountebank.json"
    config.write_text(json.dumps({"imposters": [imposter]}))
    command = [str(_MODULES / ".bin" / "mb"), "start", "--host", "127.0.0.1", "--port", str(free_port())]
    command += ["--configfile", str(config), "--nologfile", "--loglevel", "info"]
    with running(command, folder / "mountebank.log", r"\[http:(\d+)\] Open for business") as server:
        yield server


@contextmanager
def mockoon(folder: Path) -> Iterator[ServerProcess]:
    """Run Mockoon's command line with one route; `--repair` completes the short data file."""
    reply = {
        "uuid": "reply",
        "body": REPLY,
        "statusCode": 200,
        "headers": [{"key": "Content-Type", "value": _JSON}],
        "disableTemplating": True,
        "default": True,
    }
    route = {"uuid": "route", "type": "http", "method": "post", "endpoint": PATH.lstrip("/"), "responses": [reply]}
    data = folder / "mockoon.json"
    children = [{"type": "route", "uuid": "route"}]
    data.write_text(json.dumps({"name": "stub", "rootChildren": children, "routes": [route]}))
    command = [str(_MODULES / ".bin" / "mockoon-cli"), "start", "--data", str(data), "--repair"]
    command += ["--hostname", "127.0.0.1", "--port", str(free_port()), "--disable-log-to-file", "--disable-admin-api"]
    with running(command, folder / "mockoon.log", r"Server started on port (\d+)") as server:
        yield server


def free_port() -> int:
    """Return a free port, for servers that don't accept port 0."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


STUBS: Final[Mapping[str, Callable[[Path], AbstractContextManager[ServerProcess]]]] = MappingProxyType(
    {"WireMock": wiremock, "mountebank": mountebank, "Mockoon": mockoon}
)
"""The stub servers by name; each takes a folder for its files and runs until the block ends."""
